"""What AppArmor or SELinux refuses: as configured, and only as far as the host enforces it.

Source:
    ``apparmor/template.go`` of moby/profiles; ``internal/cri/sputil`` of containerd; ``pkg/apparmor`` of
    containers/common; container_selinux(8)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members
from holdfast.model.words import container, declared, engine, host
from holdfast.model.words.declared import Mount
from holdfast.reason.effective.ground import Ground, lsm_active
from holdfast.reason.effective.reading import Table, elements, members, text, texts

ACTS = frozenset(
    {
        "mount", "move_mount", "detached_mount", "ptrace_host", "proc_sys_write", "sys_write", "host_files",
        "host_sockets", "abstract_sockets", "af_alg", "devices",
    }
)  # fmt: skip
_NOTHING: frozenset[object] = frozenset()
_APPARMOR_DENIES = frozenset[object]({"mount", "ptrace_host", "proc_sys_write", "sys_write"})
_SELINUX_DENIES = frozenset[object](
    {
        "mount", "move_mount", "detached_mount", "ptrace_host", "proc_sys_write", "sys_write", "host_files",
        "host_sockets", "devices",
    }
)  # fmt: skip
_SELINUX_MAYBE = frozenset[object]({"abstract_sockets", "af_alg"})
_SELINUX_CONTAINER = frozenset({"container_t", "svirt_lxc_net_t", "container_init_t", "container_kvm_t"})
_SELINUX_FREE = frozenset({"spc_t", "unconfined_t", "unconfined_service_t", "container_runtime_t", "init_t"})
_DEFAULT_NAMES = {
    "docker": "docker-default",
    "podman": "containers-default",
    "containerd": "cri-containerd.apparmor.d",
    "cri-o": "crio-default",
}
_DENIES_ALG = (29, 4, 3)
_MOVE_MOUNT_EXISTS = (5, 2)
_MOVE_MOUNT_MEDIATED = (6, 7)
_LABEL_WHEN_TOLD = frozenset({"docker", "containerd", "cri"})
"""Engines that label no container unless they are told to: ``selinux-enabled`` of dockerd and ``enable_selinux`` of
containerd are off as they come. A Pod (``cri``) is taken to run on containerd until its node was seen."""
_SELINUX_ENGINES = frozenset({"podman", "cri-o"})


@dataclass(frozen=True, slots=True)
class Policy:
    """One security module over one container.

    Attributes:
        name: Profile or type as it is enforced; ``none`` where nothing is; None where that was not seen.
        denies: Acts it refuses.
        maybe: Acts of which nobody can say.
        where: The place that decided.
        note: Why.
    """

    name: str | None
    denies: frozenset[object]
    maybe: frozenset[object]
    where: Where
    note: str = ""


@lru_cache(maxsize=256)
def joint(denies: frozenset[object], maybe: frozenset[object]) -> Members:
    """Return the acts refused by one module or the other."""
    return Members(denies, maybe - denies)


def default_profile(name: str) -> bool:
    """Tell whether an AppArmor profile is the default one of a known engine."""
    return name in _DEFAULT_NAMES.values() or name.startswith(("containers-default", "nerdctl-default"))


def apparmor_default(
    engine_name: str, version: tuple[int, ...] | None, attaching: Truth
) -> tuple[frozenset[object], frozenset[object]]:
    """Return what an engine's default AppArmor profile refuses, and what it may refuse.

    Only recent profiles of Docker refuse AF_ALG sockets; a profile says nothing about host files, devices or sockets,
    and files of a mount that hangs nowhere pass its rules by, for they have no path that a rule would name.

    Args:
        engine_name: The engine whose profile it is, empty where that is not known.
        version: Version of Docker, where that is the engine.
        attaching: Whether AppArmor refuses move_mount; see ``attaching_refused``.
    """
    denies, maybe = _APPARMOR_DENIES, _NOTHING
    if engine_name != "docker" or version is None:
        maybe = maybe | {"af_alg"}
    elif version >= _DENIES_ALG:
        denies = denies | {"af_alg"}
    if attaching is YES:
        denies = denies | {"move_mount"}
    elif attaching is UNKNOWN:
        maybe = maybe | {"move_mount"}
    return denies, maybe


def attaching_refused(seen_host: Facts) -> Truth:
    """Tell whether an AppArmor profile that refuses mount refuses move_mount, the other way to attach, as well.

    AppArmor has had a hook there since Linux 6.7 only, and the call exists since 5.2. In between, a kernel of Debian
    was seen to let it through (6.1.190); what other distributions carry back is not known.
    """
    kernel = elements(seen_host, host.KERNEL_VERSION, int)
    if kernel is None or len(kernel.value) < len(_MOVE_MOUNT_EXISTS):
        return UNKNOWN
    if kernel.value >= _MOVE_MOUNT_MEDIATED or kernel.value < _MOVE_MOUNT_EXISTS:
        return YES
    system = text(seen_host, host.DISTRIBUTION)
    return NO if system is not None and system.value.startswith("debian") else UNKNOWN


def selinux_of(kind: str) -> tuple[frozenset[object], frozenset[object]]:
    """Return what a SELinux type refuses, and what it may refuse."""
    if kind in _SELINUX_CONTAINER:
        return _SELINUX_DENIES, _SELINUX_MAYBE
    return (_NOTHING, _NOTHING) if kind in _SELINUX_FREE else (_NOTHING, ACTS)


def answer_confinement(out: Table, facts: Facts, at: Ground) -> None:
    """Answer what the security modules refuse."""
    app = _apparmor(facts, at)
    se = _selinux(facts, at)
    out[container.APPARMOR] = enforced(app, "AppArmor")
    out[container.SELINUX] = enforced(se, "SELinux")
    out[container.LSM_DENIES] = denied(app, se)


def _version(engine_facts: Facts) -> tuple[int, ...] | None:
    found = elements(engine_facts, engine.VERSION, int)
    return None if found is None or not found.value else found.value


def _apparmor(facts: Facts, at: Ground) -> Policy:
    asked = text(facts, declared.APPARMOR)
    where = at.where if asked is None else asked.where
    active = lsm_active(at.host, "apparmor")
    if active is False:
        return Policy("none", _NOTHING, _NOTHING, where, "the host enforces no AppArmor")
    if at.is_rootless and at.rootless is not None:
        return Policy("unconfined", _NOTHING, _NOTHING, at.rootless.where, "a rootless engine applies no AppArmor")
    if asked is None:
        return Policy(None, _NOTHING, ACTS, where)
    word = asked.value.strip()
    if word == "unconfined":
        return Policy("unconfined", _NOTHING, _NOTHING, where)
    plain = word in {"default", "runtime/default"}
    if plain and at.is_privileged and at.privileged is not None:
        return Policy("unconfined", _NOTHING, _NOTHING, at.privileged.where, "privileged: no default profile")
    if not plain and not default_profile(word):
        return Policy(
            word if active else None, _NOTHING, ACTS, where, "a profile of its own, whose rules were not seen"
        )
    denies, maybe = apparmor_default(at.engine, _version(at.engine_facts), attaching_refused(at.host))
    sure = active is True and (at.is_privileged is False or not plain) and _rootful(at, plain=plain)
    if not sure:
        return Policy(None, _NOTHING, denies | maybe, where)
    name = _DEFAULT_NAMES.get(at.engine) if plain else word
    return Policy(name, denies, maybe, where, "the engine's default profile" if plain else "")


def _rootful(at: Ground, *, plain: bool) -> bool:
    """Of an engine nobody looked at, assume that it is no rootless one, except for Podman, which often is."""
    if at.rootless is not None:
        return not at.rootless.value
    return at.engine != "podman" and not (plain and at.engine == "")


def _selinux(facts: Facts, at: Ground) -> Policy:
    asked = texts(facts, declared.SELINUX)
    where = at.where if asked is None else asked.where
    active = lsm_active(at.host, "selinux")
    if active is False:
        return Policy("none", _NOTHING, _NOTHING, where, "the host enforces no SELinux")
    if asked is None:
        return Policy(None, _NOTHING, ACTS, where)
    kind = _asked_type(asked.value)
    if kind in _SELINUX_FREE:
        return Policy(kind, _NOTHING, _NOTHING, where)
    free = None if kind else _unlabelled(facts, at, active)
    if free is not None:
        return free
    denies, maybe = selinux_of(kind or "container_t")
    denies, maybe = _relabelled(facts, denies, maybe)
    engine_labels = bool(kind) or at.engine in _SELINUX_ENGINES
    if active and engine_labels and (kind or at.is_privileged is False):
        return Policy(kind or "container_t", denies, maybe, where, "" if kind else "the engine's default type")
    return Policy(None, _NOTHING, denies | maybe, where)


def _asked_type(options: tuple[str, ...]) -> str:
    """Return the type that label options ask for, empty where they leave it to the engine."""
    kind = ""
    for option in options:
        key, _, rest = option.replace("=", ":").partition(":")
        if key == "disable":
            return "spc_t"
        if key == "type":
            kind = rest
    return kind


def _unlabelled(facts: Facts, at: Ground, active: bool | None) -> Policy | None:
    """Return the policy of a container that the engine leaves unlabelled by itself, None for any other."""
    if at.is_privileged and at.privileged is not None:
        return Policy("spc_t", _NOTHING, _NOTHING, at.privileged.where, "privileged: labels are disabled")
    shared = members(facts, declared.NAMESPACES)
    if shared is not None and YES in (shared.value.has("pid"), shared.value.has("ipc")):
        return Policy("spc_t", _NOTHING, _NOTHING, shared.where, "sharing pid or ipc disables labels")
    if active is None and at.engine in _LABEL_WHEN_TOLD:
        return Policy(None, _NOTHING, _NOTHING, at.where, "engine default: no SELinux labels unless it is told to")
    return None


def _relabelled(
    facts: Facts, denies: frozenset[object], maybe: frozenset[object]
) -> tuple[frozenset[object], frozenset[object]]:
    """Take out host files where a mount was relabelled for the container (options z and Z)."""
    mounts = elements(facts, declared.MOUNTS, Mount)
    if mounts is None or "host_files" not in denies:
        return denies, maybe
    binds = [mount for mount in mounts.value if mount.kind == "bind"]
    done = [mount for mount in binds if isinstance(mount.options, frozenset) and mount.options & {"z", "Z"}]
    if not done:
        return denies, maybe
    rest = denies - {"host_files"}
    return (rest, maybe) if len(done) == len(binds) else (rest, maybe | {"host_files"})


def observed_policy(label: Seen[str] | None, seen_host: Facts, nowhere: Where) -> tuple[Policy, Policy]:
    """Read the label of a live process.

    Args:
        label: ``/proc/PID/attr/current``.
        seen_host: Facts of the host it runs on, and of the engine there.
        nowhere: Place that answers where there is no label.

    Returns:
        The policies of AppArmor and SELinux.
    """
    apparmor, selinux = lsm_active(seen_host, "apparmor"), lsm_active(seen_host, "selinux")
    where = nowhere if label is None else label.where
    none = Policy("none", _NOTHING, _NOTHING, where, "the host enforces none")
    unread = Policy(None, _NOTHING, ACTS, where)
    word = "" if label is None else label.value.strip("\0\n ")
    if not word:
        return none if apparmor is False else unread, none if selinux is False else unread
    # one of the two speaks in attr/current; the other is then not in force unless the host says that both are
    if word.count(":") >= 3 and "(" not in word:
        return unread if apparmor else none, _selinux_label(word.split(":")[2], selinux, where)
    return _apparmor_label(word, apparmor, seen_host, where), unread if selinux else none


def _selinux_label(kind: str, active: bool | None, where: Where) -> Policy:
    if active is False:
        return Policy("none", _NOTHING, _NOTHING, where, "SELinux is permissive or off")
    denies, maybe = selinux_of(kind)
    if active is None:
        return Policy(None, _NOTHING, denies | maybe, where, "whether SELinux is enforcing was not seen")
    return Policy(kind, denies, maybe, where)


def _apparmor_label(word: str, active: bool | None, seen_host: Facts, where: Where) -> Policy:
    name, _, mode = word.partition(" (")
    if name == "unconfined" or active is False:
        return Policy("unconfined" if active is not False else "none", _NOTHING, _NOTHING, where)
    if mode and not mode.startswith("enforce"):
        return Policy("unconfined", _NOTHING, _NOTHING, where, f"the profile {name} only complains")
    if not default_profile(name):
        return Policy(name, _NOTHING, ACTS, where, "a profile of its own, whose rules were not seen")
    running = text(seen_host, engine.NAME)
    docker = name == "docker-default"
    version = _version(seen_host) if docker and running is not None and running.value == "docker" else None
    denies, maybe = apparmor_default("docker" if docker else "", version, attaching_refused(seen_host))
    return Policy(name, denies, maybe, where)


def denied(app: Policy, se: Policy) -> Seen[Members]:
    """Return what both modules together refuse."""
    first = app if app.denies or app.maybe or not (se.denies or se.maybe) else se
    unseen = first.name is None and first.maybe and not first.note
    # what AppArmor's default profiles leave alone, files and sockets, hangs on the labels only; those are told of then
    note = (se.note or "whether the host enforces it was not seen") if unseen else first.note
    return Seen(joint(app.denies | se.denies, app.maybe | se.maybe), first.where, note)


def enforced(policy: Policy, module: str) -> Seen[str] | Absent:
    """Return the answer to the question for the name of a policy."""
    if policy.name is None:
        return Absent(f"whether the host enforces {module} for this container was not seen", policy.where)
    return Seen(policy.name, policy.where, policy.note)
