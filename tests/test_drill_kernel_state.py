"""What a drill could change is seen before and after it, and what moves by itself is not taken for a change."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drill_leavings import cgroup_top
from holdfast.drill import kernel_calls
from holdfast.drill.kernel_state import Difference, State, differences, look


def of(name: str, before: State) -> list[Difference]:
    """Return what is different and bears the name: other programs may change the machine meanwhile."""

    def ours(text: str) -> str:
        return ", ".join(part for part in text.split(", ") if name in part)

    found = differences(before, look())
    return [Difference(each.name, ours(each.before), ours(each.after)) for each in found if name in str(each)]


def test_a_look_is_quick_and_reads_the_settings() -> None:
    look()
    begin = time.perf_counter()
    state = look()
    # Measured 35 ms; the bound leaves room for a loaded machine.
    assert time.perf_counter() - begin < 0.5
    assert "core_pattern" in state.values
    assert state.values["sysctl kernel/ostype"] == "Linux"
    assert any(mount.startswith("/proc proc ") for mount in state.sets["mounts"])
    assert "lo" in state.sets["network interfaces"]
    assert not [name for name in state.values if "kernel/random/" in name or "file-nr" in name]


def test_nothing_changed_is_no_difference() -> None:
    before = look()
    subprocess.run([sys.executable, "-c", "open('/proc/self/stat').read()"], check=True)
    found = [entry for entry in differences(before, look()) if entry.name.startswith("sysctl ")]
    assert found == []


def test_values_and_sets_are_compared() -> None:
    before = State({"core_pattern": "core", "sysctl a": "1"}, {"mounts": frozenset({"a", "b"})}, frozenset())
    after = State({"core_pattern": "|/x", "sysctl a": "2"}, {"mounts": frozenset({"b", "c"})}, frozenset())
    assert differences(before, after) == (
        Difference("core_pattern", "core", "|/x"),
        Difference("mounts", "a", "c"),
        Difference("sysctl a", "1", "2"),
    )
    assert str(differences(before, after)[0]) == "core_pattern: core -> |/x"
    assert str(Difference("loop devices", "", "loop3 x")) == "loop devices: nothing -> loop3 x"


@pytest.mark.parametrize("swapped", [False, True])
def test_what_could_not_be_read_is_no_difference(swapped: bool) -> None:
    seen = State({"core_pattern": "core"}, {"mounts": frozenset({"a"})}, frozenset())
    unseen = State({}, {}, frozenset({"core_pattern", "mounts"}))
    assert differences(*((unseen, seen) if swapped else (seen, unseen))) == ()


def test_a_setting_that_appears_is_a_difference_but_a_sysctl_comes_with_its_module() -> None:
    before = State({}, {}, frozenset())
    after = State({"release_agent of /sys/fs/cgroup/x": "/evil", "sysctl net/x": "1"}, {}, frozenset())
    assert differences(before, after) == (Difference("release_agent of /sys/fs/cgroup/x", "", "/evil"),)


def test_what_moves_by_itself_is_passed_by() -> None:
    before = State({"sysctl a": "1"}, {}, frozenset(), frozenset({"sysctl a"}))
    assert differences(before, State({"sysctl a": "2"}, {}, frozenset())) == ()


def test_a_file_in_shared_memory_is_seen() -> None:
    before, file = look(), Path("/dev/shm") / f"holdfast-test-{secrets.token_hex(4)}"
    file.write_text("x")
    try:
        assert of(file.name, before) == [Difference("files in /dev/shm", "", file.name)]
    finally:
        file.unlink()
    assert of(file.name, before) == []


def test_a_segment_is_seen() -> None:
    before, key = look(), secrets.randbelow(1 << 30) + 1
    number = kernel_calls.make_segment(key, b"x")
    try:
        assert of(str(key), before) == [Difference("System V shm", "", f"{key} {number}")]
    finally:
        kernel_calls.remove_segment(number)
    assert of(str(key), before) == []


@pytest.mark.root
def test_a_mount_and_how_it_propagates_are_seen(tmp_path: Path) -> None:
    before = look()
    kernel_calls.mount(str(tmp_path), str(tmp_path), kernel_calls.MS_BIND)
    try:
        kernel_calls.mount("none", str(tmp_path), kernel_calls.MS_PRIVATE)
        (come,) = of(str(tmp_path), before)
        assert come.name == "mounts"
        assert come.after.endswith(" private")
        between = look()
        kernel_calls.mount("none", str(tmp_path), kernel_calls.MS_SHARED)
        (changed,) = of(str(tmp_path), between)
        assert changed.before.endswith(" private")
        assert changed.after.endswith(" shared")
    finally:
        kernel_calls.detach(str(tmp_path))
    assert of(str(tmp_path), before) == []


@pytest.mark.root
def test_a_control_group_is_seen_however_it_nests() -> None:
    before, top = look(), cgroup_top() / f"plain-{secrets.token_hex(4)}"
    group = top / "a" / "holdfast-test"
    group.mkdir(parents=True)
    try:
        assert of(str(group), before) == [Difference("control groups of a drill", "", str(group))]
    finally:
        for folder in (group, top / "a", top):
            folder.rmdir()


@pytest.mark.root
def test_a_hierarchy_that_is_mounted_twice_is_looked_at_once(tmp_path: Path) -> None:
    group = cgroup_top() / f"holdfast-test-{secrets.token_hex(4)}"
    kernel_calls.mount(str(cgroup_top()), str(tmp_path), kernel_calls.MS_BIND)
    try:
        before = look()
        group.mkdir()
        assert of(group.name, before) == [Difference("control groups of a drill", "", str(group))]
    finally:
        group.rmdir()
        kernel_calls.detach(str(tmp_path))


def test_a_probe_that_still_runs_is_seen(tmp_path: Path) -> None:
    before, program = look(), tmp_path / "probe-x86_64"
    program.write_bytes(Path(os.path.realpath("/bin/sleep")).read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "60"]) as process:
        try:
            assert of(str(program), before) == [Difference("processes of a drill", "", f"{process.pid} {program}")]
        finally:
            process.kill()


@pytest.mark.root
def test_without_root_a_look_works_and_sees_less() -> None:
    code = """
import os
os.setgroups([]); os.setgid(65534); os.setuid(65534)
from holdfast.drill.kernel_state import differences, look
state = look()
assert differences(state, look()) is not None
print(len(state.values), sorted(state.unread)[0])
"""
    words = [sys.executable, "-c", "from holdfast.drill import kernel_state" + code]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout.split()[0]) > 100
