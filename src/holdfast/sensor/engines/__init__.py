"""Ways to learn what containers are called: one file for each kind of source, and the registry that holds answers.

Everything here runs in threads of its own and is read-only towards the engines. Who belongs to which container is not
decided here.
"""
