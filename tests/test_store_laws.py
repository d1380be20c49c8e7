"""Whatever happens to a spool in whatever order: the chain holds, and every number is there or said to be dropped."""

import sqlite3
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts_made import alert
from holdfast.model.alert import Priority
from holdfast.reports import alert_json
from holdfast.store.spool import SMALLEST_QUOTA, Spool

SINKS = ("one", "two")
names = st.sampled_from(SINKS)
acts = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 12), st.sampled_from(Priority)),
    st.tuples(st.just("deliver"), names, st.integers(0, 100)),
    st.tuples(st.just("bury"), names),
    st.tuples(st.just("reopen")),
    st.tuples(st.just("enlist"), st.lists(names, unique=True)),
)


def runs(path):
    connection = sqlite3.connect(path)
    try:
        gaps = connection.execute("SELECT first, last FROM gap ORDER BY first").fetchall()
    finally:
        connection.close()
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(gaps)), "not joined"
    return {number for first, last in gaps for number in range(first, last + 1)}


@settings(max_examples=25)
@given(st.lists(acts, min_size=12, max_size=40))
def test_every_number_is_there_or_said_to_be_dropped(tmp_path_factory, script):
    path = tmp_path_factory.mktemp("spool") / "spool.db"
    spool = Spool.open(path, quota_bytes=SMALLEST_QUOTA)
    given_, accepted, dropped = 0, {}, 0
    try:
        spool.cursors.enlist(SINKS)
        for what, *how in script:
            if what == "append":
                batch = [alert(given_ + step, how[1], output="x" * 90_000) for step in range(how[0])]
                given_ += how[0]
                numbers = spool.append(batch)
                accepted |= dict(zip(numbers, (one.id for one in batch), strict=True))
            elif what == "reopen":
                dropped += spool.counters()["dropped"]
                spool.close()
                spool = Spool.open(path, quota_bytes=SMALLEST_QUOTA)
            elif what == "enlist":
                spool.cursors.enlist(how[0])
            elif how[0] in spool.cursors.all():
                stands = spool.cursors.at(how[0]).position
                if what == "deliver":
                    spool.cursors.delivered(how[0], stands + (spool.newest - stands) * how[1] // 100, 0)
                elif spool.after(stands, 1):
                    spool.cursors.bury(how[0], spool.after(stands, 1)[0].stamp.sequence, 1, "no")
        dropped += spool.counters()["dropped"]
        checked = spool.verify()
        assert checked.broken is None, checked
        kept = {one.stamp.sequence: alert_json.read(one.body) for one in spool.after(0, 10**6, 1 << 40)}
        gone = runs(path)
        assert len(gone) == checked.dropped == dropped
        assert kept.keys() | gone == set(range(1, spool.newest + 1))
        assert not kept.keys() & gone
        assert all(kept[number].id == name for number, name in accepted.items() if number in kept)
        assert {letter.sequence for letter in spool.cursors.dead()} <= kept.keys()
    finally:
        spool.close()
    assert path.stat().st_size <= SMALLEST_QUOTA * 1.4
