"""What a process may do with control sockets and device nodes of the host without being root there.

Source:
    unix(7): connecting to a socket in the file system needs write permission on it.
"""

from __future__ import annotations

from holdfast.model.facts import Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Collection, Members, OtherThan, Paths
from holdfast.model.words import container, host
from holdfast.model.words.observed import DeviceNode
from holdfast.reason.effective.reading import Table, elements

_OVERRIDING = ("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH")
_OCTAL = frozenset("01234567")


def answer_permissions(out: Table, host_facts: Facts) -> None:
    """Answer ``container.host_paths_permitted``, as far as somebody looked at the sockets of this host."""
    looked = elements(host_facts, host.SOCKET_PERMISSIONS, tuple)
    user, groups = out.get(container.HOST_USER_ID), out.get(container.HOST_GROUP_IDS)
    if looked is None or not isinstance(user, Seen) or isinstance(out.get(container.HOST_PATHS_PERMITTED), Seen):
        return
    held: Collection = groups.value if isinstance(groups, Seen) else Members(rest=UNKNOWN)
    allowed: list[str] = []
    refused: list[str] = []
    for line in looked.value:
        path, permissions = line if len(line) == 2 else ("", "")
        truth = _connects(str(permissions), user.value, held)
        if truth is YES:
            allowed.append(str(path))
        elif truth is NO:
            refused.append(str(path))
    note = "by owner, group and mode of the control sockets; of other paths nothing was seen"
    value = Paths(tuple(allowed), UNKNOWN, frozenset(refused))
    out[container.HOST_PATHS_PERMITTED] = Seen(value, looked.where, note)


def _connects(permissions: str, user: object, groups: Collection) -> Truth:
    """Tell whether a socket takes a connection from this user and these groups. The kernel looks at one class only."""
    owner, group, mode = (*permissions.split(":"), "", "", "")[:3]
    if mode == "-":
        return NO
    if not (owner.isdigit() and group.isdigit() and mode) or set(mode) - _OCTAL:
        return UNKNOWN
    return _allowed((int(owner), int(group), int(mode, 8)), user, groups, 2)


def opens_by_mode(node: DeviceNode, out: Table) -> Truth:
    """Tell whether a process may open a device node to read it, by owner, group and mode.

    Args:
        node: The node.
        out: Answers about the process: its user, groups and capabilities on the host.
    """
    user, groups, held = (
        out.get(fact) for fact in (container.HOST_USER_ID, container.HOST_GROUP_IDS, container.CAPABILITIES)
    )
    space = out.get(container.USER_NAMESPACE)
    counts = isinstance(space, Seen) and space.value == "host"
    if counts and isinstance(held, Seen) and any(held.value.has(name) is YES for name in _OVERRIDING):
        return YES
    if not isinstance(user, Seen):
        return UNKNOWN
    belongs: Collection = groups.value if isinstance(groups, Seen) else Members(rest=UNKNOWN)
    return _allowed((node.owner, node.group, node.mode), user.value, belongs, 4)


def _allowed(guard: tuple[int, int, int], user: object, groups: Collection, bit: int) -> Truth:
    """Answer for one permission bit (4 read, 2 write) of a file with this owner, group and mode."""
    owner, group, bits = guard
    if isinstance(user, OtherThan):
        is_owner: Truth = NO if user.value == owner else UNKNOWN
    else:
        is_owner = YES if user == owner else NO
    in_group = groups.has(group)
    by_owner, by_group, by_rest = (YES if bits & place else NO for place in (bit << 6, bit << 3, bit))
    if is_owner is YES:
        return by_owner
    below = by_group if in_group is YES else by_rest
    if in_group is UNKNOWN and by_group is not by_rest:
        below = UNKNOWN
    return below if is_owner is NO or by_owner is below else UNKNOWN
