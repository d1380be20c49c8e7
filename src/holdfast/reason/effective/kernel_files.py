"""Files of the container's own /proc, /sys and cgroup mounts: which of them its mount flags let it write.

Source:
    ``pkg/oci/spec.go`` of containerd and ``oci/defaults.go`` of moby for the default masked and read-only paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import normal_path
from holdfast.model.words import container, declared
from holdfast.model.words.declared import Mount
from holdfast.reason.effective.ground import Ground
from holdfast.reason.effective.reading import Table, elements, flag, places, text, texts

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
HIDDEN = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi",
    "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
_TELLING = frozenset({"/proc/kcore", "/proc/keys", "/proc/timer_list"})
"""Hidden by every engine of every age; a list without them is not the default one."""


@dataclass(frozen=True, slots=True)
class KernelFiles:
    """Answers, for an absolute path, whether mount flags let it be written. The longest rule decides.

    Attributes:
        rules: Path and answer; what no rule covers is not a file of the kernel.
    """

    rules: tuple[tuple[str, Truth], ...]
    _table: Mapping[str, Truth] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Lay the rules out for look-up; a later rule for one path replaces an earlier one."""
        object.__setattr__(self, "_table", dict(self.rules))

    def has(self, member: object, /) -> Truth:
        """Tell whether the file can be written as far as mounts go."""
        if not isinstance(member, str):
            return NO
        path = member
        while path:
            found = self._table.get(path)
            if found is not None:
                return found
            path = path.rpartition("/")[0]
        return NO

    def having(self, names: Iterable[object], /) -> KernelFiles:
        """Return the same with these files writable."""
        return KernelFiles((*self.rules, *((str(name), YES) for name in names)))

    def lacking(self, names: Iterable[object], /) -> KernelFiles:
        """Return the same with these files read-only."""
        return KernelFiles((*self.rules, *((str(name), NO) for name in names)))

    def __str__(self) -> str:
        """The writable trees."""
        return ", ".join(path for path, answer in self._table.items() if answer is YES) or "nothing"


def _closed(*paths: str) -> tuple[tuple[str, Truth], ...]:
    return tuple((path, NO) for path in paths)


_PROC = ("/proc", YES)
_SYS = ("/sys", NO)
MASKED = KernelFiles((_PROC, _SYS, *_closed(*READ_ONLY, *HIDDEN)))
UNMASKED = KernelFiles((_PROC, _SYS))
PRIVILEGED = KernelFiles((_PROC, ("/sys", YES)))


def answer_kernel_files(out: Table, facts: Facts, at: Ground) -> None:
    """Answer whether the defaults mask /proc and /sys, and what of them can be written."""
    asked = text(facts, declared.SYSTEM_PATHS)
    word = "" if asked is None else asked.value
    where = places(asked, at.privileged)
    if word == "exact":
        _exact(out, facts, at)
    elif at.is_privileged and at.privileged is not None:
        out[container.MASKED] = Seen(False, at.privileged.where, "privileged")
        out[container.KERNEL_FILES_WRITABLE] = Seen(PRIVILEGED, at.privileged.where, "privileged")
    elif at.is_privileged is None or word not in {"default", "unconfined"}:
        absent = Absent("whether /proc and /sys are masked was not seen")
        out[container.MASKED] = out[container.KERNEL_FILES_WRITABLE] = absent
    else:
        default = word == "default"
        out[container.MASKED] = Seen(default, where)
        out[container.KERNEL_FILES_WRITABLE] = Seen(MASKED if default else UNMASKED, where)
    _covered_by_binds(out, facts)
    asked_cgroups = flag(facts, declared.WRITABLE_CGROUPS)
    entry = out[container.KERNEL_FILES_WRITABLE]
    if asked_cgroups is not None and asked_cgroups.value and isinstance(entry, Seen):
        out[container.KERNEL_FILES_WRITABLE] = Seen(
            entry.value.having(("/sys/fs/cgroup",)), asked_cgroups.where, "writable cgroups are asked for"
        )


def _exact(out: Table, facts: Facts, at: Ground) -> None:
    """Take the lists as an OCI configuration or an engine's answer spells them."""
    hidden = texts(facts, declared.MASKED_PATHS)
    fixed = texts(facts, declared.READONLY_PATHS)
    if hidden is None or fixed is None:
        absent = Absent("the lists of masked and read-only paths were not seen")
        out[container.MASKED] = out[container.KERNEL_FILES_WRITABLE] = absent
        return
    masked = set(hidden.value) >= _TELLING and {"/proc/sys", "/proc/sysrq-trigger"} <= set(fixed.value)
    out[container.MASKED] = Seen(masked, fixed.where)
    # an OCI configuration lists its read-only mounts too; an engine's answer does not
    default = UNKNOWN if at.engine == "" else Truth.of(at.is_privileged)
    sysfs = YES if at.spelled_out else default
    closed = _closed(*(normal_path(path) for path in (*fixed.value, *hidden.value)))
    out[container.KERNEL_FILES_WRITABLE] = Seen(KernelFiles((_PROC, ("/sys", sysfs), *closed)), fixed.where)


def _covered_by_binds(out: Table, facts: Facts) -> None:
    """Let bind mounts over /proc or /sys replace what they cover."""
    entry = out[container.KERNEL_FILES_WRITABLE]
    mounts = elements(facts, declared.MOUNTS, Mount)
    if mounts is None or not isinstance(entry, Seen):
        return
    base = entry.value.rules
    # the runtime makes its own paths read-only after it has mounted what was asked for
    closed = {path for path, answer in base if answer is NO} - {"/sys"}
    rules: list[tuple[str, Truth]] = []
    for mount in mounts.value:
        if not isinstance(mount.target, str) or not mount.target.startswith(("/proc", "/sys")):
            continue
        target = normal_path(mount.target)
        if target not in closed and (target in {"/proc", "/sys"} or target.startswith(("/proc/", "/sys/"))):
            kernel = isinstance(mount.source, str) and normal_path(mount.source).startswith(("/proc", "/sys"))
            rules.append((target, Truth.of(mount.kind == "bind" and kernel and not mount.read_only)))
    if rules:
        out[container.KERNEL_FILES_WRITABLE] = Seen(
            KernelFiles((*base, *rules)), mounts.where, "mounts cover parts of /proc or /sys"
        )
