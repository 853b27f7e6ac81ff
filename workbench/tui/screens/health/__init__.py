"""How the things that a flow depends on stand, and the log."""

__all__: list[str] = []
