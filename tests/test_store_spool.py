import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts_made import PLAIN, alert, alerts
from holdfast.model.alert import Priority
from holdfast.model.errors import NotReachable, NotUnderstood, Unsafe, Usage
from holdfast.reports import alert_json
from holdfast.sensor.forward import Forwarder
from holdfast.sensor.sinks.ndjson import Ndjson
from holdfast.store import aside, database
from holdfast.store.spool import LONGEST, SMALLEST_QUOTA, Spool
from receivers import wait_for


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "spool.db"


def ids(kept):
    return [alert_json.read(one.body).id for one in kept]


def test_alerts_are_numbered_without_gaps_and_come_back_in_order(path):
    with Spool.open(path) as spool:
        assert spool.append([alert(1), alert(2)]) == range(1, 3)
        assert spool.append([]) == range(3, 3)
        assert spool.append([alert(3)]) == range(3, 4)
        kept = spool.after(1, 10)
        assert [one.stamp.sequence for one in kept] == [2, 3]
        assert ids(kept) == [alert(2).id, alert(3).id]
        assert spool.verify().records == 3


def test_a_restart_goes_on_with_the_chain(path):
    with Spool.open(path) as spool:
        spool.append([alert(1)])
        stream = spool.stream
    with Spool.open(path) as spool:
        assert spool.stream == stream
        assert spool.append([alert(2)]) == range(2, 3)
        assert spool.verify().broken is None
        assert len({one.stamp.chain for one in spool.after(0, 9)}) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(alerts, max_size=3))
def test_whatever_an_alert_holds_it_is_kept(tmp_path_factory, batch):
    folder = tmp_path_factory.mktemp("spool")
    with Spool.open(folder / "spool.db") as spool:
        spool.append(batch)
        kept = [alert_json.read(one.body) for one in spool.after(0, 9)]
        assert kept == [replace(one, fields=dict(one.fields), container=dict(one.container)) for one in batch]
        assert spool.verify().broken is None


def test_sequence_orders_where_the_clock_jumps_back(path):
    times = iter([10**18, 5, 2 * 10**18, -7])
    with Spool.open(path, clock=lambda: next(times)) as spool:
        for number in range(4):
            spool.append([alert(number)])
        assert ids(spool.after(0, 9)) == [alert(number).id for number in range(4)]
        assert [one.accepted_ns for one in spool.after(0, 9)] == [10**18, 5, 2 * 10**18, -7]
        assert spool.verify().broken is None


def test_a_second_writer_is_refused_and_a_reader_is_not(path):
    with Spool.open(path) as spool:
        with pytest.raises(Unsafe, match="another process writes"):
            Spool.open(path)
        with Spool.open(path, writing=False) as reader:
            spool.append([alert(1)])
            assert ids(reader.after(0, 9)) == [alert(1).id]
            with pytest.raises(Usage):
                reader.append([alert(9)])
        spool.append([alert(2)])
    with Spool.open(path) as spool:
        assert spool.append([alert(3)]) == range(3, 4)


CHANGES = {
    "body": (
        "UPDATE record SET body = CAST(replace(CAST(body AS TEXT), 'T1611', 'T1612') AS BLOB) WHERE sequence = 3",
        3,
    ),
    "time": ("UPDATE record SET accepted_ns = accepted_ns + 1 WHERE sequence = 4", 4),
    "severity": ("UPDATE record SET priority = 7 WHERE sequence = 2", 2),
    "missing": ("DELETE FROM record WHERE sequence = 2", 2),
    "order": (
        "; ".join(f"UPDATE record SET sequence = {b} WHERE sequence = {a}" for a, b in ((4, 9), (5, 4), (9, 5))),
        4,
    ),
    "invented gap": ("INSERT INTO gap SELECT 2, 3, hash FROM record WHERE sequence = 3", 2),
}


@pytest.mark.parametrize(("change", "place"), CHANGES.values(), ids=CHANGES)
def test_the_first_place_that_was_changed_is_named(path, change, place):
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(6)])
    with sqlite3.connect(path) as connection:
        for statement in change.split("; "):
            connection.execute(statement)
    connection.close()
    with Spool.open(path) as spool:
        found = spool.verify()
        assert found.broken == place
        assert found.why


def test_dropping_a_run_without_the_chain_saying_so_is_found(path):
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(6)])
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO gap SELECT 2, 3, hash FROM record WHERE sequence = 3")
        connection.execute("DELETE FROM record WHERE sequence IN (2, 3)")
    connection.close()
    with Spool.open(path) as spool:
        assert "what the chain says" in spool.verify().why


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from alerts_made import alert
from holdfast.store.spool import Spool
spool = Spool.open(Path(sys.argv[1]), quota_bytes=int(sys.argv[2]))
number = int(sys.argv[3])
while True:
    batch = [alert(number + step) for step in range(1 + number % 7)]
    print(*[f"{{n}} {{a.id}}" for n, a in zip(spool.append(batch), batch)], sep="\\n", flush=True)
    number += len(batch)
