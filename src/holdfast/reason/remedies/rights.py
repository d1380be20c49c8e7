"""Flags, namespaces, filters and users: what a workload asks for beside capabilities and mounts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.model.change import Change, with_, without
from holdfast.model.facts import Fact, Facts
from holdfast.model.remedy import Made, Remedy
from holdfast.model.truth import NO, YES
from holdfast.model.words import declared
from holdfast.model.words.declared import Device
from holdfast.reason.effective.capabilities import spelled
from holdfast.reason.effective.ground import KUBERNETES
from holdfast.reason.effective.namespaces import sandbox_of
from holdfast.reason.effective.reading import members, texts
from holdfast.reason.effective.users import number_of
from holdfast.reason.remedies import costs
from holdfast.reason.remedies.wishes import Wishes

_NOBODY = 65532
"""A user that no distribution gives to anybody, as in images without a shell."""
_SYSTEM = 1000


def flag_remedies(facts: Facts, wishes: Wishes) -> Iterator[Remedy]:
    """Propose to take back flags, and to set those that take rights away."""
    if facts.value(declared.PRIVILEGED) is True:
        yield _privileged(facts, wishes)
    plain: tuple[tuple[Fact[Any], bool, str, str, int], ...] = (
        (declared.NO_NEW_PRIVILEGES, True, "no-new-privileges", "set no_new_privileges", costs.NO_NEW_PRIVILEGES),
        (declared.READ_ONLY_ROOT, True, "read-only", "make the root file system read-only", costs.READ_ONLY_ROOT),
        (declared.SERVICE_ACCOUNT_TOKEN, False, "token", "do not mount the service account token", costs.TOKEN),
        (declared.WRITABLE_CGROUPS, False, "cgroups", "do not mount the cgroups writable", costs.CGROUPS),
    )
    for fact, wanted, name, title, cost in plain:
        if facts.value(fact) is (not wanted):
            yield Remedy(name, title, (Change(fact, wanted, title),), cost, costs.EDIT, touches=frozenset({name}))


def _privileged(facts: Facts, wishes: Wishes) -> Remedy:
    """Take the flag back, and hand out by name what is to stay of it."""
    changes = [Change(declared.PRIVILEGED, False, "not privileged")]
    if wishes.capabilities and facts.value(declared.CAPABILITIES_ADDED) is not None:
        kept = with_(*wishes.capabilities)
        changes.append(Change(declared.CAPABILITIES_ADDED, kept, f"{', '.join(wishes.capabilities)} to be kept"))
    if wishes.devices and facts.value(declared.DEVICES) is not None:
        nodes = with_(*(Device(path, path) for path in wishes.devices))
        changes.append(Change(declared.DEVICES, nodes, f"{', '.join(wishes.devices)} to be kept"))
    return Remedy(
        "privileged",
        "do not run it privileged",
        tuple(changes),
        costs.PRIVILEGED,
        costs.EDIT,
        touches=frozenset({"privileged"}),
    )


def namespace_remedies(facts: Facts) -> Iterator[Remedy]:
    """Propose to leave the host's namespaces, and to give users a namespace of their own."""
    shared = members(facts, declared.NAMESPACES)
    engine = facts.value(declared.ENGINE) or ""
    for name, cost in costs.NAMESPACES.items():
        if shared is None or shared.value.has(name) is NO or (name == "cgroup" and engine in KUBERNETES):
            continue
        title = f"give it its own {name} namespace"
        yield Remedy(
            f"{name} namespace",
            title,
            (Change(declared.NAMESPACES, without(name), title),),
            cost if shared.value.has(name) is YES or name == "cgroup" else 2 * cost,
            costs.EDIT,
            touches=frozenset({name}),
        )
    if facts.value(declared.USER_NAMESPACE) not in {None, "private"}:
        yield _user_namespace(engine)


def _user_namespace(engine: str) -> Remedy:
    docker, title, operator = engine == "docker", "run it in a user namespace", costs.USER_NAMESPACE_ASKED
    if docker:
        title, operator = "remap users (userns-remap of the engine)", costs.ENGINE_SET_UP
    elif engine in KUBERNETES:
        title, operator = "run it in a user namespace, which the cluster must know", costs.CLUSTER_FEATURE
    return Remedy(
        "user namespace",
        title,
        (Change(declared.USER_NAMESPACE, "private", "container root is nobody to the host"),),
        costs.OTHER_USERS,
        operator,
        Made.ENGINE if docker else Made.FILE,
        touches=frozenset({"userns", "user-namespace", *({"engine"} if docker else ())}),
    )


