"""Changes written into Compose files: what is written is read back, and the other lines stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.model.change import Change
from holdfast.model.tree import Document
from holdfast.model.words import declared
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.model.written import Written
from holdfast.platforms import compose
from writing_layout import Layout, Raw
from writing_made import Read, Tally, candidates, hold, parsed, same_but, together

NAME = "/srv/shop/compose.yaml"
DATA = Path(__file__).parent / "data" / "compose"
EXAMPLES = Path(__file__).parent.parent / "examples"


def reader(name: str = NAME, files: dict[str, str] | None = None, overlays: Sequence[str] = ()) -> Read:
    """Return what reads a text as the program does."""

    def read(text: str) -> tuple[Document, Reading]:
        document = parsed(name, text)
        later = tuple(parsed(f"/srv/shop/over.{at}.yaml", body) for at, body in enumerate(overlays))
        known: dict[str, Any] = {}
        for _ in range(8):
            try:
                return document, compose.read(document, Surroundings(known, later, {"HOME": "/root"}))
            except Needs as needs:
                for wanted in needs.names:
                    body = (files or {}).get(wanted)
                    known[wanted] = None if body is None else parsed(wanted, body)
        raise AssertionError("it never stops asking")

    return read


def written(
    text: str, service: str, *changes: Change, files: dict[str, str] | None = None, overlays: Sequence[str] = ()
) -> Written:
    """Write changes into one service."""
    document, reading = reader(files=files, overlays=overlays)(text)
    described = next(one for one in reading.workloads if one.workload.name == service)
    return compose.write(text, document, described, changes)


def change(fact: Any, value: object) -> Change:
    return Change(fact, value, "a test")


UNPRIVILEGED = change(declared.PRIVILEGED, False)

# --- the law, over any file ------------------------------------------------------------------------------------------

CAPABILITIES = st.lists(st.sampled_from(["SYS_ADMIN", "NET_ADMIN", "CAP_SYS_PTRACE", "ALL"]), min_size=1, unique=True)
SHORT_VOLUMES = st.sampled_from([
    "/:/host", "/var/run/docker.sock:/var/run/docker.sock", "/etc:/etc:ro", "./data:/data:rw,z", "data:/var/lib/data",
    "/srv:/srv:rshared", "/scratch", "~/x:/x", Raw("${DATA}:/y"), Raw("'${OTHER:-/opt}:/opt'"),
])  # fmt: skip
LONG_VOLUMES = st.fixed_dictionaries(
    {
        "type": st.just("bind"),
        "source": st.sampled_from(["/", "/proc", "./w"]),
        "target": st.sampled_from(["/l", "/m"]),
    },
    optional={"read_only": st.booleans(), "bind": st.just({"propagation": "rshared"})},
)
OPTIONS = st.lists(
    st.sampled_from([
        "no-new-privileges:false", "no-new-privileges:true", "seccomp:unconfined", "seccomp=unconfined",
        "apparmor:unconfined", "apparmor=unconfined", "systempaths=unconfined", "label:disable", "label=type:spc_t",
        "writable-cgroups=true",
    ]),
    min_size=1, max_size=4, unique=True,
)  # fmt: skip
SERVICE = st.fixed_dictionaries(
    {"image": st.sampled_from(["nginx:1", "registry.example/a/b@sha256:00"])},
    optional={
        "privileged": st.sampled_from([True, False, Raw("${PRIVILEGED}"), Raw("${P:-true}"), Raw("yes"), "on"]),
        "read_only": st.booleans(),
        "user": st.sampled_from(["0:0", "root", 1000, "1000:1000"]),
        "cap_add": CAPABILITIES,
        "cap_drop": CAPABILITIES,
        "security_opt": OPTIONS,
        "volumes": st.lists(SHORT_VOLUMES | LONG_VOLUMES, min_size=1, max_size=4, unique_by=str),
        "tmpfs": st.sampled_from(["/run", ["/run", "/tmp:size=1m"]]),
        "devices": st.lists(
            st.sampled_from(["/dev/kvm", "/dev/sda:/dev/xda:r", "/dev/fuse:/dev/fuse"]), min_size=1, unique=True
        ),
        "pid": st.just("host"),
        "ipc": st.sampled_from(["host", "shareable"]),
        "network_mode": st.sampled_from(["host", "none"]),
        "uts": st.just("host"),
        "cgroup": st.just("host"),
        "userns_mode": st.just("host"),
        "runtime": st.just("runc"),
        "sysctls": st.sampled_from([["net.core.somaxconn=1024"], {"kernel.msgmax": 65536, "net.ipv4.ip_forward": 1}]),
        "group_add": st.sampled_from([["docker"], [999, "video"]]),
        "device_cgroup_rules": st.just(["c 1:3 rwm", "a *:* rwm"]),
        "environment": st.just({"A": "b # c", "D": "x: y"}),
        "command": st.just(["sh", "-c", "echo privileged: true"]),
    },
)


@st.composite
def projects(draw: st.DrawFn) -> str:
    """Draw the text of a Compose file."""
    services: dict[str, Any] = draw(
        st.dictionaries(st.sampled_from(["web", "db", "cache-1", "job"]), SERVICE, min_size=1, max_size=3)
    )
    tree: dict[str, Any] = {"services": services, "volumes": {"data": None}}
    seed = draw(st.integers(0, 2**32))
    shared = draw(st.sampled_from(["", "", "", "merge", "alias"]))
    if shared:
        common: dict[str, Any] = draw(SERVICE)
        common.pop("image")
        if common:
            tree = {"x-shared": {"&": "shared", **common}, **tree}
            if shared == "merge":
                services = {name: {"<<": Raw("*shared"), **body} for name, body in services.items()}
                tree["services"] = services
            else:
                services["last"] = Raw("*shared")
    return Layout.of(seed).document(tree)


@given(projects())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(text: str) -> None:
    hold(reader(), compose.write, text, Tally(), kubernetes=False)


@given(projects())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_changes_are_written_at_once(text: str) -> None:
    read = reader()
    document, before = read(text)
    for index, described in enumerate(before.workloads):
        asked = together(candidates(described, kubernetes=False))
        done = compose.write(text, document, described, asked)
        left = [one.change for one in done.left]
        same_but(read, text, done.text, before, index, [one for one in asked if one not in left], kubernetes=False)
