"""The kernel sensor: programs in the kernel, their records, what they mean, and what is done about them.

Only ``loader`` loads programs, only ``sinks`` and ``respond`` act on the world; the rest is pure. No rule lives here.
"""
