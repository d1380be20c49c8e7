"""From what procfs shows of a live process to what the kernel will do for it."""

from __future__ import annotations

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import container, engine, host, observed
from holdfast.model.words.observed import DeviceNode
from holdfast.reason.effective.confinement import denied, enforced, observed_policy
from holdfast.reason.effective.devices import KINDS, kind_of_number, on_host_paths, opened_by, permitted_by_group
from holdfast.reason.effective.mountinfo import answer_mountinfo
from holdfast.reason.effective.namespaces import sandbox_of
from holdfast.reason.effective.permissions import answer_permissions, opens_by_mode
from holdfast.reason.effective.reading import (
    UNSAID,
    Table,
    elements,
    flag,
    members,
    number,
    part,
    text,
    texts,
)
from holdfast.reason.effective.seccomp import observed_syscalls
from holdfast.reason.effective.users import inside, ranges_of

_WHOLE = (0, 0, 0xFFFFFFFF)
_STARTERS = frozenset({"docker", "podman", "containerd", "cri-o", "crio", "kubernetes", "kubepods", "lxc", "libpod"})


def from_observed(facts: Facts, host_facts: Facts) -> Facts:
    """Turn what procfs shows of a process into what the kernel will do for it.

    Args:
        facts: ``observed.*`` of one process. A malformed answer counts as none.
        host_facts: ``host.*`` and ``engine.*`` of the host it runs on.

    Returns:
        The words of ``model/words/container.py`` that a live process shows. For a sandbox with a kernel of its own
        only that: the process on the host is the sandbox, not the application.
    """
    out: Table = {}
    box = _sandbox(facts)
    out[container.SANDBOX] = box
    if isinstance(box, Seen) and box.value != "none":
        return Facts(out)
    _users(out, facts)
    _capabilities(out, facts)
    _confinement(out, facts, host_facts)
    shared = members(facts, observed.SHARED_NAMESPACES)
    if shared is None:
        out[container.SHARED_NAMESPACES] = _why(facts, observed.SHARED_NAMESPACES)
    else:
        out[container.SHARED_NAMESPACES] = shared
    answer_mountinfo(out, facts, host_facts)
    answer_permissions(out, host_facts)
    _devices(out, facts)
    _rest(out, facts, host_facts)
    out.update(observed_syscalls(facts, host_facts))
    return Facts(out)


def _why(facts: Facts, fact: object) -> Absent:
    """Return the reason that was given for a missing answer, or a general one."""
    entry = facts.table.get(fact)  # type: ignore[call-overload]
    return entry if isinstance(entry, Absent) else Absent("the live process was not seen that far")


def _sandbox(facts: Facts) -> Seen[str] | Absent:
    runtime = text(facts, observed.RUNTIME)
    if runtime is None:
        why = facts.absent(observed.RUNTIME)
        if why is not None and why.where is not None and why.where.document.endswith("/exe"):
            return why  # it may be a sandbox: its program, not its cgroup, was out of sight
        where = next((entry.where for entry in facts.table.values() if isinstance(entry, Seen)), UNSAID)
        if where is UNSAID:
            return Absent("no live process was seen")
        return Seen("none", where, "a process of the host's own kernel")
    kind = sandbox_of(runtime.value)
    if kind is None or runtime.value.lower() in _STARTERS:
        return Seen("none", runtime.where, "a process of the host's own kernel")
    return Seen(kind, runtime.where)


