"""Reports made by hand, with the content of real scans: what every format's tests render."""

from __future__ import annotations

from holdfast.model.change import Change, without
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.logic import NEVER, covers, is_, is_not, one_of
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.report import (
    Assessment,
    Bearing,
    Contradiction,
    Edge,
    EscapePath,
    Finding,
    Report,
    Verdict,
)
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Step, Technique, Way
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.words import assumed, container, engine, host, reach
from holdfast.model.workload import Workload
from holdfast.techniques import load

RELEASE_AGENT = load()["cgroup-release-agent"]

SOCKET = Technique(
    title="Ask the engine for a container that owns the host",
    row=1,
    attack=("T1611", "T1610"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=covers(container.HOST_PATHS, "/run/docker.sock")
    & (is_(container.HOST_USER_ID, 0) | is_(container.PRIVILEGED, True))
    & is_not(engine.ROOTLESS, True),
    gives=(
        Change(reach.ENGINE_API, True, "the socket takes commands"),
        Change(reach.HOST_ROOT, True, "a container with the host's root directory is root there"),
    ),
    closed_by=(
        Change(container.HOST_PATHS, without("/run/docker.sock"), "do not mount the engine's socket"),
        Change(engine.ROOTLESS, True, "run the engine without root"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "ask the engine",
            (Step("connect", {"path": "/run/docker.sock"}), Step("ask", {"call": "GET /_ping"})),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("socket mounted, root", {container.HOST_USER_ID: 0}, YES),
        Example("no socket", {container.HOST_PATHS: Paths()}, NO),
    ),
    sources=("https://docs.docker.com/engine/security/protect-access/",),
    id="docker-socket",
    page="Ask the engine.\n\nWhat happens: the process asks the engine's socket for a new container.\n\n"
    "What closes it:\n\n* not mounting the socket;\n* a *filtering* proxy `in front` of it.",
)

CORE_PATTERN = Technique(
    title="Name a program in core_pattern that the kernel starts",
    row=48,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=is_(container.HOST_USER_ID, 0) & is_(container.MASKED, False) & is_(host.COREDUMP, True),
    gives=(Change(reach.HOST_ROOT, True, "the kernel starts the program as root"),),
    closed_by=(Change(container.MASKED, True, "keep the default masked paths"),),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D2,
    examples=(),
    sources=("https://docs.kernel.org/admin-guide/sysctl/kernel.html#core-pattern",),
    id="core-pattern",
    page="Name a program in core_pattern.",
)

REMOUNT = Technique(
    title="Remount /proc/sys writable",
    row=49,
    attack=("T1611",),
    evidence=Evidence.DEDUCED,
    exposed_when=is_(container.HOST_USER_ID, 0) & one_of(container.APPARMOR, "unconfined", "none"),
    gives=(Change(container.MASKED, False, "the masks are gone"),),
    closed_by=(Change(container.APPARMOR, "docker-default", "load the default AppArmor profile"),),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D1,
    examples=(),
    sources=("https://man7.org/linux/man-pages/man2/mount.2.html",),
    id="remount-proc-sys",
    page="Remount /proc/sys.",
)

PACKET = Technique(
    title="Listen to the neighbours on a shared bridge",
    row=65,
    attack=("T1557",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=is_(container.HOST_USER_ID, 0),
    gives=(),
    closed_by=(Change(container.CAPABILITIES, without("CAP_NET_RAW"), "drop CAP_NET_RAW"),),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D1,
    examples=(),
    sources=("https://man7.org/linux/man-pages/man7/packet.7.html",),
    id="packet-socket",
    page="Listen.",
)

EXEC = Technique(
    title="Wait for an operator's exec",
    row=80,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    exposed_when=is_(assumed.OPERATOR_EXEC, True),
    gives=(Change(reach.HOST_ROOT, True, "the runtime's binary is replaced"),),
    closed_by=(Change(assumed.OPERATOR_EXEC, False, "do not exec into it"),),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D0,
    examples=(),
    sources=("https://www.cve.org/CVERecord?id=CVE-2019-5736",),
    id="exec-race",
    page="Wait.",
)


def finding(technique: Technique, facts: Facts, bearing: Bearing = Bearing.PATH) -> Finding:
    proof = prove(technique.exposed_when, facts)
    return Finding(technique, proof.truth, proof, bearing)


def web() -> Assessment:
    compose = "shop/compose.yaml"
    sock = Where(compose, "/services/web/volumes/0", 14)
    facts = Facts(
        {
            container.HOST_PATHS: Seen(
                Paths(("/run/docker.sock", "/srv/data")),
                Where(compose, "/services/web/volumes", 13),
                "",
                {"/run/docker.sock": sock},
            ),
            container.HOST_USER_ID: Seen(0, Where(compose, "/services/web/user", 11)),
            container.PRIVILEGED: Seen(False, Where(compose, "/services/web", 9), "Compose default"),
            engine.ROOTLESS: Seen(False, Where("docker info", "/SecurityOptions")),
            container.MASKED: Seen(True, Where(compose, "/services/web", 9), "engine default"),
            container.APPARMOR: Seen("unconfined", Where(compose, "/services/web/security_opt/0", 17)),
            host.COREDUMP: Absent("no host was given", Where("--host")),
            container.CAPABILITIES: Seen(Members.of("CAP_SYS_ADMIN"), Where(compose, "/services/web/cap_add", 18)),
        }
    )
    socket = finding(SOCKET, facts)
    remount = finding(REMOUNT, facts)
    after = facts.saying(container.MASKED, False, Where("after remount-proc-sys"))
    core = finding(CORE_PATTERN, after)
    return Assessment(
        Workload("web", "compose service", Where(compose, "/services/web", 9), "registry.example/shop/web:3"),
        Verdict.ESCAPABLE,
        (
            EscapePath((socket,), reach.HOST_ROOT, YES),
            EscapePath((socket,), reach.ENGINE_API, YES),
            EscapePath((remount, core), reach.HOST_ROOT, UNKNOWN),
        ),
        (
            socket,
            remount,
            core,
            finding(RELEASE_AGENT, Facts(), Bearing.HOST_ONLY),
            finding(PACKET, facts, Bearing.SURFACE),
            finding(EXEC, Facts(), Bearing.ASSUMPTION),
        ),
        (
            Contradiction(
                container.NO_NEW_PRIVILEGES,
                Seen(True, Where(compose, "/services/web/security_opt/1", 18)),
                Seen(False, Where("/proc/4242/status", "", 41)),
            ),
        ),
    )


def database() -> Assessment:
    manifest = "deploy/db.yaml"
    facts = Facts(
        {
            container.HOST_USER_ID: Seen(0, Where(manifest, "/spec/template/spec/containers/0", 20), "image default"),
            container.MASKED: Seen(False, Where(manifest, "/spec/template/spec/containers/0/procMount", 27)),
        }
    )
    core = finding(CORE_PATTERN, facts)
    return Assessment(
        Workload("shop/db", "StatefulSet", Where(manifest, "", 3), "postgres:16"),
        Verdict.UNKNOWN,
        (EscapePath((core,), reach.HOST_ROOT, UNKNOWN),),
        (core, finding(RELEASE_AGENT, Facts(), Bearing.HOST_ONLY)),
    )


def cache(name: str = "shop/cache", line: int = 40) -> Assessment:
    return Assessment(
        Workload(name, "Deployment", Where("deploy/cache.yaml", "", line), "redis:7"),
        Verdict.CONTAINED,
        (),
        (finding(RELEASE_AGENT, Facts(), Bearing.HOST_ONLY),),
    )


def live() -> Assessment:
    """A container that only the engine describes: no file, no line."""
    where = Where("docker://3f2a9c", "/HostConfig/Binds/0")
    facts = Facts(
        {
            container.HOST_PATHS: Seen(Paths(("/run",)), where),
            container.HOST_USER_ID: Seen(0, Where("/proc/4242/status", "", 9)),
            engine.ROOTLESS: Seen(False, Where("docker info", "/SecurityOptions")),
        }
    )
    socket = finding(SOCKET, facts)
    return Assessment(
        Workload("proxy", "docker container", Where("docker://3f2a9c"), "traefik:3", "3f2a9c"),
        Verdict.ESCAPABLE,
        (EscapePath((socket,), reach.HOST_ROOT, YES), EscapePath((socket,), reach.ENGINE_API, YES)),
        (socket,),
    )


BROKEN = NotUnderstood(
    "a tab stands where YAML wants spaces", "deploy/old file.yaml", "replace the tab with spaces", line=7
)


def shop() -> Report:
    return Report(
        (cache(), database(), web()),
        (BROKEN,),
        (Edge("web", "reach.host_root", YES, ("docker-socket",)), Edge("reach.host_root", "shop/db", YES, ())),
        ("run as root to read the live filters of 3 processes",),
        tool_version="0.1.0",
    )


def machine() -> Report:
    return Report((live(),), tool_version="0.1.0", host="node-7", baseline_left_out=1)


EMPTY = Report(())
