"""Floor 3: I/O in. Raw documents come out; nothing is interpreted here."""
