"""The Falco rule language: from a rules file to expressions over facts. Pure: reads text that was handed in, no I/O."""
