"""Floor 2: pure. Kernel semantics, judgement, paths."""
