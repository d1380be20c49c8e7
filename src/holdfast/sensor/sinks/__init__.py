"""Where alerts go: one file per kind of receiver, each with ``send``. No format is made here; see ``reports``."""
