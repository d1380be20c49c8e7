"""Capabilities: which the running sensor needs, and giving back the others.

Source:
    capabilities(7), capget(2); measured by taking one after the other away (docs/watch.md).
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from collections.abc import Iterable
from pathlib import Path

from holdfast.model.errors import NotPermitted

NUMBERS = {
    "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_KILL": 5, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39,
}  # fmt: skip
START = frozenset(("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"))
"""To load the programs and to take stock of the processes that run."""
RUN = frozenset(("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"))
"""To read what procfs says of processes that begin later. Maps and programs are open and need no more rights."""
RESPOND = frozenset(("CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"))
"""To signal other users' processes, to write a freezer's file, and to enter a network namespace and change it."""
_VERSION_3 = 0x20080522
_HEADER = struct.Struct("=Ii")
_SETS = struct.Struct("=6I")
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def needed(*, responds: bool, release: str = "") -> frozenset[str]:
    """Return what the sensor needs once it runs.

    Args:
        responds: The policy has it kill, pause or cut off.
        release: Of the kernel, as ``uname -r`` prints it; this machine's by default.
    """
    numbers = re.findall(r"\d+", release or os.uname().release)[:2]
    # Before 5.19 even reading a map that is open needed the right to make one, where bpf(2) is not for everybody.
    older = [int(one) for one in numbers] < [5, 19]
    return RUN | (RESPOND if responds else frozenset()) | (frozenset(("CAP_BPF",)) if older else frozenset())


def drop(kept: Iterable[str]) -> frozenset[int]:
    """Give back every capability but some, for good, in the calling thread and the threads it starts.

    Threads that run already keep theirs: capabilities belong to threads. So this is called before those start that
    listen to others.

    Args:
        kept: Names from ``NUMBERS``; those that the process does not have are not gained.

    Returns:
        Numbers of the capabilities that are left.

    Raises:
        NotPermitted: The kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    wanted = sum(1 << NUMBERS[name] for name in kept)
    header = ctypes.create_string_buffer(_HEADER.pack(_VERSION_3, 0), _HEADER.size)
    held = ctypes.create_string_buffer(_SETS.size)
    if library.capget(header, held) != 0:
        raise NotPermitted("the process's capabilities cannot be read", os.strerror(ctypes.get_errno()))
    low_effective, low_permitted, _, high_effective, high_permitted, _ = _SETS.unpack(held.raw)
    permitted = (low_permitted | high_permitted << 32) & wanted
    effective = (low_effective | high_effective << 32) & permitted
    library.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(_last() + 1):
        if not wanted & 1 << number:
            # Refused without CAP_SETPCAP; no_new_privs then keeps them from being gained by exec.
            library.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    mask = 0xFFFFFFFF
    sets = _SETS.pack(effective & mask, permitted & mask, 0, effective >> 32, permitted >> 32, 0)
    if library.capset(header, ctypes.create_string_buffer(sets, _SETS.size)) != 0:
        raise NotPermitted("capabilities cannot be given back", os.strerror(ctypes.get_errno()))
    return frozenset(number for number in range(_last() + 1) if permitted & 1 << number)


def _last() -> int:
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))
    except (OSError, ValueError):
        return 63
