"""Changes written into command lines: what is written is read back, and the other words stay."""

from __future__ import annotations

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
from holdfast.platforms import docker_run
from writing_made import Read, Tally, candidates, hold, same_but, together

DATA = Path(__file__).parent / "data" / "docker"


def reader(name: str = "/srv/shop/run.sh") -> Read:
    """Return what reads a text as the program does."""

    def read(text: str) -> tuple[Document, Reading]:
        document = Document(name, text)
        known: dict[str, Any] = {}
        for _ in range(8):
            try:
                return document, docker_run.read(document, Surroundings(known, (), {"PWD": "/srv", "HOME": "/root"}))
            except Needs as needs:
                known.update(dict.fromkeys(needs.names))
        raise AssertionError("it never stops asking")

    return read


def written(text: str, *changes: Change, at: int = 0) -> tuple[str, list[str]]:
    """Write changes into one command of a text."""
    document, reading = reader()(text)
    done = docker_run.write(text, document, reading.workloads[at], changes)
    return done.text, [left.why for left in done.left]


def change(fact: Any, value: object) -> Change:
    return Change(fact, value, "a test")


OPTION = st.sampled_from([
    "--privileged", "--privileged=true", "--read-only", "-it", "-d", "--rm", "--cap-add SYS_ADMIN",
    "--cap-add=NET_ADMIN", "--cap-drop ALL", "--security-opt seccomp=unconfined", "--security-opt=apparmor:unconfined",
    "--security-opt label=disable", "--security-opt systempaths=unconfined", "--pid=host", "--pid host", "--net host",
    "--ipc=host", "--uts=host", "--userns=host", "--cgroupns=host", "-v /:/host", "-v '/etc:/etc:ro'", '-v "$PWD":/app',
    "-v ./data:/data", "--mount type=bind,source=/proc,target=/p", "--tmpfs /run", "-u root", "-u0:0", '--user="1:1"',
    "--device /dev/kvm", "--device=/dev/sda:/dev/xda:r", "--sysctl net.core.somaxconn=1", "--group-add docker",
    "-e A='b c'", "--runtime runc", "-v data:/var/lib/data", "--security-opt no-new-privileges=false",
])  # fmt: skip


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """Draw a script with one or two commands."""
    lines: list[str] = ["#!/bin/sh"] if draw(st.booleans()) else []
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    for number in range(draw(st.integers(1, 2))):
        options = draw(st.lists(OPTION, max_size=6, unique=True))
        between = draw(st.sampled_from([" ", " ", f" \\{newline}  ", f" \\{newline}\t"]))
        words = [
            draw(st.sampled_from(["docker run", "sudo docker run", "docker create"])),
            f"--name c{number}",
            *options,
        ]
        tail = draw(st.sampled_from(["", " sh -c 'echo --privileged'", "   # why"]))
        lines.append(between.join([*words, "registry.example/app:1"]) + tail)
    return newline.join(lines) + draw(st.sampled_from(["", newline]))


@given(scripts())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(text: str) -> None:
    hold(reader(), docker_run.write, text, Tally(), kubernetes=False)


@given(scripts())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_changes_are_written_at_once(text: str) -> None:
    read = reader()
    document, before = read(text)
    for index, described in enumerate(before.workloads):
        asked = together(candidates(described, kubernetes=False))
        done = docker_run.write(text, document, described, asked)
        left = [one.change for one in done.left]
        same_but(read, text, done.text, before, index, [one for one in asked if one not in left], kubernetes=False)


@pytest.mark.parametrize("name", ["deploy.sh", "README-sample.md"])
def test_the_law_holds_for_a_file_of_the_repository(name: str) -> None:
    tally = Tally()
    text = (DATA / name).read_bytes().decode()
    hold(reader(str(DATA / name)), docker_run.write, text, tally, kubernetes=False)
    assert tally.written > tally.refused


# --- what it looks like ----------------------------------------------------------------------------------------------

