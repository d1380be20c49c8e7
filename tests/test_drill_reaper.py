"""A run that is killed at any point leaves nothing once it was reaped, and nothing of others is touched."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill_leavings import cgroup_top
from holdfast.drill import kernel_calls, kernel_state, reaper, remove
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.process_identity import boot_id, pid_namespace, started
from holdfast.drill.reaper import Left, Removed
from holdfast.model.errors import Unsafe

HERE = Path(__file__).parent
LEAVINGS = HERE / "drill_leavings.py"
BOUNDARIES = 20


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def reap(*, only_dead: bool = True) -> tuple[Removed | Left, ...]:
    return reaper.reap(time.time(), only_dead, engines=())


def leave(run: str, key: int, stop_at: int) -> list[str]:
    """Start a run that kills itself; return the boundaries it passed."""
    answer = subprocess.run(
        [sys.executable, LEAVINGS, run, str(key), str(stop_at)], capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == -9, answer.stderr
    return answer.stdout.splitlines()


def of_the_run(before: kernel_state.State, run: str, key: int) -> set[str]:
    """Name what is different now and of this run; other programs may change the machine meanwhile."""
    found = kernel_state.differences(before, kernel_state.look())
    return {different.name for different in found if run in str(different) or f"{key} " in str(different)}


@pytest.fixture
def names() -> Iterator[tuple[str, int]]:
    run, key = new_id(), secrets.randbelow(1 << 30) + 1
    yield run, key
    reap(only_dead=False)


@pytest.mark.root
@pytest.mark.parametrize("stop_at", range(1, BOUNDARIES + 1))
def test_killed_at_any_boundary_nothing_is_left(names: tuple[str, int], state: Path, stop_at: int) -> None:
    run, key = names
    before = kernel_state.look()
    assert len(leave(run, key, stop_at)) == stop_at
    assert (state / "drill" / run).is_dir()
    done = reap()
    assert [entry for entry in done if isinstance(entry, Left)] == []
    assert of_the_run(before, run, key) == set()
    assert not any((state / "drill").iterdir())
    assert not (cgroup_top() / f"holdfast-{run}").exists()
    assert reap() == ()


@pytest.mark.root
def test_the_run_makes_what_the_reaper_must_find(names: tuple[str, int]) -> None:
    run, key = names
    before = kernel_state.look()
    assert len(leave(run, key, 0)) == BOUNDARIES
    assert of_the_run(before, run, key) == {
        "mounts", "loop devices", "System V shm", "files in /dev/shm", "control groups of a drill",
        "processes of a drill",
    }  # fmt: skip
    assert (cgroup_top() / f"holdfast-{run}" / "cgroup.max.depth").read_text() == "5\n"
    kinds = [entry.what.split()[0] for entry in reap() if isinstance(entry, Removed)]
    # The loop device goes by itself as soon as the process is gone that holds it.
    assert [kind for kind in kinds if kind != "loop"] == [
        "setting", "cgroup", "shm", "process", "process", "mount", "file", "folder"
    ]  # fmt: skip


REAP_AND_DIE = """
import os, signal, sys, time
from holdfast.drill import reaper, undo
left = int(sys.argv[1])
def counted(function):
    def call(*args):
        global left
        left -= 1
        if left == 0: os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return call
reaper.mark_done = counted(reaper.mark_done)
undo.entry = counted(undo.entry)
reaper.remove.tree = counted(reaper.remove.tree)
for found in reaper.reap(time.time(), engines=()): print(found)
"""


@pytest.mark.root
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 7, 12, 16, 18, 19, 20, 21])
def test_the_reaper_may_be_killed_and_started_again(names: tuple[str, int], state: Path, calls: int) -> None:
    run, key = names
    before = kernel_state.look()
    leave(run, key, 0)
    first = subprocess.run(
        [sys.executable, "-c", REAP_AND_DIE, str(calls)], capture_output=True, timeout=60, check=False
    )
    assert first.returncode == -9, first.stderr
    assert [entry for entry in reap() if isinstance(entry, Left)] == []
    assert of_the_run(before, run, key) == set()
    assert not any((state / "drill").iterdir())


@pytest.mark.root
def test_two_reapers_at_once_do_not_collide(names: tuple[str, int], state: Path) -> None:
    run, key = names
    before = kernel_state.look()
    leave(run, key, 0)
    words = [sys.executable, "-c", REAP_AND_DIE, "0"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    lines = [line for out, _ in told for line in out.splitlines()]
    assert "Left" not in "".join(lines)
    assert len([line for line in lines if "what='folder" in line]) == 1
    assert len(lines) == len(set(lines))
    assert of_the_run(before, run, key) == set()
    assert not any((state / "drill").iterdir())


SHARED = """
import os, signal, sys, time
from pathlib import Path
from holdfast.drill import kernel_calls, reaper
from holdfast.drill.journal import Journal
child = os.fork()
if not child:
    journal = Journal.open("abcdefgh", 60)
    place = journal.folder / "sys"
    place.mkdir()
    journal.will("mount", path=str(place))
    kernel_calls.mount(sys.argv[1], str(place), kernel_calls.MS_BIND | kernel_calls.MS_REC)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
