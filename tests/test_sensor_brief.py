"""Who may be left out of the process table: nobody that is there, has to do with a container, or has a child there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.sensor import bpf_file, layout
from holdfast.sensor.brief import Brief
from holdfast.sensor.decode import CONTAINED, ENDED, EXEC, FORK, RUNTIME, SEPARATE, URGENT

LAYOUT = layout.read(bpf_file.image("watch"))
BRIEF = Brief(LAYOUT)
Told = tuple[int, int, int, int]
"""Kind, process id, flags, who made it."""


def record(kind: int, pid: int, flags: int = 0, by: int = 0, start: int = 7) -> bytes:
    known = LAYOUT.records[kind]
    row = list(known.parser.unpack(bytes(known.size)))
    members = {"head.kind": kind, "subject.pid": pid, "subject.start_ns": start, "subject.flags": flags}
    for name, value in {**members, **({"by": by} if kind == FORK else {})}.items():
        row[known.places[name]] = value
    return known.parser.pack(*row)


def left_out(*told: Told) -> set[int]:
    return set(BRIEF.among([record(*one) for one in told]))


def test_who_began_and_ended_is_left_out() -> None:
    assert left_out((FORK, 5, 0, 1), (EXEC, 5, 0, 0), (ENDED, 5, 0, 0)) == {0, 1, 2}


def test_who_is_there_still_and_who_was_there_before_are_not() -> None:
    assert left_out((FORK, 5, 0, 1), (EXEC, 5, 0, 0), (EXEC, 6, 0, 0), (ENDED, 6, 0, 0)) == set()


def test_ancestors_of_who_is_there_are_not() -> None:
    told = ((FORK, 5, 0, 1), (FORK, 6, 0, 5), (FORK, 7, 0, 6), (FORK, 8, 0, 5), (ENDED, 8, 0, 0), (ENDED, 6, 0, 0),
            (ENDED, 5, 0, 0))  # fmt: skip
    assert left_out(*told) == {3, 4}


def test_what_has_to_do_with_a_container_is_not() -> None:
    for flag in (CONTAINED, SEPARATE, RUNTIME, URGENT):
        assert left_out((FORK, 5, 0, 1), (EXEC, 5, flag, 0), (ENDED, 5, 0, 0)) == set()


def test_a_number_that_is_given_out_again_is_another_process() -> None:
    records = [record(FORK, 5, 0, 1), record(ENDED, 5), record(FORK, 5, 0, 1, start=9), record(EXEC, 5, start=9)]
    assert BRIEF.among(records) == {0, 1}


@given(st.binary(max_size=300))
def test_bytes_that_are_no_record_are_left_for_who_says_so(data: bytes) -> None:
    assert 1 not in BRIEF.among([record(FORK, 5, 0, 1), data[:40], record(ENDED, 5)])


@st.composite
def histories(draw: st.DrawFn) -> list[Told]:
    """Draw lives: each begins once, runs programs, makes others, and perhaps ends, before its children or after."""
    told: list[Told] = []
    living, number = [1], 1
    for _ in range(draw(st.integers(0, 40))):
        act, who = draw(st.sampled_from((FORK, EXEC, ENDED))), draw(st.sampled_from(living))
        flags = draw(st.sampled_from((0, 0, 0, CONTAINED, URGENT)))
        if act == FORK:
            number += 1
            told.append((FORK, number, flags, who))
            living.append(number)
        elif act == EXEC:
            told.append((EXEC, who, flags, 0))
        elif who != 1:
            told.append((ENDED, who, flags, 0))
            living.remove(who)
    return told


@given(histories())
def test_only_those_are_left_out_whom_nobody_can_ask_for(told: list[Told]) -> None:
    gone = left_out(*told)
    parents = {pid: by for kind, pid, _, by in told if kind == FORK}
    ended = {pid for kind, pid, _, _ in told if kind == ENDED}
    needed = {pid for _, pid, flags, _ in told if flags} | (set(parents) - ended)
    for pid in tuple(needed):
        step = pid
        while step in parents:
            needed.add(step)
            step = parents[step]
    assert gone == {index for index, (_, pid, _, _) in enumerate(told) if pid in parents and pid not in needed}
