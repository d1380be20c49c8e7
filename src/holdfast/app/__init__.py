"""Floor 4: use cases. The only place that wires rooms together."""
