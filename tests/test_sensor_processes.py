"""The process table, and what procfs shows of running processes, compared with what the kernel says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.sensor import snapshot
from holdfast.sensor.processes import GENERATIONS, TICK_NS, Life, Processes, ancestors, same_life

SECOND = 1_000_000_000


def table(**limits: int) -> Processes:
    return Processes(**limits)


def test_a_child_has_what_its_parent_has_until_it_runs_a_program() -> None:
    processes = table()
    processes.seen(10, 100, 100, {"name": "bash", "user": 7, "arguments": ("bash", "-l")})
    child = processes.forked(10, 11, 200, {"virtual_pid": 3})
    assert (child.name, child.user, child.arguments, child.virtual_pid) == ("bash", 7, ("bash", "-l"), 3)
    assert child.parent is processes.alive[10]
    processes.executed(11, 200, 300, {"name": "id", "arguments": ("id",)})
    assert (child.name, child.executed_ns, processes.alive[10].name) == ("id", 300, "bash")


def test_a_number_that_is_given_out_again_is_another_process() -> None:
    processes = table()
    first = processes.seen(10, 100, 100, {"name": "first"})
    child = processes.forked(10, 11, 150)
    second = processes.seen(10, 900, 900, {"name": "second"})
    assert first is not second
    assert child.parent is first
    assert processes.seen(10, 100, 120).name == "first", "a record of the first life that arrives late"
    assert processes.seen(10, 900, 950).name == "second"


def test_a_late_record_of_an_unknown_former_owner_does_not_touch_the_present_one() -> None:
    processes = table()
    now = processes.seen(10, 900, 900, {"name": "now"})
    late = processes.seen(10, 100, 120, {"name": "late"})
    assert (late.name, now.name, processes.alive[10]) == ("late", "now", now)


def test_a_record_from_before_an_exec_gets_what_the_process_was_then() -> None:
    processes = table()
    processes.seen(10, 100, 100, {"name": "sh", "arguments": ("sh",)})
    processes.executed(10, 100, 200, {"name": "cat", "arguments": ("cat", "x")})
    processes.executed(10, 100, 300, {"name": "id", "arguments": ("id",)})
    assert [processes.seen(10, 100, at, {"user": 9}).name for at in (150, 250, 350)] == ["sh", "cat", "id"]
    assert processes.seen(10, 100, 400, {"user": 8}).user == 8
    assert processes.seen(10, 100, 360, {"user": 5}).user == 8, "an older header does not undo a newer one"


def test_the_one_that_forked_stays_the_parent_of_an_orphan() -> None:
    processes = table()
    parent = processes.seen(10, 100, 100, {"name": "launcher"})
    child = processes.forked(10, 11, 200)
    processes.exited(10, 100, 300)
    assert processes.seen(11, 200, 400).parent is parent
    assert child.parent is parent


def test_an_ended_process_is_found_until_its_time_is_over() -> None:
    processes = table(kept_ns=SECOND)
    processes.seen(10, 100, 100, {"name": "short"})
    processes.exited(10, 100, 200, 256)
    assert processes.seen(10, 100, 150).name == "short"
    assert processes.ended[10, 100].status == 256
    processes.forked(1, 12, 200 + 2 * SECOND)
    assert not processes.ended


def test_a_start_that_procfs_rounded_down_is_the_same_life() -> None:
    processes = table()
    exact = 5 * SECOND + 1_234_567
    rounded = exact - exact % TICK_NS
    entered = processes.entered(Life(10, rounded, name="known", executed_ns=rounded, refreshed_ns=rounded))
    assert processes.seen(10, exact, exact + 5) is entered
    assert entered.start_ns == exact
    assert processes.seen(10, exact + TICK_NS, exact + 2 * TICK_NS) is not entered


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_same_life_is_symmetric_and_never_joins_what_is_a_tick_apart(one: int, other: int) -> None:
    assert same_life(one, other) == same_life(other, one)
    assert same_life(one, one)
    assert same_life(one, one - one % TICK_NS)
    if abs(one - other) >= TICK_NS:
        assert not same_life(one, other)


def test_a_fork_record_that_is_overtaken_by_its_child_still_gives_the_lineage() -> None:
    processes = table()
    parent = processes.seen(10, 100, 100, {"name": "sh"})
    child = processes.seen(11, 200, 250, {"name": "id"})
    assert child.parent is None
    assert processes.forked(10, 11, 200, {"name": "sh"}) is child
    assert (child.parent, child.name) == (parent, "id")


def test_a_process_may_not_be_its_own_ancestor() -> None:
    processes = table()
    me = processes.seen(10, 100, 100)
    processes.forked(10, 10, 100)
    assert me.parent is None
    loop = Life(1)
    loop.parent = loop
    assert len(list(ancestors(loop))) == GENERATIONS


def test_churn_keeps_the_table_small() -> None:
    processes = table(most=500, ended=200)
    processes.seen(1, 1, 1, {"name": "init"})
    for number in range(5_000):
        at = 10 + number * 1_000
        child = processes.forked(1, 100 + number, at)
        processes.executed(child.pid, at, at + 10, {"name": "true", "arguments": ("true", str(number))})
        processes.exited(child.pid, at, at + 500)
    assert len(processes.ended) <= 200
    assert len(processes) <= 500
    assert processes.dropped == 0


def test_environments_of_the_ended_do_not_fill_the_memory() -> None:
    processes = table()
    processes.seen(1, 1, 1, {"name": "init", "namespaces": {"mnt": 1}})
    tracemalloc.start()
    for number in range(6_000):
        at = 10 + number * 1_000
        values = {"environment": (f"{number}" + "x" * 4_000,), "namespaces": {"mnt": 1}}
        processes.executed(processes.forked(1, 100 + number, at, {"namespaces": {"mnt": 1}}).pid, at, at + 1, values)
        processes.exited(100 + number, at, at + 2)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(processes.ended) == 6_000
    assert held < 16_000_000
    last = processes.ended[6_099, 10 + 5_999 * 1_000]
    assert last.environment, "who ended just now is still asked"
    assert last.namespaces is processes.alive[1].namespaces


def test_living_ones_are_dropped_and_counted_when_there_are_too_many() -> None:
    processes = table(most=160)
    for number in range(400):
        processes.forked(1, 100 + number, 10 + number)
    assert len(processes.alive) <= 160
    assert processes.dropped == 400 - len(processes.alive)
    assert 499 in processes.alive, "the oldest goes first"


def test_a_chain_of_processes_that_each_start_the_next_does_not_grow_memory() -> None:
    processes = table(most=64, ended=16)
    processes.seen(1, 1, 1, {"name": "init"})

    def on(first: int, count: int) -> None:
        for number in range(first, first + count):
            processes.forked(number, number + 1, 1 + number)
            processes.exited(number, max(1, number), 2 + number)

    on(1, 1_000)
    tracemalloc.start()
    on(1_001, 3_000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 300_000
    assert len(list(ancestors(processes.alive[4_001], 1_000))) <= GENERATIONS


def test_a_gap_is_closed_by_what_procfs_lists() -> None:
    processes = table()
    processes.seen(10, 100, 100)
    processes.seen(11, 100, 100)
    processes.seen(12, 900, 900)
    assert processes.missed({11}, 500) == 1
    assert set(processes.alive) == {11, 12}, "who was seen after the listing began is left alone"


def test_an_unknown_attribute_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        table().seen(1, 1, 1, {"nickname": "x"})


ACTS = st.lists(
    st.tuples(st.sampled_from("fxes"), st.integers(1, 6), st.integers(1, 6), st.integers(0, 40)), max_size=60
)


@given(ACTS)
def test_any_order_of_records_keeps_the_table_consistent(acts: list[tuple[str, int, int, int]]) -> None:
    placed: list[Life] = []
    left: list[Life] = []
    processes = Processes(most=8, ended=3, kept_ns=20, placed=placed.append, left=left.append)
    for kind, pid, other, at in acts:
        start = at - at % 7
        if kind == "f":
            processes.forked(other, pid, start)
        elif kind == "x":
            processes.executed(pid, start, at, {"name": "x"})
        elif kind == "e":
            processes.exited(pid, start, at)
        else:
            processes.seen(pid, start, at, {"user": at})
    assert len(processes.alive) <= 8
    assert len(processes.ended) <= 3
    for pid, life in processes.alive.items():
        assert life.pid == pid
        assert not life.ended_ns
        assert life not in list(ancestors(life))
        assert any(life is one for one in placed)
    assert len({id(life) for life in left}) == len(left), "nobody ends twice"


# --- procfs -------------------------------------------------------------------------------------------------------


@contextmanager
def started(*command: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(wanted: object, ask: object) -> None:
    end = time.monotonic() + 10
    while ask() != wanted:  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_is_read_of_a_process_is_what_the_kernel_says(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "A": "1\n2", "B": "\udcff"}
    with started("sleep", "1000", cwd=tmp_path, env=environment, start_new_session=True) as process:
        until(("sleep", "1000"), lambda: (found := snapshot.one(process.pid)) and found.life.arguments)
        found = snapshot.one(process.pid)
        assert found is not None
        life = found.life
        assert life.arguments == ("sleep", "1000")
        assert set(life.environment) == {f"{name}={value}" for name, value in environment.items()}
        assert life.directory == str(tmp_path)
        assert found.parent_pid == os.getpid()
        program = Path(f"/proc/{process.pid}/exe").stat()
        assert (life.executable.device, life.executable.inode) == (program.st_dev, program.st_ino)
        assert life.executable.path == str(Path(f"/proc/{process.pid}/exe").readlink())
        assert (life.user, life.effective_user, life.group) == (os.getuid(), os.geteuid(), os.getgid())
        assert life.session == life.group_leader == process.pid
        assert life.terminal == 0
        for kind in snapshot.NAMESPACES:
            assert life.namespaces[kind] == Path(f"/proc/{process.pid}/ns/{kind}").stat().st_ino
        age = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - life.start_ns
        assert 0 <= age < 60 * SECOND
        mask = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
        assert life.effective == int(mask.split()[1], 16)


def test_hostile_names_and_arguments_come_whole_and_bounded() -> None:
    script = "import ctypes,sys; ctypes.CDLL(None).prctl(15, b') R 1\\n(\\xff', 0, 0, 0); print(flush=True); input()"
    huge = "x" * 100_000
    with started(sys.executable, "-c", script, "a\nb", "\udcfe", huge, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = snapshot.one(process.pid)
        assert found is not None
        assert found.life.name == ") R 1\n(\udcff"
        assert found.parent_pid == os.getpid()
        assert found.life.arguments[3:5] == ("a\nb", "\udcfe")
        assert sum(len(os.fsencode(word)) + 1 for word in found.life.arguments) <= snapshot.ARGUMENTS + 1


def test_a_process_that_is_gone_is_none() -> None:
    with started("sleep", "1000") as process:
        pass
    assert snapshot.one(process.pid) is None
    assert snapshot.namespaces_of(process.pid) == {}
    assert snapshot.root_of(process.pid) is None


def test_all_processes_are_read_fast_and_the_oldest_first() -> None:
    began = time.process_time()  # whatever else runs on the machine
    found = snapshot.running()
    took = time.process_time() - began
    assert os.getpid() in {seen.life.pid for seen in found}
    starts = [seen.life.start_ns for seen in found]
    assert starts == sorted(starts)
    assert took / len(found) < 0.0005, "2,000 processes take less than a second of a processor, on a slow machine"


def test_the_table_of_this_machine_knows_our_ancestry() -> None:
    processes = table()
    for seen in snapshot.running():
        processes.entered(seen.life, seen.parent_pid)
    me = processes.alive[os.getpid()]
    assert me.parent is not None
    assert me.parent.pid == os.getppid()
    assert [one.pid for one in ancestors(me)][-1] in {0, 1} or me.parent.parent is not None


def test_a_block_of_strings_is_split_at_nul_alone() -> None:
    assert snapshot.texts(b"", 10) == ()
    assert snapshot.texts(b"a\0\0b\n\0", 10) == ("a", "", "b\n")
    assert snapshot.texts(b"abcdef\0", 3) == ("abc",)


def test_the_host_is_told_from_its_namespaces() -> None:
    host = snapshot.host_namespaces()
    assert set(host) >= {"mnt", "pid", "user", "cgroup"}
    assert host["pid"] == 4026531836