def filter_remedies(facts: Facts) -> Iterator[Remedy]:
    """Propose the engine's own seccomp filter, security module and masked paths, and a sandbox."""
    engine = facts.value(declared.ENGINE) or ""
    default = "runtime/default" if engine in KUBERNETES else "default"
    seccomp = facts.value(declared.SECCOMP)
    if seccomp is not None and seccomp not in {default, "builtin", "runtime/default"}:
        own = seccomp not in {"unconfined", "default"}
        yield _set("seccomp", "use the engine's own seccomp filter", declared.SECCOMP, default, own=own)
    apparmor = facts.value(declared.APPARMOR)
    if apparmor is not None and apparmor not in {"default", "runtime/default"}:
        own = apparmor != "unconfined"
        yield _set("apparmor", "use the engine's own AppArmor profile", declared.APPARMOR, "default", own=own)
    labels = texts(facts, declared.SELINUX)
    if labels is not None and labels.value and not implied(facts, declared.SELINUX):
        gone = without(*(one for one in labels.value if not one.startswith("level")))
        yield _set("selinux", "use the engine's own SELinux label", declared.SELINUX, gone, own=False)
    paths = facts.value(declared.SYSTEM_PATHS)
    if paths in {"unconfined", "exact"} and not implied(facts, declared.SYSTEM_PATHS):
        title = "leave the engine's masked and read-only paths in force"
        yield _set("system paths", title, declared.SYSTEM_PATHS, "default", own=False)
    runtime = facts.value(declared.RUNTIME)
    if runtime is not None and sandbox_of(runtime) not in {"gvisor", "kata"}:
        name = "gvisor" if engine in KUBERNETES else "runsc"
        yield Remedy(
            "runtime",
            f"run it in gVisor: runtime {name}, which every host must have",
            (Change(declared.RUNTIME, name, "its system calls end at gVisor's kernel"),),
            costs.SANDBOX,
            costs.NEW_RUNTIME,
            touches=frozenset({"runtime"}),
        )


def _set(name: str, title: str, fact: Fact[Any], value: object, *, own: bool) -> Remedy:
    cost = costs.OWN_FILTER if own else costs.DEFAULT_FILTER
    return Remedy(name, title, (Change(fact, value, title),), cost, costs.EDIT, touches=frozenset({name}))


def user_remedies(facts: Facts, wishes: Wishes) -> Iterator[Remedy]:
    """Propose an ordinary user, and to leave groups of the system."""
    if facts.value(declared.CONTAINER_OS) == "windows":
        return
    named = facts.value(declared.USER)
    name, _, group = (named or "").strip().partition(":")
    found = number_of(name)
    if not found:
        # whoever is to keep capabilities cannot be an ordinary user: nothing is left of them after the first exec
        if not wishes.capabilities:
            yield _user(facts, f"{_NOBODY}:{_NOBODY}", costs.ORDINARY_USER + _lost(facts))
    elif number_of(group) is None or (number_of(group) or 0) < _SYSTEM:
        yield _user(facts, f"{found}:{max(found, _SYSTEM)}", costs.GROUP)
    groups = texts(facts, declared.GROUPS)
    for one in () if groups is None else dict.fromkeys(groups.value):
        number = number_of(one)
        if number is None or number < _SYSTEM:
            yield Remedy(
                f"group {one}",
                f"leave the group {one}",
                (Change(declared.GROUPS, without(one), "not in this group"),),
                costs.GROUP,
                costs.EDIT,
                touches=frozenset({f"group-{one}", "groups"}),
            )


def _user(facts: Facts, value: str, cost: int) -> Remedy:
    changes = [Change(declared.USER, value, "not root, and in no group of the system")]
    title = f"run it as user {value}"
    if facts.value(declared.NO_NEW_PRIVILEGES) is False:
        # or a setuid program of the image makes it root again
        changes.append(Change(declared.NO_NEW_PRIVILEGES, True, "no program of the image makes it root again"))
        title += ", with no_new_privileges"
    return Remedy("user", title, tuple(changes), cost, costs.EDIT, touches=frozenset({"user"}))


def _lost(facts: Facts) -> int:
    """Return the cost of what an ordinary user has nothing of, though the document asks for it."""
    added = texts(facts, declared.CAPABILITIES_ADDED)
    names = () if added is None else tuple(spelled(name).removeprefix("CAP_") for name in added.value)
    devices = facts.value(declared.DEVICES)
    return (
        sum(costs.CAPABILITIES.get(name, costs.OTHER_CAPABILITY) for name in names)
        + costs.DEVICE * (len(devices) if isinstance(devices, tuple) else 0)
        + (costs.PRIVILEGED if facts.value(declared.PRIVILEGED) is True else 0)
    )


def implied(facts: Facts, fact: Fact[Any]) -> bool:
    """Tell whether a fact has its value only because the workload is privileged or shares namespaces."""
    seen = facts.seen(fact)
    if seen is None:
        return False
    privileged = facts.seen(declared.PRIVILEGED)
    if privileged is not None and privileged.value is True and seen.where == privileged.where:
        return True
    spaces = members(facts, declared.NAMESPACES)
    return spaces is not None and any(spaces.parts.get(name) == seen.where for name in ("pid", "ipc"))
