"""What can be changed about a workload, and at what cost: one file for each kind of change. Which are enough: fixes."""
