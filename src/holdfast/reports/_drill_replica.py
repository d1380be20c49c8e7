"""A replica's settings as one line: the engine, and everything that is not its default."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.model.replica import Bind, Node, Replica
from holdfast.reports._plain import one_line
from holdfast.reports._words import Words

_MOST = 12
"""Members of one setting that are named; a host's device tree has hundreds."""


def settings(replica: Replica, words: Words) -> list[str]:
    """Return the settings of a replica, safe to print.

    Args:
        replica: The replica.
        words: The language.
    """
    names = {
        "user": replica.user,
        "groups": _joined(replica.groups, words),
        "added": _joined(sorted(replica.capabilities_added), words),
        "dropped": _joined(sorted(replica.capabilities_dropped), words),
        "shared": _joined(sorted(replica.namespaces), words),
        "own": _joined(sorted(replica.own_namespaces), words),
        "network": "" if "net" in replica.namespaces else one_line(replica.network),
        "neighbour": replica.neighbour.value,
        "rule": _joined(replica.device_rules, words),
        "user_map": _joined((":".join(map(str, each)) for each in replica.user_map), words),
    }
    flags = {
        "privileged": replica.privileged,
        "no_new_privileges": replica.no_new_privileges,
        "unmasked": replica.unmasked,
        "read_only": replica.read_only,
        "guarded": replica.guarded,
    }
    image = (
        words("drill.replica.image", value=one_line(replica.image)) if replica.image else words("drill.replica.probe")
    )
    return [
        *(one_line(name) for name in (replica.engine, replica.runtime) if name),
        image,
        *(words(f"drill.replica.{name}") for name, on in flags.items() if on),
        *_profiles(replica, words),
        *(words(f"drill.replica.{name}", value=one_line(value, 0)) for name, value in names.items() if value),
        *(words("drill.replica.sysctl", name=one_line(n), value=one_line(value)) for n, value in replica.sysctls),
        *_some([_bind(each, words) for each in replica.binds], words),
        *_some([_node(each, words) for each in replica.nodes], words),
    ]


def _profiles(replica: Replica, words: Words) -> Iterable[str]:
    chosen = [("seccomp", replica.seccomp), ("AppArmor", replica.apparmor), ("SELinux", ", ".join(replica.selinux))]
    for name, value in chosen:
        if value.lstrip().startswith("{"):
            yield words("drill.replica.own_profile", name=name)
        elif value not in {"", "default"}:
            yield words("drill.replica.profile", name=name, value=one_line(value))


def _bind(bind: Bind, words: Words) -> str:
    target = one_line(bind.target)
    if not bind.source:
        return words("drill.replica.tmpfs", target=target)
    return words("drill.replica.bind", source=_source(bind.source, bind.stand_in, words), target=target)


def _node(node: Node, words: Words) -> str:
    return words("drill.replica.node", source=_source(node.source, node.stand_in, words), target=one_line(node.target))


def _source(source: str, stand_in: str, words: Words) -> str:
    return words("drill.replica.stood_in", source=one_line(source)) if stand_in else one_line(source)


def _joined(names: Iterable[str], words: Words) -> str:
    return ", ".join(_some([one_line(name) for name in names], words))


def _some(texts: list[str], words: Words) -> list[str]:
    return texts if len(texts) <= _MOST else [*texts[:_MOST], words("html.more", count=len(texts) - _MOST)]
