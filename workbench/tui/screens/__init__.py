"""One module, or folder, for each place of the application."""

__all__: list[str] = []
