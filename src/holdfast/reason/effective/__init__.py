"""From what is declared and what is observed to what the kernel will do; pure."""
