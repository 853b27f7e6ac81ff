"""Watching a flow run, record by record."""

__all__: list[str] = []
