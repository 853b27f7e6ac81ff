"""Writing a flow, with what it would send beside it."""

__all__: list[str] = []
