"""Which kinds of host devices have a node inside, and which the device cgroup lets be opened.

Source:
    ``Documentation/admin-guide/devices.txt`` of the kernel for the numbers; null(4), mem(4), tty(4)
"""

from __future__ import annotations

import re
from functools import lru_cache

from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths, normal_path
from holdfast.model.words import container, declared
from holdfast.model.words.declared import Device, Mount
from holdfast.reason.effective.ground import Ground
from holdfast.reason.effective.reading import Table, elements, part, texts

KINDS = frozenset[object](
    {
        "block", "mem", "port", "kmsg", "tty", "uinput", "input", "vfio", "gpu", "fuse", "kvm", "sg", "msr", "tun",
        "other",
    }
)  # fmt: skip
ALL_KINDS = Members(KINDS)
_CHARACTER = KINDS - {"block"}
EVERYWHERE = frozenset[object]({"block", "mem", "port", "kmsg", "tty"})
"""Kinds in the /dev of every host."""
_WHOLE_DEV = Members(EVERYWHERE, KINDS - EVERYWHERE)
"""Those, and kinds that some hosts have."""
_NOTHING = Members()
_DISK_GROUP = 6
_TUN = frozenset[object]({"tun"})
_DEFAULT = re.compile(r"(null|zero|full|random|urandom|tty|console|ptmx|fd|stdin|stdout|stderr|(pts|shm|mqueue)(/.*)?)")
_DISKS = (
    r"[hsv]d[a-z]+\d*|xvd[a-z]+\d*|nvme\d+n\d+(p\d+)?|mmcblk\d+\w*|dasd\w+|root|cdrom"
    r"|(loop|dm-|md|sr|nbd|zd|ram|fd|drbd|bcache)\d+\w*|(mapper|disk|block|md|zvol)(/(?!control$).*)?"
)
_BY_NAME = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("block", _DISKS),
        ("mem", r"k?mem"),
        ("port", r"port"),
        ("kmsg", r"kmsg"),
        ("tty", r"tty\d+|tty(S|AMA)\d+|vcsa?u?\d*"),
        ("uinput", r"uinput|input/uinput"),
        ("input", r"input(/.*)?"),
        ("vfio", r"vfio(/.*)?"),
        ("gpu", r"nvidia.*|dri(/.*)?|kfd|dxg|mali\d*|accel(/.*)?|habanalabs.*|davinci.*"),
        ("fuse", r"fuse"),
        ("kvm", r"kvm"),
        ("sg", r"sg\d+|bsg(/.*)?"),
        ("msr", r"msr\d*|cpu(/.*)?"),
        ("tun", r"net(/.*)?|tun|tap\d+"),
    )
)
_BY_NUMBER: dict[tuple[int, int], str] = {
    (1, 1): "mem", (1, 2): "mem", (1, 4): "port", (1, 11): "kmsg", (10, 196): "vfio", (10, 200): "tun",
    (10, 223): "uinput", (10, 229): "fuse", (10, 232): "kvm",
}  # fmt: skip
_BY_MAJOR = {4: "tty", 7: "tty", 13: "input", 21: "sg", 195: "gpu", 202: "msr", 226: "gpu"}
_HARMLESS = frozenset({(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)})
_TERMINALS = 136
_RULE = re.compile(r"([abc])\s+(\*|\d{1,9}):(\*|\d{1,9})\s+([rwm]{1,3})")


@lru_cache(maxsize=1024)
def kind_of_path(path: str) -> str | None:
    """Return the kind of device behind a path below /dev; None for the nodes that every container has."""
    name = path.removeprefix("/dev/")
    if _DEFAULT.fullmatch(name):
        return None
    return next((kind for kind, pattern in _BY_NAME if pattern.fullmatch(name)), "other")


def kind_of_number(kind: str, major: int, minor: int, path: str = "") -> str | None:
    """Return the kind of a device node; None for the nodes that every container has.

    Args:
        kind: ``b`` or ``c``.
        major: Its number.
        minor: Its number.
        path: Its path, which tells apart drivers with dynamic numbers.
    """
    if kind.startswith("b"):
        return "block"
    if (major, minor) in _HARMLESS or _TERMINALS <= major < _TERMINALS + 8:
        return None
    known = _BY_NUMBER.get((major, minor)) or _BY_MAJOR.get(major)
    if known is not None:
        return known
    named = kind_of_path(path) if path else "other"
    return named if named in {"gpu", "vfio", "tun", "other"} else "other"


@lru_cache(maxsize=256)
def opened_by(rule: str) -> frozenset[object] | None:
    """Return the kinds that a device cgroup rule lets be opened; None for a rule that is not understood.

    Args:
        rule: ``b 8:* rwm``, ``a *:* rwm``, ``c 10:200 rw``.
    """
    found = _RULE.fullmatch(rule.strip())
    if found is None:
        return frozenset(KINDS) if rule.strip() == "a" else None
    kind, major, minor, permissions = found.groups()
    if permissions == "m":
        return frozenset()
    if kind == "a":
        return frozenset(KINDS)
    if kind == "b":
        return frozenset({"block"})
    if major == "*":
        return frozenset(_CHARACTER)
    if minor == "*":
        below = {name for (first, _), name in _BY_NUMBER.items() if first == int(major)}
        whole = _BY_MAJOR.get(int(major))
        harmless = int(major) == 5 or _TERMINALS <= int(major) < _TERMINALS + 8
        return frozenset(below | ({whole} if whole else set() if harmless else {"other"}))
    one = kind_of_number("c", int(major), int(minor))
    return frozenset() if one is None else frozenset({one})


