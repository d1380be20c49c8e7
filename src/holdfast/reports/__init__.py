"""Floor 1: one file is one format, ``render(report) -> bytes``. Pure."""
