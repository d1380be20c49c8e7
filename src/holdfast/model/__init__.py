"""Floor 0: facts, words, logic, techniques, reports as values. Standard library only; imports no floor above."""
