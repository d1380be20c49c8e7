"""What stands around one description: which engine runs it and what that engine was seen to be."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO
from holdfast.model.words import declared, engine, host
from holdfast.reason.effective.reading import UNSAID, flag, members, text

KUBERNETES = frozenset({"containerd", "cri-o", "cri"})
_NOTHING = Facts()


@dataclass(frozen=True, slots=True)
class Ground:
    """The engine and host under one container.

    Attributes:
        engine: ``docker``, ``podman``, ``containerd``, ``cri-o``, ``cri`` (one of several), or empty where unknown.
        where: The place that names the engine; the place of last resort for whatever its defaults decide.
        host: Everything seen of the host.
        engine_facts: What was seen of this engine; empty where another engine was seen, or none.
        privileged: The flag, None where unknown. Taken as not set where every single setting is spelled out.
        spelled_out: The document is an OCI configuration: no engine's defaults apply any more.
        rootless: The engine runs as an ordinary user; None where unknown.
    """

    engine: str
    where: Where
    host: Facts
    engine_facts: Facts
    privileged: Seen[bool] | None
    rootless: Seen[bool] | None
    spelled_out: bool = False

    @property
    def is_privileged(self) -> bool | None:
        """The flag alone."""
        return None if self.privileged is None else self.privileged.value

    @property
    def is_rootless(self) -> bool | None:
        """The switch alone."""
        return None if self.rootless is None else self.rootless.value


def ground(facts: Facts, seen_host: Facts) -> Ground:
    """Find out which engine runs the container.

    What was seen of one engine says nothing about another: a Pod is not judged by the settings of the Docker that
    happens to run beside its kubelet.
    """
    named = text(facts, declared.ENGINE)
    name = "" if named is None else named.value
    running = text(seen_host, engine.NAME)
    about = seen_host
    if running is not None:
        if name == "cri" and running.value in KUBERNETES:
            name = running.value
        elif running.value != name:
            about = _NOTHING
    where = UNSAID if named is None else named.where
    privileged = flag(facts, declared.PRIVILEGED)
    exact = facts.seen(declared.CAPABILITIES_EXACT)
    if exact is not None:
        where = exact.where if named is None else where
        privileged = privileged or Seen(False, exact.where)
    return Ground(name, where, seen_host, about, privileged, flag(about, engine.ROOTLESS), exact is not None)


def lsm_active(seen_host: Facts, name: str) -> bool | None:
    """Tell whether a security module confines containers on this host; None where nobody saw.

    Args:
        seen_host: Facts of the host.
        name: ``apparmor`` or ``selinux``.
    """
    entry = flag(seen_host, host.APPARMOR_ENFORCING if name == "apparmor" else host.SELINUX_ENFORCING)
    if entry is not None:
        return entry.value
    loaded = members(seen_host, host.LSMS)
    return False if loaded is not None and loaded.value.has(name) is NO else None
