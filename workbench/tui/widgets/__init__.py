"""Widgets that know neither the engine nor the screens they stand on."""

__all__: list[str] = []
