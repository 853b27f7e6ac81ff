"""Failed batches: why they failed, mending and writing them again."""

__all__: list[str] = []
