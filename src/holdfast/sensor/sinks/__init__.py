"""Where alerts go: one file is one way to bring records to a receiver. No format is known here, and no alert."""