def _users(out: Table, facts: Facts) -> None:
    own = flag(facts, observed.OWN_USER_NAMESPACE)
    lines = elements(facts, observed.USER_MAP, tuple)
    ranges = None if lines is None else ranges_of(lines.value)
    if own is not None:
        out[container.USER_NAMESPACE] = Seen("private" if own.value else "host", own.where)
    elif ranges and lines is not None:
        # a private namespace may map every user to itself; only the other maps tell for certain
        same = ranges == (_WHOLE,)
        maybe = Absent("its user namespace was not seen", lines.where)
        out[container.USER_NAMESPACE] = maybe if same else Seen("private", lines.where)
    else:
        out[container.USER_NAMESPACE] = _why(facts, observed.OWN_USER_NAMESPACE)
    alone = next((line for line in ranges or () if line[0] == 0 and line[2] == 1 and line[1] != 0), None)
    if alone is not None and lines is not None:
        # subordinate ids come in long ranges; one id by itself is that of the user who made the namespace
        note = f"container root is user {alone[1]} of the host: that user runs the engine"
        out[engine.ROOTLESS] = Seen(True, lines.where, note)
    outer = number(facts, observed.HOST_USER_ID)
    out[container.HOST_USER_ID] = outer or _why(facts, observed.HOST_USER_ID)
    groups = members(facts, observed.HOST_GROUP_IDS)
    out[container.HOST_GROUP_IDS] = groups or _why(facts, observed.HOST_GROUP_IDS)
    if outer is None:
        out[container.USER_ID] = _why(facts, observed.HOST_USER_ID)
    elif own is not None and not own.value:
        out[container.USER_ID] = outer
    elif ranges is None:
        out[container.USER_ID] = _why(facts, observed.USER_MAP)
    else:
        mapped = inside(outer.value, ranges)
        lost = Absent("the user is not mapped in its user namespace", outer.where)
        out[container.USER_ID] = lost if mapped is None else Seen(mapped, outer.where)


def _capabilities(out: Table, facts: Facts) -> None:
    effective = texts(facts, observed.CAPABILITIES_EFFECTIVE)
    permitted = texts(facts, observed.CAPABILITIES_PERMITTED)
    limit = texts(facts, observed.CAPABILITIES_BOUNDING)
    if effective is None:
        out[container.CAPABILITIES] = _why(facts, observed.CAPABILITIES_EFFECTIVE)
    else:
        # what is permitted a process makes effective by itself
        held = frozenset[object](effective.value).union(() if permitted is None else permitted.value)
        out[container.CAPABILITIES] = Seen(Members(held), effective.where)
    if limit is None:
        out[container.BOUNDING_CAPABILITIES] = _why(facts, observed.CAPABILITIES_BOUNDING)
    else:
        out[container.BOUNDING_CAPABILITIES] = Seen(Members(frozenset(limit.value)), limit.where)
    fixed = flag(facts, observed.NO_NEW_PRIVILEGES)
    out[container.NO_NEW_PRIVILEGES] = fixed or _why(facts, observed.NO_NEW_PRIVILEGES)


def _confinement(out: Table, facts: Facts, host_facts: Facts) -> None:
    label = text(facts, observed.LSM_LABEL)
    app, se = observed_policy(label, host_facts, _why(facts, observed.LSM_LABEL).where or UNSAID)
    out[container.APPARMOR] = enforced(app, "AppArmor")
    out[container.SELINUX] = enforced(se, "SELinux")
    out[container.LSM_DENIES] = denied(app, se)


def _devices(out: Table, facts: Facts) -> None:
    nodes = elements(facts, observed.DEVICE_NODES, DeviceNode)
    if nodes is None:
        out[container.DEVICES] = out[container.DEVICES_PERMITTED] = _why(facts, observed.DEVICE_NODES)
    else:
        found: dict[object, Where] = {}
        permitted: set[object] = set()
        doubtful: set[object] = set()
        for index, node in enumerate(nodes.value):
            if isinstance(node.major, int) and isinstance(node.minor, int) and isinstance(node.kind, str):
                kind = kind_of_number(node.kind, node.major, node.minor, str(node.path))
                if kind is not None:
                    found.setdefault(kind, part(nodes, index, node))
                    opens = opens_by_mode(node, out)
                    permitted |= {kind} if opens is YES else set()
                    doubtful |= {kind} if opens is UNKNOWN else set()
        maybe = _mounted_nodes(out, found, permitted, doubtful)
        out[container.DEVICES] = Seen(Members.of(*found, maybe=maybe), nodes.where, "", found)
        held = Members(frozenset(permitted), frozenset(doubtful - permitted))
        out[container.DEVICES_PERMITTED] = Seen(held, nodes.where, "by owner, group and mode of the nodes")
    rules = texts(facts, observed.DEVICE_RULES)
    if rules is None:
        out[container.DEVICE_ACCESS] = _why(facts, observed.DEVICE_RULES)
        return
    opened: set[object] = set()
    doubt = False
    for rule in rules.value:
        kinds = opened_by(rule)
        doubt = doubt or kinds is None
        opened |= kinds or set()
    maybe = frozenset(KINDS - opened) if doubt else frozenset()
    out[container.DEVICE_ACCESS] = Seen(Members(frozenset(opened), maybe), rules.where)


