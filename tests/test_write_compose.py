"""Changes written into Compose files: what is written is read back, and the other lines stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.model.change import Change, Instead, with_, without
from holdfast.model.tree import Document
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.model.written import Written
from holdfast.platforms import compose
from writing_layout import Layout, Raw
from writing_made import Read, Tally, candidates, foreign_files, hold, own_files, parsed, same_but, together

NAME = "/srv/shop/compose.yaml"


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
        "cap_drop": CAPABILITIES | st.just([]) | st.none(),
        "security_opt": OPTIONS | st.just([]) | st.none(),
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
        "entrypoint": st.just("set -e\n# no comment\nprivileged: true\n\n"),
        "x-more": st.sampled_from([[], {}, None]),
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
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(text: str) -> None:
    hold(reader(), compose.write, text, Tally(), kubernetes=False)


@given(projects())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_changes_are_written_at_once(text: str) -> None:
    read = reader()
    document, before = read(text)
    for index, described in enumerate(before.workloads):
        asked = together(candidates(described, kubernetes=False))
        done = compose.write(text, document, described, asked)
        left = [one.change for one in done.left]
        same_but(read, text, done.text, before, index, [one for one in asked if one not in left], kubernetes=False)


# --- what it looks like ----------------------------------------------------------------------------------------------

SHOP = """\
# shop
services:
    web:   # the front
        image: nginx:1   # pinned
        privileged:   yes   # made the error go away
        volumes:
        - "/var/run/docker.sock:/var/run/docker.sock"   # for the page
        - type: bind
          source: /
          target: /host
        cap_add: [ SYS_ADMIN, NET_ADMIN ]
        pid: host

    # the data
    db: {image: postgres:15, cap_add: [SYS_ADMIN], tmpfs: /run}
"""
HARDENED = """\
# shop
services:
    web:   # the front
        image: nginx:1   # pinned
        privileged:   false   # made the error go away
        volumes:
        - type: bind
          source: /
          target: /host
          read_only: true
        cap_add: [ NET_ADMIN ]
        user: "65532:65532"
        read_only: true
        security_opt:
        - no-new-privileges:true

    # the data
    db: {image: postgres:15, tmpfs: /run, cap_drop: [ALL]}
