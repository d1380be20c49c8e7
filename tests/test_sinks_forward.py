import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from alerts_made import alert
from holdfast.sensor.forward import Forwarder, encoding, native
from holdfast.sensor.sinks.ndjson import Ndjson
from holdfast.sensor.sinks.outcome import Permanent, Temporary
from holdfast.sensor.sinks.syslog import Syslog, Transport
from holdfast.sensor.sinks.webhook import Webhook
from holdfast.store.spool import Spool
from receivers import frames, sequences, wait_for, web


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path / "spool.db"


@contextmanager
def forwarding(spool, *sinks, **how):
    spool.cursors.enlist([sink.name for sink in sinks])
    threads = [Forwarder(spool, sink, **{"shortest_s": 0.01, "longest_s": 0.05} | how) for sink in sinks]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stopped = [thread.stop(5) for thread in threads]
        assert all(stopped)


class Receiver:
    """A sink of the test's own, which answers as it is told."""

    def __init__(self, name="own", answer=lambda _: None):
        self.name = name
        self.got = []
        self._answer = answer

    def send(self, records):
        self._answer(records)
        self.got += [json.loads(record)["sequence"] for record in records]

    def abort(self):
        pass

    close = abort


def test_every_record_arrives_in_order_with_its_stamp(path, tmp_path):
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(250)])
        with forwarding(spool, Ndjson("file", tmp_path / "out")) as (thread,):
            wait_for(lambda: thread.counters()["delivered"] == 250)
            spool.append([alert(250)])
            wait_for(lambda: thread.counters()["delivered"] == 251)
            assert thread.counters()["lag"] == 0
        records = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
        assert [one["sequence"] for one in records] == list(range(1, 252))
        assert {one["stream"] for one in records} == {spool.stream}
        assert [one["chain"] for one in records] == [one.stamp.chain for one in spool.after(0, 1000)]
        assert spool.cursors.at("file").position == 251


def test_a_restart_goes_on_where_it_stood(path, tmp_path):
    for round_ in range(3):
        with Spool.open(path) as spool:
            spool.append([alert(round_)])
            with forwarding(spool, Ndjson("file", tmp_path / "out")) as (thread,):
                wait_for(lambda thread=thread: thread.counters()["lag"] == 0)
    assert [json.loads(line)["sequence"] for line in (tmp_path / "out").read_text().splitlines()] == [1, 2, 3]


def test_one_that_hangs_delays_nobody(path, tmp_path):
    with (
        frames(reads=False) as server,
        Spool.open(path) as spool,
        forwarding(
            spool,
            Syslog("hangs", "127.0.0.1", transport=Transport.TCP, port=server.port, seconds=60),
            Ndjson("file", tmp_path / "out"),
        ) as (hangs, file),
    ):
        big = [alert(number, output="x" * 100_000) for number in range(100)]
        spool.append(big)
        wait_for(lambda: file.counters()["delivered"] == 100)
        start = time.monotonic()
        spool.append([alert(1)])
        wait_for(lambda: file.counters()["delivered"] == 101)
        assert time.monotonic() - start < 5
        assert hangs.counters()["delivered"] == 0
        start = time.monotonic()
        assert hangs.stop(5)
        assert time.monotonic() - start < 1
        assert spool.cursors.at("hangs").position == 0


def test_a_record_that_is_refused_becomes_a_dead_letter_alone(path):
    def answer(body):
        return (400, {}) if json.loads(body)["id"] == alert(13).id else (200, {})

    with Spool.open(path) as spool, web([answer]) as (address, requests):
        spool.append([alert(number) for number in range(30)])
        with forwarding(spool, Webhook("w", address)) as (thread,):
            wait_for(lambda: thread.counters()["lag"] == 0)
            assert thread.counters()["dead"] == 1
        (letter,) = spool.cursors.dead("w")
        assert letter.sequence == 14
        assert "400" in letter.error
        assert spool.cursors.at("w").position == 30
        assert set(sequences(requests)) == set(range(1, 31))
        spool.cursors.raised("w", 14)
        assert spool.cursors.dead() == []


def test_a_record_that_breaks_the_receiver_is_given_up_after_so_many_attempts(path):
    def answer(body):
        return (500, {}) if json.loads(body)["id"] == alert(3).id else (200, {})

    with Spool.open(path) as spool, web([answer]) as (address, requests):
        spool.append([alert(number) for number in range(9)])
        with forwarding(spool, Webhook("w", address), attempts=2) as (thread,):
            wait_for(lambda: thread.counters()["lag"] == 0)
        assert [letter.sequence for letter in spool.cursors.dead()] == [4]
        assert set(sequences(requests)) == set(range(1, 10))


def test_a_receiver_that_is_away_or_busy_is_waited_for(path):
    moods = iter([Temporary("away")] * 30 + [Temporary("busy", retry_after=0.01)] * 5)

    def answer(_):
        mood = next(moods, None)
        if mood is not None:
            raise mood

    sink = Receiver(answer=answer)
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(5)])
        with forwarding(spool, sink, attempts=2) as (thread,):
            wait_for(lambda: thread.counters()["lag"] == 0)
            assert thread.counters()["failed"] == 35
        assert sink.got == [1, 2, 3, 4, 5]
        assert spool.cursors.dead() == []


