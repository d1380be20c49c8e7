"""What a run makes is written down before it is made, and a torn list can still be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from holdfast.drill import run_folder
from holdfast.drill.journal import Entry, Journal, Kind, new_id, read
from holdfast.drill.process_identity import boot_id, pid_namespace, started
from holdfast.model.errors import NotReachable, NotUnderstood, Unsafe, Usage

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def listed(folder: Path) -> tuple[Entry, ...]:
    handle = run_folder.opened(folder)
    try:
        return read(handle)[1]
    finally:
        os.close(handle)


def test_the_owner_is_written_first() -> None:
    with Journal.open(new_id(), 60) as journal:
        assert journal.folder.stat().st_mode & 0o7777 == 0o711
        assert (journal.folder / "journal").stat().st_mode & 0o7777 == 0o600
        handle = run_folder.opened(journal.folder)
        owner, entries = read(handle)
        os.close(handle)
    assert entries == ()
    assert owner is not None
    assert (owner.pid, owner.start, owner.boot) == (os.getpid(), started(os.getpid()), boot_id())
    assert owner.namespace == pid_namespace()
    assert owner.expires == journal.expires


def test_other_users_can_walk_through_whatever_the_umask_is(state: Path) -> None:
    before = os.umask(0o077)
    try:
        with Journal.open(new_id(), 60) as journal:
            for folder in (state, state / "drill", journal.folder):
                assert folder.stat().st_mode & 0o7777 == 0o711
    finally:
        os.umask(before)


def test_an_entry_is_on_the_disk_before_the_call_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal.open(new_id(), 60) as journal:
        calls: list[str] = []
        real = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", lambda handle: (calls.append("sync"), real(handle))[1])
        number = journal.will("mount", path=str(journal.folder / "stage"))
        assert calls == ["sync"]
        assert listed(journal.folder) == (Entry(number, Kind.MOUNT, {"path": str(journal.folder / "stage")}),)


def test_what_is_done_is_off_the_list() -> None:
    with Journal.open(new_id(), 60) as journal:
        first = journal.will("shm", key=1)
        journal.will("shm", key=2)
        journal.done(first)
        assert [entry.facts["key"] for entry in listed(journal.folder)] == [2]


def test_a_torn_last_line_counts_as_not_written_and_the_next_line_is_whole() -> None:
    with Journal.open(new_id(), 60) as journal:
        journal.will("shm", key=1)
        with (journal.folder / "journal").open("ab") as file:
            file.write(b'{"number":2,"kind":"sh')
        assert [entry.facts["key"] for entry in listed(journal.folder)] == [1]
        journal.will("shm", key=3)
        assert [entry.facts["key"] for entry in listed(journal.folder)] == [1, 3]


def test_every_cut_of_the_file_reads_as_a_beginning_of_it() -> None:
    with Journal.open(new_id(), 60) as journal:
        for key in (11, 22, 33):
            journal.will("shm", key=key)
        file = journal.folder / "journal"
        whole = file.read_bytes()
        seen = set()
        for length in range(len(whole) + 1):
            file.write_bytes(whole[:length])
            seen.add(tuple(entry.facts["key"] for entry in listed(journal.folder)))
    assert seen == {(), (11,), (11, 22), (11, 22, 33)}


@pytest.mark.parametrize("line", [{"number": 1, "kind": "planet", "facts": {}}, {"kind": "shm"}, [1], "x"])
def test_a_whole_line_of_another_version_is_never_dropped(line: object) -> None:
    with Journal.open(new_id(), 60) as journal:
        with (journal.folder / "journal").open("a") as file:
            file.write(json.dumps(line) + "\n")
        with pytest.raises(NotUnderstood):
            listed(journal.folder)


def test_a_full_disk_is_an_error_before_the_thing_is_made() -> None:
    with Journal.open(new_id(), 60) as journal:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal._handle)
        os.close(full)
        with pytest.raises(NotReachable, match="journal cannot be written"):
            journal.will("shm", key=1)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("mount", {"path": "/etc"}),
        ("mount", {"path": "RUN/../../x"}),
        ("mount", {"path": "relative"}),
        ("folder", {"path": "/home/x"}),
        ("file", {"path": "/dev/shm/other"}),
        ("loop", {"backing": "/disk.img"}),
        ("process", {"program": "/bin/sh"}),
        ("cgroup", {"path": "/sys/fs/cgroup/system.slice"}),
        ("oci_container", {"runtime": "runc", "root": "/run/runc", "id": "web"}),
        ("containerd_namespace", {"address": "/run/containerd/containerd.sock", "name": "default"}),
        ("binfmt", {"name": "qemu-arm"}),
        ("setting", {"path": "/etc/passwd", "old": "a", "new": "b"}),
    ],
)
def test_what_does_not_carry_the_id_is_not_taken(kind: str, facts: dict[str, str]) -> None:
    with Journal.open(new_id(), 60) as journal:
        with pytest.raises(Unsafe):
            journal.will(kind, **{name: value.replace("RUN", str(journal.folder)) for name, value in facts.items()})
        assert listed(journal.folder) == ()


@pytest.mark.parametrize(
    ("kind", "facts"), [("shm", {}), ("shm", {"key": 1, "size": 2}), ("process", {}), ("container", {"name": "x"})]
)
def test_facts_that_name_nothing_are_refused(kind: str, facts: dict[str, int]) -> None:
    with Journal.open(new_id(), 60) as journal, pytest.raises(Usage):
        journal.will(kind, **facts)


@pytest.mark.parametrize("run", ["", "short", "UPPERCASE1", "../../../etc", "a" * 33, "with space1"])
def test_an_id_is_letters_and_digits(run: str) -> None:
    with pytest.raises(Usage):
        Journal.open(run, 60)


def test_a_taken_id_is_refused() -> None:
    with Journal.open("abcdefgh", 60), pytest.raises(Usage, match="There is a run"):
        Journal.open("abcdefgh", 60)


def test_a_place_that_others_may_write_is_refused(state: Path) -> None:
    (state / "drill").mkdir(parents=True)
    (state / "drill").chmod(0o777)
    with pytest.raises(Unsafe, match="written by others"):
        Journal.open(new_id(), 60)


def test_a_place_that_is_a_link_is_refused(state: Path, tmp_path: Path) -> None:
    state.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (state / "drill").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unsafe, match="link"):
        Journal.open(new_id(), 60)


def test_the_hook_is_called_at_every_boundary() -> None:
    seen: list[str] = []
    with Journal.open(new_id(), 60, hook=seen.append) as journal:
        journal.will("shm", key=1)
        journal.boundary("step 1")
    assert seen == ["open", "will shm", "step 1"]


def test_a_process_is_known_by_its_start() -> None:
    assert started(os.getpid()) > 0
    assert started(2**22 + 1) == 0


def test_without_root_the_runs_lie_in_the_state_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_STATE")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    assert run_folder.runs() == Path("/somewhere/state/holdfast/drill")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run_folder.runs() == Path("/var/lib/holdfast/drill")
