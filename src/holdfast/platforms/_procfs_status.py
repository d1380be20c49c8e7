"""/proc/PID/status: who a process is and what it holds."""

from __future__ import annotations

from functools import cached_property

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""Names by number.

Source:
    include/uapi/linux/capability.h
"""


def capability_names(bits: int) -> frozenset[str]:
    """Name the capabilities of a bit set. One this list has no name for is called by its number: ``CAP_41``."""
    return frozenset(
        f"CAP_{CAPABILITIES[number]}" if number < len(CAPABILITIES) else f"CAP_{number}"
        for number in range(bits.bit_length())
        if bits >> number & 1
    )


class Status:
    """The fields of one status text. A field that is missing or no number is None."""

    def __init__(self, text: str) -> None:
        """Split the text into fields."""
        self.fields: dict[str, str] = {}
        for line in text.splitlines():
            name, sign, value = line.partition(":\t")
            if sign:
                self.fields.setdefault(name, value.strip())

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return a field of decimal numbers."""
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            return tuple(int(part) for part in value.split())
        except ValueError:
            return None

    def number(self, name: str) -> int | None:
        """Return a field of one decimal number."""
        found = self.numbers(name)
        return found[0] if found and len(found) == 1 else None

    def bits(self, name: str) -> int | None:
        """Return a capability set."""
        try:
            return int(self.fields[name], 16)
        except (KeyError, ValueError):
            return None

    @cached_property
    def users(self) -> tuple[int, ...]:
        """Real, effective, saved and file system uid; empty where the field is not there."""
        found = self.numbers("Uid")
        return found if found and len(found) == 4 else ()

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Real, effective, saved and file system gid; empty where the field is not there."""
        found = self.numbers("Gid")
        return found if found and len(found) == 4 else ()

    @property
    def effective_user(self) -> int | None:
        """Effective uid."""
        return self.users[1] if self.users else None

    @property
    def seccomp_mode(self) -> int | None:
        """0 none, 1 strict, 2 filter."""
        return self.number("Seccomp")
