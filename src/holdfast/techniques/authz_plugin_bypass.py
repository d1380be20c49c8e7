"""Get past the authorization plug-in that guards the Docker API (CVE-2024-41110, CVE-2026-34040).

What happens: the engine's socket is inside the container, and an authorization plug-in is all that keeps the
container from starting a privileged one. The engine hands the plug-in a copy of each request. With a body declared
empty (2024), or one larger than a megabyte (2026), the plug-in got no body at all, judged the harmless rest, and
agreed; the engine then carried out the whole.

Why the engine allowed it: copying the body for the plug-in and reading it for the engine were two different pieces of
code with different limits. The first hole was closed in 18.09.1 and came back; the second stayed until 29.3.1.

What closes it: Engine 29.3.1 or later; not mounting the socket; a user namespace; SELinux; a sandbox. A plug-in that
refuses whatever arrives without a body holds against both.

How it looks: connects to ``docker.sock`` from a container; requests in the engine's log that the plug-in's log shows
without a body. Distributions carry fixes under older version numbers: compare their package. Debian's
20.10.24+dfsg1-1+deb12u1 has the first hole closed and the second open: a drill has seen both.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import AnyOf, at_least, is_, less_than
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import pass_plugin
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import connects_to, permitted, reaches_socket, writes_as_root

_SOCKET = "/run/docker.sock"

_EMPTY_BODY_RANGES = (
    ((19,), (19, 3, 16)),
    ((20,), (20, 10, 28)),
    ((23,), (23, 0, 15)),
    ((24,), (24, 0, 10)),
    ((25,), (25, 0, 6)),
    ((26, 0), (26, 0, 3)),
    ((26, 1), (26, 1, 5)),
    ((27,), (27, 1, 1)),
)
"""From the first bad to the first good version of each branch (GO-2024-3005)."""

_EMPTY_BODY = AnyOf(
    tuple(at_least(engine.VERSION, first) & less_than(engine.VERSION, good) for first, good in _EMPTY_BODY_RANGES)
)
_LARGE_BODY = less_than(engine.VERSION, (29, 3, 1))

_OPEN: Situation = {
    container.HOST_PATHS: Paths((_SOCKET,)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    engine.AUTHZ_PLUGINS: True,
    engine.VERSION: (27, 1, 0),
}

TECHNIQUE = Technique(
    title="Get past the authorization plug-in of the Docker API",
    row=15,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=reaches_socket(_SOCKET)
    & (writes_as_root() | permitted(_SOCKET))
    & is_(engine.AUTHZ_PLUGINS, True)
    & (_EMPTY_BODY | _LARGE_BODY),
    gives=(
        Change(reach.ENGINE_API, True, "the engine carries out requests that the plug-in never saw in full"),
        Change(reach.HOST_ROOT, True, "a new container with the host's root directory inside is root on the host"),
    ),
    closed_by=(
        Change(engine.VERSION, (29, 3, 1), "update the engine"),
        Change(container.HOST_PATHS, without(_SOCKET), "do not mount the socket or a directory above it"),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: the socket refuses container root"),
        Change(container.LSM_DENIES, with_("host_sockets"), "enforce SELinux: container_t may not use the socket"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: its kernel does not pass on the host's sockets"),
    ),
    seen_as=connects_to("/docker.sock"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "connect", event.PATH: "/var/run/docker.sock"},
    drill_class=DrillClass.D1,
    drill=(
        pass_plugin(_SOCKET, "large", what="a body of more than a megabyte"),
        pass_plugin(_SOCKET, "unsized", what="a body whose length is not declared"),
    ),
    examples=(
        Example("socket guarded by a plug-in only, Engine 27.1.0", _OPEN, YES),
        Example("Engine 28.0.0 has the first fix but not the second", {**_OPEN, engine.VERSION: (28, 0, 0)}, YES),
        Example("Debian 12: a package with the first fix alone", {**_OPEN, engine.VERSION: (20, 10, 24)}, YES),
        Example("Engine 29.3.1", {**_OPEN, engine.VERSION: (29, 3, 1)}, NO),
        Example("no plug-in to get past", {**_OPEN, engine.AUTHZ_PLUGINS: False}, NO),
        Example("socket not mounted", {**_OPEN, container.HOST_PATHS: Paths(("/srv/app",))}, NO),
        Example("engine not seen", unseen(_OPEN, engine.VERSION, engine.AUTHZ_PLUGINS), UNKNOWN),
    ),
    sources=(
        "https://github.com/moby/moby/security/advisories/GHSA-v23v-6jw2-98fq",
        "https://github.com/moby/moby/security/advisories/GHSA-x744-4wpc-v9h2",
        "https://osv.dev/vulnerability/GO-2024-3005",
        "https://www.docker.com/blog/docker-security-advisory-docker-engine-authz-plugin/",
    ),
)
