"""workbench: NATS JetStream events into Salesforce, seen and replayed record by record."""

__all__ = ["__version__"]

__version__ = "0.1.0"
