"""A throw-away virtual machine with a kernel, a security module and an engine that the host may not have.

Here lives what makes its disk, boots it and brings files in and out. What runs inside is the caller's; `guest/` holds
the scripts of the disk. Nothing here knows a technique or a probe.
"""
