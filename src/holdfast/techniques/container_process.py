"""Look into a process of another container.

What happens: the container shares a process namespace with another one (``--pid container:NAME``) or with the whole
host, or the host's ``/proc`` is mounted. It follows ``/proc/PID/root`` of the other's process and reads and writes its
files, secrets and mounts, reads its environment, and takes over its memory.

Why the kernel allows it: it compares users, capabilities and the user namespace, not containers. Two containers that
run as root with the same capabilities may inspect each other as soon as they can name each other's processes.

What closes it: a process namespace of one's own, the default, and no mount of the host's ``/proc``; different user ids;
a user namespace for each. docker-default does not help: it lets processes of the same profile inspect each other.

How it looks: files are opened along ``/proc/PID/root`` or ``environ`` of a process that is in another container.
"""

from holdfast.model.change import Change
from holdfast.model.logic import AnyOf, contains, is_
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.ways import step
from holdfast.model.words import container, event, reach
from holdfast.model.words.conditions import named

_OPEN: Situation = {container.SAME_USER_IN_CONTAINER: True, container.SANDBOX: "none"}

TECHNIQUE = Technique(
    title="Look into a process of another container",
    row=59,
    attack=("T1552", "T1055.008"),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=is_(container.SAME_USER_IN_CONTAINER, True) & is_(container.SANDBOX, "none"),
    gives=(Change(reach.OTHER_CONTAINER, True, "its files, environment and memory are open"),),
    closed_by=(
        Change(container.SAME_USER_IN_CONTAINER, False, "give each container a process namespace of its own"),
        Change(container.SAME_USER_IN_CONTAINER, False, "give each container a user id of its own"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it sees its own processes only"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & AnyOf((contains(event.PATH, "/root/"), contains(event.PATH, "/cwd/"), named("/environ"))),
    seen_sample={event.IN_CONTAINER: True, event.TARGET_OUTSIDE: True, event.PATH: "/proc/7/root/run/secrets/db"},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read the environment of a process of another container",
            (step("open", path="/proc/{pid:peer}/environ", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
        ),
        Way(
            "the same through a mount of the host's /proc",
            (step("open", path="{file:/proc}/{pid:peer}/environ", mode="r"), step("read", slot="0", length="4096")),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("the process namespace of another container, as the same user", _OPEN, YES),
        Example("no such process within sight", {**_OPEN, container.SAME_USER_IN_CONTAINER: False}, NO),
        Example("in gVisor", {**_OPEN, container.SANDBOX: "gvisor"}, NO),
        Example("other containers not seen", unseen(_OPEN, container.SAME_USER_IN_CONTAINER), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/ptrace.2.html",
        "https://man7.org/linux/man-pages/man5/proc_pid_root.5.html",
        "https://docs.docker.com/reference/cli/docker/container/run/#pid",
    ),
)