def test_a_pause_that_the_receiver_asked_for_is_kept_and_ends_with_stop(path):
    def answer(_):
        raise Temporary("busy", retry_after=600)

    with Spool.open(path) as spool:
        spool.append([alert(1)])
        with forwarding(spool, Receiver(answer=answer)) as (thread,):
            wait_for(lambda: spool.cursors.at("own").attempts == 1)
            assert spool.cursors.at("own").next_try_ns > time.time_ns() + 500 * 10**9
            assert spool.cursors.at("own").error == "busy"
            start = time.monotonic()
            assert thread.stop()
            assert time.monotonic() - start < 1


def test_a_clock_that_was_set_back_makes_nobody_wait(path):
    sink = Receiver()
    with Spool.open(path) as spool:
        spool.append([alert(1)])
        spool.cursors.enlist(["own"])
        spool.cursors.failed("own", 3, "away", time.time_ns() + 10**18)
        with forwarding(spool, sink):
            wait_for(lambda: sink.got == [1])


def test_an_encoder_or_sink_that_fails_oddly_ends_nothing(path):
    def render(one, stamp):
        if stamp.sequence == 2:
            raise ZeroDivisionError
        return json.dumps({"sequence": stamp.sequence, "id": one.id}).encode()

    odd = iter([ValueError("odd")])

    def answer(_):
        mood = next(odd, None)
        if mood is not None:
            raise mood

    sink = Receiver(answer=answer)
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(4)])
        with forwarding(spool, sink, encode=encoding(render)) as (thread,):
            wait_for(lambda: thread.counters()["lag"] == 0)
        assert sink.got == [1, 3, 4]
        assert [letter.sequence for letter in spool.cursors.dead()] == [2]


def test_a_batch_that_is_refused_is_halved_until_the_one_is_found(path):
    sizes = []

    def answer(records):
        sizes.append(len(records))
        if any(json.loads(record)["sequence"] == 77 for record in records):
            raise Permanent("not this one")

    sink = Receiver(answer=answer)
    with Spool.open(path) as spool:
        spool.append([alert(number) for number in range(200)])
        with forwarding(spool, sink, batch=64) as (thread,):
            wait_for(lambda: thread.counters()["lag"] == 0)
        assert sink.got == [number for number in range(1, 201) if number != 77]
        assert len(sizes) < 30
        assert sizes[-1] > 1


def test_what_the_quota_dropped_is_told_to_the_receiver(path):
    from holdfast.store.spool import SMALLEST_QUOTA

    away = threading.Event()

    def answer(_):
        if not away.is_set():
            raise Temporary("away")

    sink = Receiver(answer=answer)
    with Spool.open(path, quota_bytes=SMALLEST_QUOTA) as spool, forwarding(spool, sink) as (thread,):
        while not spool.counters()["dropped"]:
            spool.append([alert(number) for number in range(100)])
        spool.append([alert(-1)])
        away.set()
        wait_for(lambda: thread.counters()["lag"] == 0)
        kept = {one.stamp.sequence: json.loads(one.body) for one in spool.after(0, 10**6, 1 << 40)}
        missing = set(range(1, spool.newest + 1)) - set(sink.got)
        told = [one["fields"] for one in kept.values() if one["rule"] == "evidence-dropped"]
        assert sum(one["dropped.count"] for one in told) == len(missing) == spool.cursors.at("own").missed
        assert set(sink.got) == set(kept)


KILLED = """
import sys
import time
from pathlib import Path
sys.path[:0] = {path!r}
from alerts_made import alert
from holdfast.sensor.forward import Forwarder
from holdfast.sensor.sinks.webhook import Webhook
from holdfast.store.spool import Spool
spool = Spool.open(Path(sys.argv[1]))
spool.cursors.enlist(["w"])
Forwarder(spool, Webhook("w", sys.argv[2]), batch=7).start()
while True:
    for number in spool.append([alert(step) for step in range(5)]):
        print(number, flush=True)
    time.sleep(0.01)
"""


def test_a_sender_that_is_killed_loses_no_accepted_alert(path, tmp_path):
    program = tmp_path / "killed.py"
    program.write_text(KILLED.format(path=sys.path))
    accepted = set()
    with web() as (address, requests):
        for round_ in range(4):
            child = subprocess.Popen([sys.executable, program, path, address], stdout=subprocess.PIPE, text=True)
            assert child.stdout is not None
            seen = len(requests)
            wait_for(lambda seen=seen: len(requests) > seen + 10)
            time.sleep(0.03 * round_)
            os.kill(child.pid, signal.SIGKILL)
            accepted |= {int(line) for line in child.stdout if line.endswith("\n")}
            child.wait()
            child.stdout.close()
        with Spool.open(path) as spool:
            assert spool.verify().broken is None
            assert accepted <= {one.stamp.sequence for one in spool.after(0, 10**6, 1 << 40)}
            with forwarding(spool, Webhook("w", address)) as (thread,):
                wait_for(lambda: thread.counters()["lag"] == 0, 60)
            assert set(sequences(requests)) == set(range(1, spool.newest + 1))
            bodies = {}
            for _, _, body in requests:
                assert bodies.setdefault(json.loads(body)["sequence"], body) == body


def test_native_is_what_the_spool_holds(path):
    with Spool.open(path) as spool:
        spool.append([alert(1)])
        (kept,) = spool.after(0, 1)
        assert json.loads(native(kept)) == {
            "stream": spool.stream,
            "sequence": 1,
            "chain": kept.stamp.chain,
            **json.loads(kept.body),
        }
