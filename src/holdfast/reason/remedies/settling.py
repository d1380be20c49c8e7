"""What becomes of facts whose value came from another one, after that was changed."""

from __future__ import annotations

from holdfast.model.facts import Facts, Seen
from holdfast.model.truth import NO
from holdfast.model.words import declared
from holdfast.reason.effective.ground import KUBERNETES
from holdfast.reason.effective.reading import members, texts
from holdfast.reason.remedies.rights import implied


def settled(before: Facts, after: Facts) -> Facts:
    """Let a privileged container's lack of labels and masked paths end with the privilege.

    Docker and Podman disable labels for a container that is privileged or shares the host's pid or ipc namespace, and
    mask nothing where it is privileged.

    Args:
        before: ``declared.*`` as they were read.
        after: The same with changes applied.
    """
    if after.value(declared.PRIVILEGED) is True:
        return after
    table = dict(after.table)
    spaces = members(after, declared.NAMESPACES)
    free = spaces is None or any(spaces.value.has(name) is not NO for name in ("pid", "ipc"))
    labels, paths = after.seen(declared.SELINUX), after.seen(declared.SYSTEM_PATHS)
    if labels is not None and not free and implied(before, declared.SELINUX):
        table[declared.SELINUX] = Seen((), labels.where, "engine default")
    if paths is not None and implied(before, declared.SYSTEM_PATHS):
        table[declared.SYSTEM_PATHS] = Seen("default", paths.where, "engine default")
    return Facts(table)


def starts(facts: Facts) -> bool:
    """Tell whether an engine would start it, as far as changes meet such a border.

    None gives a user namespace to what shares certain other ones, and Kubernetes refuses ``allowPrivilegeEscalation:
    false`` beside the privileged flag and beside a capability that is written ``CAP_SYS_ADMIN``.

    Source:
        ``daemon/daemon_unix.go`` of moby; ``ValidateSecurityContext`` of Kubernetes;
        https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/
    """
    engine = facts.value(declared.ENGINE) or ""
    privileged = facts.value(declared.PRIVILEGED) is True
    if engine in KUBERNETES and facts.value(declared.NO_NEW_PRIVILEGES) is True:
        added = texts(facts, declared.CAPABILITIES_ADDED)
        if privileged or (added is not None and "CAP_SYS_ADMIN" in added.value):
            return False
    if facts.value(declared.USER_NAMESPACE) != "private" or engine == "podman":
        return True
    spaces = members(facts, declared.NAMESPACES)
    names = ("pid", "net") if engine == "docker" else ("pid", "net", "ipc")
    if spaces is not None and any(spaces.value.has(name) is not NO for name in names):
        return False
    return not (engine == "docker" and privileged)
