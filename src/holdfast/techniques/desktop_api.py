"""Command Docker Desktop's engine over its internal address (CVE-2025-9074).

What happens: Docker Desktop for Windows and macOS runs the engine in a virtual machine. Up to version 4.44.2 its API
answered on 192.168.65.7:2375, an address that every container reaches. Two HTTP requests create and start a container
that mounts the user's drive; on Windows that is the whole of C:.

Why the engine allowed it: the port was meant for Desktop's own parts and asked for no credential, and no filter stood
between it and the containers' network. Enhanced Container Isolation does not help, nor does a socket that is not
mounted.

What closes it: Docker Desktop 4.44.3 or later; a network for the container from which the address is not reached.

How it looks: a container connects to 192.168.65.7, port 2375.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, less_than
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import engine, event, network, reach

_OPEN: Situation = {
    engine.DESKTOP: True,
    engine.DESKTOP_VERSION: (4, 43, 2),
    network.DESKTOP_API: True,
}

TECHNIQUE = Technique(
    title="Command Docker Desktop's engine over its internal address",
    row=13,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(engine.DESKTOP, True)
    & less_than(engine.DESKTOP_VERSION, (4, 44, 3))
    & is_(network.DESKTOP_API, True),
    gives=(
        Change(reach.ENGINE_API, True, "the engine behind the address carries out whatever it is asked"),
        Change(reach.HOST_FILE_WRITE, True, "a new container can mount the user's drive"),
        Change(reach.HOST_FILE_READ, True, "a new container can mount the user's drive"),
    ),
    closed_by=(
        Change(engine.DESKTOP_VERSION, (4, 44, 3), "update Docker Desktop"),
        Change(network.DESKTOP_API, False, "give the container a network from which the address is not reached"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.SYSCALL, "connect")
    & is_(event.ADDRESS, "192.168.65.7")
    & is_(event.PORT, 2375),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.ADDRESS: "192.168.65.7",
        event.PORT: 2375,
    },
    drill_class=DrillClass.D1,
    examples=(
        Example("Desktop 4.43.2 and the address answers", _OPEN, YES),
        Example("Desktop 4.44.3", {**_OPEN, engine.DESKTOP_VERSION: (4, 44, 3)}, NO),
        Example("an engine on Linux", {**_OPEN, engine.DESKTOP: False}, NO),
        Example("nobody tried the address", unseen(_OPEN, network.DESKTOP_API), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/desktop/release-notes/#4443",
        "https://docs.docker.com/security/security-announcements/",
        "https://nvd.nist.gov/vuln/detail/CVE-2025-9074",
    ),
)