"""
SOCKET = Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock")
ROOT = Mount("bind", "/", "/host")


def test_a_file_stays_as_its_owner_wrote_it() -> None:
    done = written(
        SHOP,
        "web",
        UNPRIVILEGED,
        change(declared.USER, "65532:65532"),
        change(declared.READ_ONLY_ROOT, True),
        change(declared.CAPABILITIES_ADDED, without("SYS_ADMIN")),
        change(declared.NAMESPACES, without("pid")),
        change(declared.NO_NEW_PRIVILEGES, True),
        change(declared.MOUNTS, without(SOCKET)),
        change(declared.MOUNTS, Instead(ROOT, Mount("bind", "/", "/host", read_only=True))),
    )
    assert not done.left
    done = written(
        done.text,
        "db",
        change(declared.CAPABILITIES_ADDED, without("SYS_ADMIN")),
        change(declared.CAPABILITIES_DROPPED, with_("ALL")),
    )
    assert not done.left
    assert done.text == HARDENED


def one(body: str, *changes: Change, **around: Any) -> tuple[str, list[str]]:
    """Write into a service whose lines are given without their indentation."""
    head = "services:\n  web:\n"
    text = head + "".join(f"    {line}\n" for line in ["image: a", *body.splitlines()])
    done = written(text, "web", *changes, **around)
    lines = done.text.removeprefix(head).splitlines()[1:]
    return "\n".join(line.removeprefix("    ") for line in lines), [left.why for left in done.left]


@pytest.mark.parametrize(
    ("body", "asked", "expected"),
    [
        ("", UNPRIVILEGED, ""),
        ("privileged: ${P}", UNPRIVILEGED, "privileged: false"),
        ("privileged: 'true'", UNPRIVILEGED, "privileged: false"),
        ("cap_add:\n  - ${CAP:-CHOWN}", change(declared.CAPABILITIES_ADDED, without("CHOWN")), ""),
        ("cap_add: &c\n  - CHOWN", change(declared.CAPABILITIES_ADDED, without("CHOWN")), ""),
        ("cap_add: ['A', 'B',]", change(declared.CAPABILITIES_ADDED, without("B")), "cap_add: ['A',]"),
        ("cap_add: ['A']", change(declared.CAPABILITIES_ADDED, with_("B")), "cap_add: ['A', 'B']"),
        ("cap_drop:\n- A\nuser: a", change(declared.CAPABILITIES_DROPPED, with_("B")), "cap_drop:\n- A\n- B\nuser: a"),
        ("cap_drop: [\n  A,  # a\n  B  # b\n]", change(declared.CAPABILITIES_DROPPED, with_("C")),
         "cap_drop: [\n  A,  # a\n  B,  # b\n  C\n]"),
        ("cap_drop: [\n  A,  # a\n  B,  # b\n]", change(declared.CAPABILITIES_DROPPED, with_("C")),
         "cap_drop: [\n  A,  # a\n  B,  # b\n  C,\n]"),
        ("cap_add: [\n  A,  # a\n  B  # b\n]", change(declared.CAPABILITIES_ADDED, without("B")),
         "cap_add: [\n  A,  # a\n]"),
        ("cap_add: # c\n  # a\n  - A\n\n  # b\n  - B", change(declared.CAPABILITIES_ADDED, without("A")),
         "cap_add: # c\n  # a\n\n  # b\n  - B"),
        ("cap_drop:   # none", change(declared.CAPABILITIES_DROPPED, with_("A")), "cap_drop:  # none\n  - A"),
        ("cap_drop: []   # none", change(declared.CAPABILITIES_DROPPED, with_("A")), "cap_drop: [A]   # none"),
        ("entrypoint: |+\n  a\n\nx-b: |+\n  c\n\n", UNPRIVILEGED, "entrypoint: |+\n  a\n\nx-b: |+\n  c\n"),
        ("volumes: ['/:/host']", change(declared.MOUNTS, Instead(ROOT, Mount("bind", "/", "/host", read_only=True))),
         "volumes: ['/:/host:ro']"),
        ("volumes: [/:/host:rw]", change(declared.MOUNTS, Instead(ROOT, Mount("bind", "/", "/host", read_only=True))),
         "volumes: [/:/host:ro]"),
        ("volumes: [/:/host:rshared]",
         change(declared.MOUNTS, Instead(Mount("bind", "/", "/host", False, "rshared"), ROOT)), "volumes: [/:/host]"),
        ("devices: [/dev/kvm]", change(declared.DEVICES, with_(Device("/dev/fuse", "/dev/fuse", "rw"))),
         "devices: [/dev/kvm, /dev/fuse:/dev/fuse:rw]"),
        ("use_api_socket: true", change(declared.MOUNTS, without(SOCKET)), "use_api_socket: false"),
        ("security_opt: [seccomp=unconfined, label:disable]", change(declared.SECCOMP, "default"),
         "security_opt: [label:disable]"),
        ("security_opt:\n  - no-new-privileges:false", change(declared.NO_NEW_PRIVILEGES, True),
         "security_opt:\n  - no-new-privileges:true"),
        ("security_opt:\n  - no-new-privileges", change(declared.NO_NEW_PRIVILEGES, True),
         "security_opt:\n  - no-new-privileges"),
        ("network_mode: host # x", change(declared.NAMESPACES, without("net")), ""),
        ("cgroup: host", change(declared.NAMESPACES, without("cgroup")), "cgroup: private"),
        ("userns_mode: host", change(declared.USER_NAMESPACE, "default"), ""),
        ("sysctls:\n  a: 1\n  b: 2", change(declared.SYSCTLS, without(("a", "1"))), "sysctls:\n  b: 2"),
        ("user: 0", change(declared.USER, "65532:65532"), 'user: "65532:65532"'),
        ("tmpfs: /run", change(declared.MOUNTS, with_(Mount("tmpfs", "", "/tmp"))), "tmpfs:\n  - /run\n  - /tmp"),
    ],
)  # fmt: skip
def test_one_change(body: str, asked: Change, expected: str) -> None:
    assert one(body, asked) == (expected, [])


@pytest.mark.parametrize(
    ("body", "asked", "why"),
    [
        ("", change(declared.USER_NAMESPACE, "private"), "daemon.json"),
        ("", change(declared.RUN_AS_NON_ROOT, True), "no word"),
        ("", change(declared.USER, ""), "no value"),
        ("privileged: true", change(declared.SYSTEM_PATHS, "default"), "privileged: true; that must change first"),
        ("pid: host", change(declared.SELINUX, ()), "pid: host; that must change first"),
        ("security_opt: ['${OPTION}']", change(declared.NO_NEW_PRIVILEGES, True), "a variable"),
        ("volumes: [/host]", change(declared.MOUNTS, Instead(Mount("volume", "", "/host"),
         Mount("volume", "", "/host", read_only=True))), "long syntax"),
        ("", change(declared.SECCOMP, "profile"), "by hand"),
        ("", change(declared.STORAGE_DRIVER, "overlay2"), "cannot be written into this kind"),
        ("privileged: true\nprivileged: true", UNPRIVILEGED, "stands 2 times"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_handed_back_with_the_reason(body: str, asked: Change, why: str) -> None:
    before = one(body)[0]
    after, reasons = one(body, asked)
    assert after == before
    assert len(reasons) == 1
    assert why in reasons[0]


def test_a_merge_key_is_overridden_in_the_service_alone() -> None:
    text = (
        "x-app: &app\n  privileged: true\n  cap_add: [SYS_ADMIN, CHOWN]\n  security_opt:\n    - seccomp:unconfined\n"
        "services:\n  web:\n    <<: *app\n    image: a\n  db:\n    <<: *app\n    image: b\n"
    )
    asked = [
        UNPRIVILEGED, change(declared.CAPABILITIES_ADDED, without("SYS_ADMIN")), change(declared.SECCOMP, "default"),
    ]  # fmt: skip
    done = written(text, "web", *asked)
    assert not done.left
    own = "    privileged: false\n    cap_add:\n      - CHOWN\n    security_opt: []\n"
    assert done.text == text.replace("    image: a\n", "    image: a\n" + own)


def test_an_own_list_that_becomes_empty_still_hides_what_is_merged() -> None:
    text = (
        "x-app: &app\n  cap_add: [CHOWN]\nservices:\n  web:\n    <<: *app\n    image: a\n"
        "    cap_add:  # mine\n      # why\n      - SYS_ADMIN\n    user: a\n"
    )
    done = written(text, "web", change(declared.CAPABILITIES_ADDED, without("SYS_ADMIN")))
    assert not done.left
    assert done.text == text.replace("cap_add:  # mine\n      # why\n      - SYS_ADMIN\n", "cap_add: []  # mine\n")


def test_what_others_refer_to_stays() -> None:
    text = (
        "services:\n  web:\n    image: a\n    cap_add: &caps\n      - CHOWN\n  db:\n    image: b\n    cap_add: *caps\n"
    )
    asked = change(declared.CAPABILITIES_ADDED, without("CHOWN"))
    done = written(text, "web", asked)
    assert done.text == text
    assert "&caps, which line 8 refers to" in done.left[0].why
    assert done.left[0].where.line == 4
    done = written(text, "db", asked)
    assert not done.left
    assert done.text == text.replace("    cap_add: *caps\n", "")


def test_what_others_refer_to_changes_once_they_say_otherwise_themselves() -> None:
    text = "services:\n  web: &web\n    image: a\n    privileged: true\n  db:\n    <<: *web\n"
    assert written(text, "web", UNPRIVILEGED).text == text
    both = written(text, "db", UNPRIVILEGED).text
    assert both == text + "    privileged: false\n"
    assert written(both, "web", UNPRIVILEGED).text == text.replace("true", "false") + "    privileged: false\n"


def test_a_service_that_another_extends_stays() -> None:
    text = "services:\n  web:\n    image: a\n    privileged: true\n  job:\n    extends: web\n"
    done = written(text, "web", UNPRIVILEGED)
    assert done.text == text
    assert "the service job extends this one" in done.left[0].why
    done = written(text, "job", UNPRIVILEGED)
    assert done.text == text + "    privileged: false\n"
    done = written(done.text, "web", UNPRIVILEGED)
    assert done.text == text.replace("true", "false") + "    privileged: false\n"


def test_what_another_file_brings_is_handed_back_with_its_place() -> None:
    text = "services:\n  web:\n    extends: {file: base.yaml, service: app}\n    image: a\n"
    files = {"/srv/shop/base.yaml": "services:\n  app:\n    privileged: true\n    cap_add: [SYS_ADMIN]\n"}
    done = written(
        text, "web", UNPRIVILEGED, change(declared.CAPABILITIES_ADDED, without("SYS_ADMIN")), files=files
    )  # fmt: skip
    assert done.text == text + "    privileged: false\n"
    assert [str(left.where) for left in done.left] == ["/srv/shop/base.yaml:4"]


def test_the_file_that_wins_is_named() -> None:
    text = "services:\n  web:\n    image: a\n    privileged: true\n"
    done = written(
        text, "web", UNPRIVILEGED, change(declared.READ_ONLY_ROOT, True), overlays=[text]
    )  # fmt: skip
    assert [str(left.where) for left in done.left] == ["/srv/shop/over.0.yaml:4"]
    assert done.text == text + "    read_only: true\n"


def test_an_override_file_is_written_itself() -> None:
    main = "services:\n  web:\n    image: a\n    cap_add: [CHOWN]\n"
    over = "services:\n  web:\n    privileged: true\n"
    _, reading = reader(overlays=[over])(main)
    asked = [UNPRIVILEGED, change(declared.CAPABILITIES_ADDED, without("CHOWN"))]
    done = compose.write(over, parsed("/srv/shop/over.0.yaml", over), reading.workloads[0], asked)
    assert done.text == over.replace("true", "false")
    assert [str(left.where) for left in done.left] == [f"{NAME}:4"]


def test_a_service_in_whose_namespace_another_is_keeps_it() -> None:
    text = "services:\n  web:\n    image: a\n    pid: host\n  agent:\n    image: b\n    pid: service:web\n"
    done = written(text, "web", change(declared.NAMESPACES, without("pid")))
    assert done.text == text
    assert "agent" in done.left[0].why


def test_json_stays_json() -> None:
    text = json.dumps({"services": {"web": {"image": "a", "cap_add": ["SYS_ADMIN", "CHOWN"]}}}, indent=1)
    done = written(
        text, "web", change(declared.CAPABILITIES_ADDED, without("CHOWN")), change(declared.USER, "1000:1000")
    )
    assert json.loads(done.text)["services"]["web"] == {"image": "a", "cap_add": ["SYS_ADMIN"], "user": "1000:1000"}
    assert done.text.count("\n") == text.count("\n")


def test_a_file_that_is_broken_elsewhere_is_left_alone() -> None:
    text = "services:\n  web:\n    image: a\n    privileged: true\n  db: [\n"
    document = parsed(NAME, "services:\n  web:\n    image: a\n    privileged: true\n")
    described = compose.read(document, Surroundings()).workloads[0]
    done = compose.write(text, document, described, [UNPRIVILEGED])
    assert done.text == text
    assert "no YAML" in done.left[0].why


# --- files of other people -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", own_files(compose.recognises), ids=lambda path: path.name)
def test_the_law_holds_for_a_file_of_the_repository(path: Path) -> None:
    tally = Tally()
    hold(reader(str(path)), compose.write, path.read_bytes().decode(), tally, kubernetes=False)
    assert tally.written > tally.refused


def test_the_law_holds_for_files_of_other_people_where_there_are_some() -> None:
    tally = Tally()
    for path in (*own_files(compose.recognises), *foreign_files(compose.recognises)):
        hold(reader(str(path)), compose.write, path.read_bytes().decode(), tally, kubernetes=False)
    assert tally.written > tally.refused
