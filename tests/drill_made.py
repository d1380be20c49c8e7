"""Results of drills made by hand: what the tests of every format of a drill render."""

from __future__ import annotations

from dataclasses import replace

from holdfast.model.drill import Attempt, DrillReport, Exercise, Layer, Outcome, StepAnswer
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.technique import DrillClass, ProvedBy
from holdfast.model.truth import NO, UNKNOWN, YES
from reports_made import CORE_PATTERN, EXEC, PACKET, RELEASE_AGENT, REMOUNT, SOCKET

TECHNIQUES = {each.id: each for each in (CORE_PATTERN, EXEC, PACKET, RELEASE_AGENT, REMOUNT, SOCKET)}

ASKED = Attempt(
    "docker-socket",
    SOCKET.title,
    DrillClass.D3,
    YES,
    Outcome.ESCAPED,
    way="ask the engine",
    proved_by=ProvedBy.HEARD,
    repeated=True,
    steps=(StepAnswer("connect", "connect /run/docker.sock", "ok"), StepAnswer("send", "send GET /_ping", "ok")),
    seconds=2.5,
)
MISSED = Attempt(
    "remount-proc-sys",
    REMOUNT.title,
    DrillClass.D1,
    NO,
    Outcome.ESCAPED,
    way="remount it writable",
    proved_by=ProvedBy.SURFACE,
    repeated=True,
    steps=(StepAnswer("remount", "remount /proc/sys with flags 0x1020", "ok"),),
    seconds=1.25,
)
WORKED = Attempt(
    "packet-socket",
    PACKET.title,
    DrillClass.D1,
    YES,
    Outcome.ESCAPED,
    proved_by=ProvedBy.SURFACE,
    repeated=True,
    steps=(StepAnswer("listen_packet", "listen on interface 1", "ok"),),
)
"""It works, as predicted, and leads nowhere by itself."""
STOPPED = Attempt(
    "cgroup-release-agent",
    RELEASE_AGENT.title,
    DrillClass.D3,
    YES,
    Outcome.BLOCKED,
    way="mount a cgroup v1 hierarchy",
    steps=(
        StepAnswer("mkdir", "make /tmp/c", "ok"),
        StepAnswer("mount", "mount cgroup at /tmp/c with options rdma", "EPERM"),
    ),
    blocked_by=(Layer.SECCOMP, Layer.LSM),
    together=True,
    seconds=0.5,
)
OPEN = Attempt(
    "packet-socket",
    PACKET.title,
    DrillClass.D1,
    UNKNOWN,
    Outcome.BLOCKED,
    steps=(StepAnswer("listen_packet", "listen on interface 1", "EPERM"),),
    blocked_by=(Layer.CAPABILITY, Layer.USER_NAMESPACE),
)
BARE = Attempt("keyring-search", "Search the keyring", DrillClass.D1, None, Outcome.BLOCKED, reason="no key was there")
NOT_TRIED = Attempt(
    "core-pattern",
    CORE_PATTERN.title,
    DrillClass.D2,
    YES,
    Outcome.NOT_ATTEMPTED,
    reason="it changes a setting of the whole machine; run it with --vm",
)
NEVER_RUN = Attempt("exec-race", EXEC.title, DrillClass.D0, UNKNOWN, Outcome.NOT_ATTEMPTED)


def agreed(number: int, *layers: Layer) -> Attempt:
    return Attempt(
        f"technique-{number:02}",
        f"Way number {number}",
        DrillClass.D3,
        NO,
        Outcome.BLOCKED,
        way="try it",
        steps=(StepAnswer("open", f"open /dev/thing{number} to write", "EACCES"),),
        blocked_by=layers,
        seconds=0.1,
    )


FORTY = tuple(agreed(n, (Layer.CAPABILITY, Layer.SECCOMP, Layer.NOT_MOUNTED)[n % 7 % 3]) for n in range(40))

WEB = Exercise(
    "web",
    "compose service",
    "shop/compose.yaml:9",
    Replica(
        user="0:0",
        capabilities_added=frozenset({"CAP_SYS_ADMIN", "CAP_NET_RAW"}),
        seccomp="unconfined",
        apparmor="unconfined",
        binds=(Bind("/run/docker.sock", "/run/docker.sock", stand_in="stage/docker.sock"), Bind("", "/tmp")),
        nodes=(Node("/dev/kvm", "/dev/kvm"),),
        sysctls=(("net.ipv4.ip_forward", "1"),),
    ),
    differs=("the image's files are not copied", "the network is not the original's"),
    attempts=(STOPPED, ASKED, *FORTY, OPEN, MISSED, NOT_TRIED, NEVER_RUN, BARE),
)
CACHE = Exercise("cache", "docker container", "docker://3f2a9c", Replica(privileged=True), attempts=FORTY[:3])
BROKEN = Exercise(
    "db", "docker container", "docker://77aa", Replica(engine="podman"), trouble="the image is not there: postgres:16"
)
DEFAULT = Exercise("default container", "control", "", Replica(), attempts=(*FORTY[:20], WORKED))
RESTRICTED = Exercise("restricted container", "control", "", Replica(user="1000"), attempts=FORTY)
FAILING = replace(RESTRICTED, attempts=(*FORTY[:4], MISSED))


def shop() -> DrillReport:
    return DrillReport(
        (WEB, CACHE, BROKEN),
        (DEFAULT, RESTRICTED),
        notes=("2 services have no image and were left out",),
        kernel="6.1.0-30-cloud-amd64",
        tool_version="0.2.0",
        at=1_790_000_000.0,
        seconds=83.4,
    )


def held() -> DrillReport:
    return replace(shop(), exercises=(CACHE,), controls=(RESTRICTED,), notes=(), place="debian-12", seconds=4.2)


def broken() -> DrillReport:
    """A drill of which everything went wrong that can."""
    return replace(
        shop(),
        controls=(FAILING, replace(DEFAULT, attempts=(), trouble="the engine went away")),
        changed=("kernel.core_pattern was 'core', is '|/x'",),
        left=("container holdfast-3f2a: the engine does not answer",),
        stopped="interrupted",
    )


EMPTY = DrillReport(())
UNTRIED = DrillReport((replace(CACHE, attempts=(NOT_TRIED,)),), tool_version="0.2.0")

ALL = {"shop": shop(), "held": held(), "broken": broken(), "empty": EMPTY, "untried": UNTRIED}
