"""Read where the container stands in the host's control groups.

What happens: with the host's cgroup namespace, ``/proc/self/cgroup`` and ``/proc/self/mountinfo`` show full paths of
the host: container ids, Pod ids, unit names, which engine runs the machine.

Why the kernel allows it: cgroup paths are shown as the reader's cgroup namespace sees them, and without one of its own
the container sees what the host sees. On version 1 this is Docker's default. It opens nothing by itself; it is told as
attack surface because other techniques want such paths, and because a version 1 hierarchy that is mounted from within
shows its root group only to those who share the namespace.

What closes it: a private cgroup namespace (``--cgroupns=private``), the default on version 2; a sandbox.

How it looks: reads of ``/proc/self/cgroup``, which ordinary programs make too.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import NEVER
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container
from holdfast.model.words.conditions import shares

_OPEN: Situation = {
    container.SHARED_NAMESPACES: Members.of("cgroup"),
    container.SANDBOX: "none",
}

TECHNIQUE = Technique(
    title="Read the host's control group paths",
    row=72,
    attack=("T1613",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=shares("cgroup"),
    gives=(),
    closed_by=(
        Change(container.SHARED_NAMESPACES, without("cgroup"), "give the container a private cgroup namespace"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its control groups are its own"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read where the host keeps this container",
            (step("open", path="/proc/self/cgroup{own_group}", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
            in_host=frozenset({"cgroup"}),
        ),
    ),
    examples=(
        Example("the host's cgroup namespace", _OPEN, YES),
        Example("a private one", {**_OPEN, container.SHARED_NAMESPACES: Members()}, NO),
        Example("in a sandbox", {**_OPEN, container.SANDBOX: "gvisor"}, NO),
        Example("namespaces not seen", unseen(_OPEN, container.SHARED_NAMESPACES), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man7/cgroup_namespaces.7.html",
        "https://docs.docker.com/reference/cli/docker/container/run/",
    ),
)
