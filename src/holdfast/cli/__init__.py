"""Floor 5: one file for each command. Declares options, calls app, prints a report. No thinking."""