"""


@pytest.mark.parametrize("quota", [1 << 30, SMALLEST_QUOTA])
def test_what_was_accepted_survives_kill_9(path, tmp_path, quota):
    program = tmp_path / "killed.py"
    program.write_text(KILLED.format(path=sys.path))
    accepted: dict[int, str] = {}
    for round_ in range(8):
        child = subprocess.Popen(
            [sys.executable, program, path, str(quota), str(round_ * 1_000_000)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(0.05 + 0.037 * round_)
        os.kill(child.pid, signal.SIGKILL)
        lines = [first, *child.stdout.read().splitlines(keepends=True)]
        child.wait()
        child.stdout.close()
        accepted |= {int(line.split()[0]): line.split()[1] for line in lines if line.endswith("\n")}
        with Spool.open(path, quota_bytes=quota) as spool:
            checked = spool.verify()
            assert checked.broken is None
            kept = {one.stamp.sequence: alert_json.read(one.body) for one in spool.after(0, 10**6, 1 << 40)}
            gone = gaps(path)
            assert bool(gone) <= (quota == SMALLEST_QUOTA)
            for number, name in accepted.items():
                assert number in gone or kept[number].id == name
            assert max(accepted) <= checked.last
    assert len(accepted) > 50


def gaps(path):
    connection = sqlite3.connect(path)
    try:
        return {n for first, last in connection.execute("SELECT first, last FROM gap") for n in range(first, last + 1)}
    finally:
        connection.close()


def dropped_by(one):
    runs = str(one.fields.get("dropped.numbers", ""))
    for run in runs.split(",") if runs else ():
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)


def test_what_every_sink_has_goes_first_and_the_chain_says_so(path):
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        spool.cursors.enlist(["fast", "slow"])
        spool.append([alert(number) for number in range(500)])
        spool.cursors.delivered("fast", 500, 500)
        spool.cursors.delivered("slow", 400, 400)
        while not spool.counters()["dropped"]:
            spool.append([alert(number) for number in range(100)])
        records = [alert_json.read(one.body) for one in spool.after(0, 10**6, 1 << 40)]
        told = [one for one in records if one.rule == "evidence-dropped"]
        gone = {number for one in told for number in dropped_by(one)}
        assert gone == set(range(1, len(gone) + 1))
        assert len(gone) <= 400
        assert told[-1].fields["dropped.undelivered"] == 0
        assert spool.verify().dropped == len(gone)
        assert spool.verify().broken is None


def test_of_what_waits_the_least_urgent_goes_first(path):
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        spool.cursors.enlist(["never"])
        spool.append([alert(1, Priority.EMERGENCY), alert(2, Priority.NOTICE)])
        while spool.counters()["dropped"] < 5000:
            spool.append([alert(9000 + number, Priority.WARNING) for number in range(100)])
        kept = {one.id: one for one in (alert_json.read(k.body) for k in spool.after(0, 10**6, 1 << 40))}
        assert kept[alert(1).id].priority is Priority.EMERGENCY
        assert alert(2).id not in kept
        assert any(one.priority is Priority.CRITICAL for one in kept.values() if one.rule == "evidence-dropped")
        assert spool.cursors.at("never").missed >= 5000
        assert spool.verify().broken is None
        assert path.stat().st_size < SMALLEST_QUOTA * 1.3


def test_a_dead_letter_is_kept_longer_than_what_arrived(path):
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        spool.cursors.enlist(["one"])
        spool.append([alert(number) for number in range(300)])
        spool.cursors.bury("one", 3, 5, "400 no")
        spool.cursors.delivered("one", 300, 299)
        while not spool.counters()["dropped"]:
            spool.append([alert(number) for number in range(100)])
        assert spool.after(2, 1)[0].stamp.sequence == 3
        assert [letter.sequence for letter in spool.cursors.dead()] == [3]


def test_a_quota_made_smaller_gives_the_disk_back(path):
    with Spool.open(path) as spool:
        for _ in range(90):
            spool.append([alert(number) for number in range(100)])
    before = path.stat().st_size
    assert before > 2 * SMALLEST_QUOTA
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        spool.append([alert(1)])
        assert spool.verify().broken is None
    assert path.stat().st_size < SMALLEST_QUOTA * 1.3


def test_an_endless_alert_is_cut_and_kept(path):
    endless = replace(PLAIN, output="x" * 10**6, fields={"proc.args": ["\udcff" * 10**6] * 3, "n": list(range(10**5))})
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        spool.append([endless])
        body = spool.after(0, 1)[0].body
        assert len(body) <= LONGEST
        kept = alert_json.read(body)
        assert kept.rule == PLAIN.rule
        assert kept.process == PLAIN.process
        assert "[+" in kept.output


def test_a_batch_that_the_quota_cannot_hold_is_refused_whole(path):
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool:
        with pytest.raises(Usage, match="quota"):
            spool.append([alert(number, output="x" * 100_000) for number in range(100)])
        assert spool.append([alert(1)]) == range(1, 2)
        assert spool.counters()["refused"] == 100
    with pytest.raises(Usage):
        Spool.open(path, quota_bytes=10)


def test_the_newest_version_is_refused_and_so_is_another_database(path, tmp_path):
    with Spool.open(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version={database.VERSION + 1}")
    connection.close()
    with pytest.raises(NotUnderstood, match="version 2"):
        Spool.open(path)
    other = tmp_path / "other.db"
    other.touch(0o600)
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    with pytest.raises(Unsafe, match="something else"):
        Spool.open(other)


def opened_and_verified(path):
    with Spool.open(path) as spool:
        return spool.verify()


def test_a_damaged_file_is_said_to_be_damaged_and_moved_aside_on_request(path):
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(200)])
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(NotUnderstood, match="damaged"):
        opened_and_verified(path)
    path.write_bytes(b"no database at all, and longer than a header " * 100)
    with pytest.raises(NotUnderstood, match="damaged"):
        Spool.open(path)
    away = aside.moved(path)
    assert away.read_bytes().startswith(b"no database")
    with Spool.open(path) as spool:
        assert spool.append([alert(1)]) == range(1, 2)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "foreign"])
def test_what_is_no_file_of_ours_is_refused(path, tmp_path, kind):
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        path.chmod(0o666)
    with pytest.raises(Unsafe):
        Spool.open(path)


def test_a_folder_that_others_write_is_refused_and_a_missing_one_named(path, tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(Unsafe, match="folder"):
        Spool.open(path)
    with pytest.raises(NotReachable, match="missing"):
        Spool.open(tmp_path / "no" / "spool.db")
    with pytest.raises(NotReachable):
        Spool.open(tmp_path / "none.db", writing=False)
    (tmp_path / "empty.db").touch()
    with pytest.raises(Unsafe, match="empty"):
        Spool.open(tmp_path / "empty.db", writing=False)
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_reader_waits_for_the_next_record(path):
    import threading

    with Spool.open(path) as spool:
        assert spool.wait(0, 0.01) is False
        timer = threading.Timer(0.05, lambda: spool.append([alert(1)]))
        timer.start()
        assert spool.wait(0, 20) is True
        timer.join()


def test_cursors_never_go_back_and_survive_a_restart(path):
    with Spool.open(path) as spool:
        spool.cursors.enlist(["a", "b"])
        spool.append([alert(number) for number in range(9)])
        spool.cursors.delivered("a", 7, 7)
        spool.cursors.delivered("a", 5, 0)
        spool.cursors.failed("b", 3, "refused\0 \udcff", 123)
    with Spool.open(path) as spool:
        spool.cursors.enlist(["b", "c"], backlog=False)
        assert set(spool.cursors.all()) == {"b", "c"}
        assert (spool.cursors.at("b").attempts, spool.cursors.at("b").next_try_ns) == (3, 123)
        assert spool.cursors.at("c").position == 9
        spool.cursors.enlist(["a"])
        assert spool.cursors.at("a").position == 7


@pytest.mark.root
def test_a_full_disk_refuses_loses_nothing_and_recovers(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir(0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", disk], check=True)
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 500_000)
        accepted = {}
        with Spool.open(disk / "spool.db") as spool:
            spool.cursors.enlist(["one"])
            number = 0
            refusal = None
            while refusal is None:
                batch = [alert(number + step) for step in range(10)]
                number += 10
                try:
                    accepted |= dict(zip(spool.append(batch), (one.id for one in batch), strict=True))
                except NotReachable as error:
                    refusal = error
            assert "full" in refusal.what
            assert "make room" in refusal.next
            with pytest.raises(NotReachable):
                spool.append([alert(number + step) for step in range(10)])
            assert len(accepted) > 100
            assert dict(zip(*[iter_of(spool)[part] for part in (0, 1)], strict=True)) == accepted
            # What was accepted is delivered all the same; only the cursor cannot be kept.
            sink = Ndjson("one", tmp_path / "out")
            forwarder = Forwarder(spool, sink)
            forwarder.start()
            wait_for(lambda: forwarder.counters()["lag"] == 0)
            assert forwarder.stop(5)
            assert len((tmp_path / "out").read_bytes().splitlines()) == len(accepted)
            ballast.unlink()
            numbers = spool.append([alert(-1)])
            assert numbers == range(max(accepted) + 1, max(accepted) + 2)
            assert spool.verify().broken is None
            assert spool.counters()["refused"] == 20
    finally:
        subprocess.run(["umount", disk], check=True)


def iter_of(spool):
    kept = spool.after(0, 10**6, 1 << 40)
    return [one.stamp.sequence for one in kept], ids(kept)


def test_a_commit_waits_for_the_disk(path):
    with Spool.open(path) as spool:
        assert spool._write.execute("PRAGMA synchronous").fetchone() == (2,)
        assert spool._write.execute("PRAGMA journal_mode").fetchone() == ("wal",)