def _mounted_nodes(
    out: Table, found: dict[object, Where], permitted: set[object], doubtful: set[object]
) -> frozenset[object]:
    """Add nodes of the host's that are mounted elsewhere than in /dev, of which nobody saw the owner.

    Returns:
        Kinds that may be there.
    """
    mounted = out.get(container.HOST_PATHS)
    if not isinstance(mounted, Seen):
        return frozenset()
    there = on_host_paths(mounted.value)
    by_group = permitted_by_group(out, mounted.where).value
    for kind in there.yes:
        found.setdefault(kind, mounted.where)
    for kind in there.yes | there.maybe:
        truth = min(by_group.has(kind), there.has(kind))
        permitted |= {kind} if truth is YES else set()
        doubtful |= {kind} if truth is UNKNOWN else set()
    return there.maybe


def _rest(out: Table, facts: Facts, host_facts: Facts) -> None:
    masked = out.get(container.MASKED)
    if isinstance(masked, Seen) and masked.value:
        out[container.PRIVILEGED] = Seen(False, masked.where, "a privileged container's /proc is not masked")
    else:
        out[container.PRIVILEGED] = Absent("procfs does not show with which flag it was started")
    folders = texts(facts, observed.OUTSIDE_FDS)
    if folders is None:
        out[container.LEAKED_HOST_FD] = _why(facts, observed.OUTSIDE_FDS)
    else:
        note = "" if not folders.value else f"open: {folders.value[0]}"
        out[container.LEAKED_HOST_FD] = Seen(bool(folders.value), folders.where, note)
    same = flag(facts, observed.SAME_USER_ON_HOST)
    out[container.SAME_USER_ON_HOST] = same or _why(facts, observed.SAME_USER_ON_HOST)
    number_alone = flag(facts, observed.SAME_USER_ID_ON_HOST)
    out[container.SAME_USER_ID_ON_HOST] = number_alone or _why(facts, observed.SAME_USER_ID_ON_HOST)
    out[container.USER_ID_ON_HOST] = _anywhere(out, number_alone)
    near = flag(facts, observed.SAME_USER_IN_CONTAINER)
    out[container.SAME_USER_IN_CONTAINER] = near or _why(facts, observed.SAME_USER_IN_CONTAINER)
    root = flag(facts, observed.CGROUP_V1_ROOT)
    version = text(host_facts, host.CGROUP_VERSION)
    if root is None and version is not None and version.value == "v2":
        out[container.CGROUP_V1_ROOT] = Seen(False, version.where, "the host has no version 1 hierarchy")
    else:
        out[container.CGROUP_V1_ROOT] = root or _why(facts, observed.CGROUP_V1_ROOT)
    claim = Absent("a mount table does not tell a claim from another volume")
    out[container.VOLUME_CLAIMS] = out[container.VOLUME_CLAIM_ON_HOST] = claim


def _anywhere(out: Table, seen: Seen[bool] | None) -> Seen[bool] | Absent:
    """Answer for processes that the container does not see, too: only those that it sees were compared with."""
    if seen is not None and seen.value:
        return seen
    shared, mounted = out.get(container.SHARED_NAMESPACES), out.get(container.HOST_PATHS)
    every = isinstance(shared, Seen) and shared.value.has("pid") is YES
    every = every or (isinstance(mounted, Seen) and mounted.value.covers("/proc") is YES)
    if seen is not None and every:
        return seen
    return Absent("processes that the container does not see were not compared with")