ROOT = Mount("bind", "/", "/host")
HERE = Mount("bind", "/srv/shop/data", "/data")


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        ("docker run --privileged a", change(declared.PRIVILEGED, False), "docker run a"),
        ("docker run --rm --privileged=true   a b", change(declared.PRIVILEGED, False), "docker run --rm a b"),
        ("docker run \\\n  --privileged \\\n  --rm \\\n  a", change(declared.PRIVILEGED, False),
         "docker run \\\n  --rm \\\n  a"),
        ("docker run \\\r\n  --rm \\\r\n  a\r\n", change(declared.READ_ONLY_ROOT, True),
         "docker run \\\r\n  --rm \\\r\n  --read-only \\\r\n  a\r\n"),
        ("docker run -u root a", change(declared.USER, "65532:65532"), "docker run -u 65532:65532 a"),
        ("docker run -u'0' a", change(declared.USER, "1:1"), "docker run -u'1:1' a"),
        ('docker run --user="0" a', change(declared.USER, "1:1"), 'docker run --user="1:1" a'),
        ("docker run a # x", change(declared.NO_NEW_PRIVILEGES, True),
         "docker run --security-opt no-new-privileges a # x"),
        ("docker run --security-opt no-new-privileges=false a", change(declared.NO_NEW_PRIVILEGES, True),
         "docker run --security-opt no-new-privileges a"),
        ("docker run --security-opt=seccomp=unconfined a", change(declared.SECCOMP, "default"), "docker run a"),
        ("docker run --cap-add A --cap-add=B a", change(declared.CAPABILITIES_ADDED, without("B")),
         "docker run --cap-add A a"),
        ("docker run a", change(declared.CAPABILITIES_DROPPED, with_("ALL")), "docker run --cap-drop ALL a"),
        ("docker run -v /:/host a", change(declared.MOUNTS, Instead(ROOT, Mount("bind", "/", "/host", read_only=True))),
         "docker run -v /:/host:ro a"),
        ("docker run --mount 'type=bind,src=/,dst=/host' a",
         change(declared.MOUNTS, Instead(ROOT, Mount("bind", "/", "/host", read_only=True))),
         "docker run --mount 'type=bind,src=/,dst=/host,readonly' a"),
        ("docker run -v /:/host:rshared,z a",
         change(declared.MOUNTS, Instead(Mount("bind", "/", "/host", False, "rshared", frozenset({"z"})),
                                         Mount("bind", "/", "/host", False, "", frozenset({"z"})))),
         "docker run -v /:/host:z a"),
        ("docker run --mount type=bind,src=/,dst=/host,bind-propagation=rshared a",
         change(declared.MOUNTS, Instead(Mount("bind", "/", "/host", False, "rshared"), ROOT)),
         "docker run --mount type=bind,src=/,dst=/host a"),
        ("docker run a", change(declared.DEVICES, with_(Device("/dev/kvm", "/dev/kvm"))),
         "docker run --device /dev/kvm a"),
        ("docker run -v ./data:/data a", change(declared.MOUNTS, without(HERE)), "docker run a"),
        ("docker run --pid=host --net host a", change(declared.NAMESPACES, without("pid")), "docker run --net host a"),
        ("docker run --cgroupns host a", change(declared.NAMESPACES, without("cgroup")),
         "docker run --cgroupns=private a"),
        ("docker run a", change(declared.MOUNTS, with_(Mount("tmpfs", "", "/tmp"))), "docker run --tmpfs /tmp a"),
    ],
)  # fmt: skip
def test_one_change(text: str, asked: Change, expected: str) -> None:
    assert written(text, asked) == (expected, [])


@pytest.mark.parametrize(
    ("text", "asked", "why"),
    [
        ("O='--privileged --rm'\ndocker run $O a", change(declared.PRIVILEGED, False), "comes from a variable"),
        ("docker run a", change(declared.USER_NAMESPACE, "private"), "daemon.json"),
        ("docker run -itu root a", change(declared.USER, "1:1"), "shares a word"),
        ("docker run --privileged a", change(declared.SYSTEM_PATHS, "default"), "must change first"),
        ("docker run a", change(declared.RUN_AS_NON_ROOT, True), "cannot be written"),
        ("docker run a", change(declared.SECCOMP, "profile"), "by hand"),
    ],
)
def test_what_cannot_be_written_is_handed_back_with_the_reason(text: str, asked: Change, why: str) -> None:
    after, reasons = written(text, asked)
    assert after == text
    assert len(reasons) == 1
    assert why in reasons[0]


def test_only_the_named_command_changes() -> None:
    text = "docker run --privileged a; docker run --privileged b\ndocker run --privileged a\n"
    assert written(text, change(declared.PRIVILEGED, False), at=1)[0] == text.replace("--privileged b", "b")
