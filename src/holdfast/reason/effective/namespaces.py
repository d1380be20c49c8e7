"""Which namespaces are the host's, and whether the host's kernel is reached at all.

Source:
    namespaces(7); cgroup_namespaces(7); ``daemon/daemon_unix.go`` of moby for the cgroup namespace's default.
"""

from __future__ import annotations

from functools import lru_cache

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members
from holdfast.model.words import container, declared, host
from holdfast.reason.effective.ground import KUBERNETES, Ground
from holdfast.reason.effective.reading import Table, elements, members, text

NAMES = ("pid", "net", "ipc", "uts", "cgroup", "mnt")

_HOST_KERNEL = frozenset({"runc", "youki", "nvidia", "sysbox"})
_SANDBOXES = {"runsc": "gvisor", "gvisor": "gvisor", "kata": "kata"}
_SHIM = "io.containerd."


def sandbox_of(runtime: str) -> str | None:
    """Return the sandbox that a runtime or RuntimeClass of this name makes, None for a name nobody knows.

    Args:
        runtime: ``runc``, ``/usr/bin/kata-runtime``, ``io.containerd.runsc.v1``, ``gvisor``, ...
    """
    name = runtime.strip().lower().rsplit("/", 1)[-1]
    if name.startswith(_SHIM):
        name = name[len(_SHIM) :].split(".", 1)[0]
        name = "runc" if name == "runtime" else name  # io.containerd.runtime.v1.linux, the shim before runc.v1
    family = name.split("-", 1)[0]
    # crun-vm and crun-wasm start something else than a process of the host's kernel
    if family in _HOST_KERNEL or name == "crun":
        return "none"
    return _SANDBOXES.get(family)


def sandbox(facts: Facts, at: Ground) -> Seen[str] | Absent:
    """Tell whether system calls reach the host's kernel."""
    named = text(facts, declared.RUNTIME)
    if named is not None:
        pairs = elements(facts, declared.RUNTIME_HANDLERS, tuple)
        for pair in () if pairs is None else pairs.value:
            if len(pair) == 2 and pair[0] == named.value and isinstance(pair[1], str):
                named = Seen(pair[1], named.where)
                break
    if named is None or named.value in {"", "default"}:
        where = at.where if named is None else named.where
        return Seen("none", where, "no runtime is named; the engine's default is taken to be an ordinary one")
    kind = sandbox_of(named.value)
    if kind is None:
        return Absent("what the named runtime does is not known", named.where)
    return Seen(kind, named.where, "by the runtime's name")


def answer_namespaces(out: Table, facts: Facts, at: Ground) -> None:
    """Answer which namespaces are shared with the host, and whether a sandbox stands between."""
    out[container.SANDBOX] = sandbox(facts, at)
    asked = members(facts, declared.NAMESPACES)
    if asked is None:
        out[container.SHARED_NAMESPACES] = Absent("the namespaces asked for were not seen")
        return
    value = asked.value
    cgroup = value.has("cgroup")
    # the Pod has no word for this namespace; Docker and Podman have, and leave it undecided where nobody used it
    if cgroup is UNKNOWN or (cgroup is NO and at.engine in KUBERNETES):
        cgroup = _cgroup_default(at)
    answers = tuple(value.has(name) for name in NAMES[:4])
    out[container.SHARED_NAMESPACES] = Seen(_shared((*answers, cgroup)), asked.where, asked.note, asked.parts)


@lru_cache(maxsize=256)
def _shared(answers: tuple[Truth, ...]) -> Members:
    """No engine gives a container a time namespace or the host's mount namespace."""
    named = tuple(zip(NAMES[:5], answers, strict=True))
    sure = frozenset(name for name, answer in named if answer is YES)
    return Members(sure | {"time"}, frozenset(name for name, answer in named if answer is UNKNOWN))


def _cgroup_default(at: Ground) -> Truth:
    """Private where the host has cgroup version 2 only, else the host's own."""
    version = text(at.host, host.CGROUP_VERSION)
    if version is None or at.engine == "":
        return UNKNOWN
    if version.value != "v2":
        return YES
    # a privileged container of a CRI runtime keeps the host's in some of their versions
    return UNKNOWN if at.engine in KUBERNETES and at.is_privileged is not False else NO