def answer_devices(out: Table, facts: Facts, at: Ground) -> None:
    """Answer which kinds of devices are inside and which can be opened."""
    box = out.get(container.SANDBOX)
    if isinstance(box, Seen) and box.value != "none":
        none = Seen(_NOTHING, box.where, "devices inside are the sandbox's own")
        out[container.DEVICES] = out[container.DEVICE_ACCESS] = out[container.DEVICES_PERMITTED] = none
        return
    if at.is_privileged and at.privileged is not None:
        out[container.DEVICES] = Seen(_WHOLE_DEV, at.privileged.where, "privileged: every device of the host")
        out[container.DEVICE_ACCESS] = Seen(ALL_KINDS, at.privileged.where, "privileged: every device of the host")
        out[container.DEVICES_PERMITTED] = permitted_by_group(out, at.privileged.where)
        return
    given = elements(facts, declared.DEVICES, Device)
    mounts = elements(facts, declared.MOUNTS, Mount)
    nodes: dict[object, Where] = {}
    opened: dict[object, Where] = {}
    maybe: set[object] = set()
    maybe_opened: set[object] = set(_TUN)
    if given is None or at.is_privileged is None:
        maybe, maybe_opened = set(KINDS), set(KINDS)
    for index, device in enumerate(() if given is None else given.value):
        where = at.where if given is None else part(given, index, device)
        sure, some = _granted(device)
        for kind in sure:
            nodes.setdefault(kind, where)
            if not isinstance(device.permissions, str) or set(device.permissions) & set("rw"):
                opened.setdefault(kind, where)
        maybe |= some
        maybe_opened |= some
    _bound(mounts, nodes, maybe)
    _ruled(facts, opened, maybe_opened)
    where = at.where if given is None else given.where
    out[container.DEVICES] = _seen(nodes, maybe, where)
    out[container.DEVICES_PERMITTED] = permitted_by_group(out, where)
    out[container.DEVICE_ACCESS] = _seen(opened, maybe_opened, where)


def permitted_by_group(out: Table, where: Where) -> Seen[Members]:
    """Answer which nodes open without root, as far as a group of distributions tells; nobody saw the nodes."""
    groups = out.get(container.HOST_GROUP_IDS)
    disk = groups.value.has(_DISK_GROUP) if isinstance(groups, Seen) else UNKNOWN
    sure, maybe = ({"block"} if disk is truth else set() for truth in (YES, UNKNOWN))
    note = "group 6 (disk) owns the nodes of disks on Debian, Ubuntu, Fedora and their relatives"
    return Seen(Members(frozenset(sure), frozenset(maybe)), where, note)


def on_host_paths(paths: Paths) -> Members:
    """Return the kinds with a node on these paths of the host, wherever in the container they are mounted."""
    sure: set[object] = set()
    maybe: set[object] = set()
    for items, known in ((paths.items, sure), (paths.maybe, maybe)):
        for item in items:
            if item in {"/", "/dev"}:
                known.update(EVERYWHERE)
                maybe |= KINDS
            elif item.startswith("/dev/") and (one := kind_of_path(item)) is not None:
                known.add(one)
    if paths.rest is not NO and "/dev" not in paths.outside:
        maybe |= KINDS
    return _closed(frozenset(sure), frozenset(maybe))


def _granted(device: Device) -> tuple[frozenset[object], frozenset[object]]:
    """Return the kinds of one granted device: sure ones, and possible ones."""
    source = device.source
    if not isinstance(source, str):
        return frozenset(), KINDS
    if source.startswith("claim:"):
        return frozenset(), frozenset({"block"})  # a raw volume of Kubernetes: perhaps a disk of the host, perhaps not
    if not source.startswith("/"):
        # a CDI name: vendor.com/class=name
        return (frozenset({"gpu"}), frozenset({"other"})) if "/gpu=" in source else (frozenset(), KINDS)
    path = normal_path(source)
    if path in {"/", "/dev"}:
        return EVERYWHERE, KINDS
    kind = kind_of_path(path)
    return (frozenset() if kind is None else frozenset({kind})), frozenset()


def _bound(mounts: Seen[tuple[Mount, ...]] | None, nodes: dict[object, Where], maybe: set[object]) -> None:
    """Add nodes that a bind mount shows. The device cgroup still stands before them."""
    if mounts is None:
        maybe |= KINDS
        return
    for index, mount in enumerate(mounts.value):
        if mount.kind not in {"bind", "device"} or not isinstance(mount.source, str):
            continue
        if not mount.source.startswith("/"):
            maybe |= KINDS if mount.kind == "bind" else {"block"}
            continue
        path = normal_path(mount.source)
        where = part(mounts, index, mount)
        if path in {"/", "/dev"}:
            for kind in EVERYWHERE:
                nodes.setdefault(kind, where)
            maybe |= KINDS
        elif path.startswith("/dev/"):
            one = kind_of_path(path)
            if one is not None:
                nodes.setdefault(one, where)


def _ruled(facts: Facts, opened: dict[object, Where], maybe: set[object]) -> None:
    """Add what device cgroup rules open beyond the engine's defaults."""
    rules = texts(facts, declared.DEVICE_RULES)
    if rules is None:
        maybe |= KINDS
        return
    for index, rule in enumerate(rules.value):
        kinds = opened_by(rule)
        if kinds is None:
            maybe |= KINDS
            continue
        for kind in kinds:
            opened.setdefault(kind, part(rules, index, rule))


def _seen(sure: dict[object, Where], maybe: set[object], where: Where) -> Seen[Members]:
    value = _closed(frozenset(sure), frozenset(maybe))
    parts = {kind: place for kind, place in sure.items() if place is not where}
    return Seen(value, next(iter(sure.values())) if len(sure) == 1 else where, "", parts)


@lru_cache(maxsize=256)
def _closed(sure: frozenset[object], maybe: frozenset[object]) -> Members:
    return Members(sure, maybe - sure)
