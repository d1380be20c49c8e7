"""Create a privileged Pod with the service account's own rights.

What happens: a token of the Pod's service account is mounted inside. If its roles allow it to create Pods or
workloads, to add ephemeral containers, or to make volumes of type hostPath, it asks the API server for a Pod with the
node's root directory inside, on any node it likes, and goes on from there as root.

Why the cluster allows it: role-based access control decides *that* one may create Pods, not *which*. Only admission
control looks at what a Pod asks for, and without Pod Security labels or a policy engine nothing is refused.

What closes it: no token in Pods that never talk to the API server; roles without these rights; Pod Security at level
``baseline`` or ``restricted``, or a policy engine, enforced in every namespace that the account may use.

How it looks: the API server's audit log shows the creation. To a kernel it is one more TLS connection to the API
server.
"""

from holdfast.model.change import Change
from holdfast.model.logic import NEVER, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import cluster, container, reach

_OPEN: Situation = {
    container.SERVICE_ACCOUNT_TOKEN: True,
    cluster.MAY_CREATE_PODS: True,
    cluster.ADMISSION_RESTRICTS: False,
}

TECHNIQUE = Technique(
    title="Create a privileged Pod with the service account's rights",
    row=17,
    attack=("T1610", "T1611"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(container.SERVICE_ACCOUNT_TOKEN, True)
    & is_(cluster.MAY_CREATE_PODS, True)
    & is_(cluster.ADMISSION_RESTRICTS, False),
    gives=(
        Change(reach.HOST_ROOT, True, "the new Pod has the node's root directory inside"),
        Change(reach.OTHER_CONTAINER, True, "the new Pod may share namespaces and volumes with others"),
    ),
    closed_by=(
        Change(container.SERVICE_ACCOUNT_TOKEN, False, "mount no token: automountServiceAccountToken: false"),
        Change(cluster.MAY_CREATE_PODS, False, "take the right to create Pods and workloads from the role"),
        Change(cluster.ADMISSION_RESTRICTS, True, "enforce Pod Security baseline, or a policy engine"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D3,
    examples=(
        Example("a token that may create Pods, nothing restricts them", _OPEN, YES),
        Example("Pod Security is enforced", {**_OPEN, cluster.ADMISSION_RESTRICTS: True}, NO),
        Example("no token mounted", {**_OPEN, container.SERVICE_ACCOUNT_TOKEN: False}, NO),
        Example("the role has no such right", {**_OPEN, cluster.MAY_CREATE_PODS: False}, NO),
        Example(
            "roles and admission not seen",
            unseen(_OPEN, cluster.MAY_CREATE_PODS, cluster.ADMISSION_RESTRICTS),
            UNKNOWN,
        ),
    ),
    sources=(
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/POD_CREATE.md",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/POD_PATCH.md",
    ),
)