before = [path for path in kernel_calls.mount_points() if "abcdefgh" in path]
assert len(before) == 3, before
done = reaper.reap(time.time(), engines=())
assert [type(entry).__name__ for entry in done][-1] == "Removed", done
left = kernel_calls.mount_points()
assert sys.argv[1] + "/inner" in left, "the host's own mount is gone"
assert sys.argv[1] + "/inner/most" in left, "the host's own mount is gone"
assert not [path for path in left if "abcdefgh" in path]
"""


@pytest.mark.root
def test_a_recursive_bind_mount_that_is_still_shared_takes_nothing_of_the_host_with_it(tmp_path: Path) -> None:
    host = tmp_path / "host"
    script = (
        'mkdir -p "$1" && mount -t tmpfs tmpfs "$1" && mount --make-shared "$1" && mkdir "$1/inner"'
        ' && mount -t tmpfs tmpfs "$1/inner" && mount --make-shared "$1/inner" && mkdir "$1/inner/most"'
        ' && mount -t tmpfs tmpfs "$1/inner/most" && exec "$2" -c "$3" "$1"'
    )
    # In a mount namespace of its own, parted from the machine's before anything is shared in it.
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", host, sys.executable, SHARED]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr


def test_a_run_whose_owner_lives_is_left_alone_until_it_expires() -> None:
    with Journal.open(new_id(), 60) as journal:
        assert reap() == ()
        assert journal.folder.is_dir()
        done = reaper.reap(time.time() + 61, engines=())
    assert done == (Removed(journal.id, f"folder {journal.folder}"),)


def test_the_end_of_a_run_undoes_it(state: Path) -> None:
    journal = Journal.open(new_id(), 60)
    (journal.folder / "stage").mkdir()
    assert reaper.finish(journal) == (Removed(journal.id, f"folder {journal.folder}"),)
    assert not any((state / "drill").iterdir())
    assert reaper.finish(journal) == ()


def owned_by(journal: Journal, **other: object) -> None:
    """Write another owner into a journal."""
    lines = (journal.folder / "journal").read_text().splitlines()
    owner = next(index for index, line in enumerate(lines) if "owner" in line)
    lines[owner] = json.dumps({**json.loads(lines[owner]), **other})
    (journal.folder / "journal").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("other", [{"owner": 2**22 + 1}, {"start": 1}, {"boot": "another"}, {"start": 0}])
def test_another_start_time_or_boot_is_another_process(other: dict[str, object]) -> None:
    with Journal.open(new_id(), 60) as journal:
        owned_by(journal, **other)
        assert reap() == (Removed(journal.id, f"folder {journal.folder}"),)


def test_an_owner_in_another_pid_namespace_is_not_judged_by_its_number() -> None:
    with Journal.open(new_id(), 60) as journal:
        owned_by(journal, owner=2**22 + 1, namespace=pid_namespace() + 1)
        assert reap() == ()
        assert len(reaper.reap(time.time() + 61, engines=())) == 1


@pytest.mark.parametrize("facts", [{}, {"start": 1}])
def test_a_process_that_is_not_ours_is_not_killed(facts: dict[str, int]) -> None:
    """Neither one whose number was taken by another program, nor one that started at another time."""
    with subprocess.Popen(["sleep", "60"]) as stranger, Journal.open(new_id(), 60) as journal:
        journal.will("process", **({"pid": stranger.pid, "start": started(stranger.pid)} | facts))
        assert reaper.finish(journal) == (Removed(journal.id, f"folder {journal.folder}"),)
        assert stranger.poll() is None
        stranger.kill()


def test_after_a_restart_of_the_machine_a_number_means_nothing() -> None:
    run = new_id()
    words = [sys.executable, "-c", "input()", run]
    with Journal.open(run, 60) as journal, subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        journal.will("process", pid=process.pid, start=started(process.pid))
        owned_by(journal, boot="another")
        assert boot_id() != "another"
        reap()
        assert process.poll() is None
        process.kill()


def test_a_process_with_the_id_among_its_words_is_killed() -> None:
    run = new_id()
    words = [sys.executable, "-c", "input()", run]
    with Journal.open(run, 60) as journal, subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        journal.will("process", pid=process.pid, start=started(process.pid))
        assert Removed(journal.id, f"process {process.pid} {started(process.pid)}") in reaper.finish(journal)
        assert process.wait(10) == -9


def test_a_setting_that_somebody_else_changed_since_is_reported_and_not_touched() -> None:
    journal = Journal.open(new_id(), 60)
    file = journal.folder / "setting"
    file.write_text("third\n")
    journal.will("setting", path=str(file), old="old", new="new")
    (left,) = reaper.finish(journal)
    assert isinstance(left, Left)
    assert "'third'" in left.reason
    assert "'old'" in left.reason
    assert file.read_text() == "third\n"
    file.write_text("new\n")
    kinds = [type(entry) for entry in reap(only_dead=False)]
    assert kinds == [Removed, Removed]


def test_a_setting_that_was_empty_gets_an_empty_line() -> None:
    journal = Journal.open(new_id(), 60)
    file = journal.folder / "setting"
    file.write_text("n\n")
    handle = os.open(file, os.O_RDONLY)
    journal.will("setting", path=str(file), old="", new="n")
    journal.will("setting", path=str(file), old="n", new="m")
    assert Left not in map(type, reaper.finish(journal))
    assert os.read(handle, 10) == b"\n\n"
    os.close(handle)


def test_a_folder_of_somebody_else_is_never_opened(state: Path) -> None:
    with Journal.open(new_id(), 60):
        pass
    drill = state / "drill"
    (state / "target").mkdir()
    (state / "target" / "keep").write_text("x")
    (drill / "linklink1").symlink_to(state / "target")
    (drill / "writable1").mkdir()
    (drill / "writable1").chmod(0o777)
    (drill / "foreign12").mkdir()
    (drill / "foreign12" / "keep").write_text("x")
    (drill / "Not a run").mkdir()
    left = {entry.run: entry.reason for entry in reap(only_dead=False) if isinstance(entry, Left)}
    assert left.keys() == {"linklink1", "writable1", "foreign12", "Not a run"}
    assert "link" in left["linklink1"]
    assert "written by others" in left["writable1"]
    assert "no journal" in left["foreign12"]
    assert (state / "target" / "keep").exists()
    assert (drill / "foreign12" / "keep").exists()


@pytest.mark.root
def test_a_folder_of_another_user_is_refused() -> None:
    with Journal.open(new_id(), 60) as journal:
        os.chown(journal.folder, 65534, 65534)
        (left,) = reap(only_dead=False)
        assert isinstance(left, Left)
        assert "belongs to user 65534" in left.reason
        os.chown(journal.folder, 0, 0)


def test_a_place_of_all_runs_that_is_a_link_is_refused(state: Path, tmp_path: Path) -> None:
    state.mkdir()
    (state / "drill").symlink_to(tmp_path)
    with pytest.raises(Unsafe):
        reap()


def test_a_run_that_died_before_it_named_its_owner_is_removed() -> None:
    with Journal.open(new_id(), 60) as journal:
        (journal.folder / "journal").write_text('{"owner":12')
        assert reap() == (Removed(journal.id, f"folder {journal.folder}"),)


def test_a_journal_of_another_version_stays() -> None:
    with Journal.open(new_id(), 60) as journal:
        with (journal.folder / "journal").open("a") as file:
            file.write('{"number":1,"kind":"planet","facts":{}}\n')
        (left,) = reap(only_dead=False)
        assert isinstance(left, Left)
        assert "not understood" in left.reason
        assert journal.folder.is_dir()


def test_a_missing_engine_leaves_the_journal() -> None:
    with Journal.open(new_id(), 60) as journal:
        journal.will("container", engine="no-such-engine", name="x")
        (left,) = reap(only_dead=False)
        assert left == Left(journal.id, "container no-such-engine x", "no-such-engine is not installed")
        assert journal.folder.is_dir()


def test_the_removal_does_not_follow_links_and_takes_any_depth(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "keep")
    here = os.open(tmp_path, os.O_RDONLY)
    inner = os.open(tmp_path / "gone", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=inner)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = deeper
    os.close(inner)
    try:
        assert remove.tree(here, "gone") == ()
    finally:
        os.close(here)
    assert list(tmp_path.iterdir()) == [tmp_path / "keep"]
    assert (tmp_path / "keep" / "file").exists()


@pytest.mark.root
def test_the_removal_does_not_cross_a_mount_of_the_same_file_system(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "file").write_text("x")
    (tmp_path / "gone" / "mounted").mkdir(parents=True)
    kernel_calls.mount(str(tmp_path / "keep"), str(tmp_path / "gone" / "mounted"), kernel_calls.MS_BIND)
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        assert remove.tree(here, "gone") == ("gone/mounted: something is mounted there",)
        assert (tmp_path / "keep" / "file").exists()
        kernel_calls.detach(str(tmp_path / "gone" / "mounted"))
        assert remove.tree(here, "gone") == ()
    finally:
        os.close(here)
        kernel_calls.detach(str(tmp_path / "gone" / "mounted"))
    assert (tmp_path / "keep" / "file").exists()
