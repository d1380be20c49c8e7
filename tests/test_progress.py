"""Progress: on a terminal alone, after a second, in one line that is wiped."""

import io

import pytest

from holdfast.app import progress
from holdfast.app.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_first_second_is_silent_and_then_a_line_is_rewritten_ten_times_a_second(clock):
    stream = Terminal()
    told = Progress(quiet=False, stream=stream)
    told.tell(1, "files read", "a.yaml")
    assert stream.getvalue() == ""
    clock[0] += 1.0
    told.tell(2, "files read", "b.yaml")
    told.tell(3, "files read", "c.yaml")
    assert stream.getvalue() == "\r\x1b[2K2 files read, 1 s: b.yaml"
    clock[0] += 0.2
    told.tell(4, "files read")
    assert stream.getvalue().endswith("\r\x1b[2K4 files read, 1 s")
    told.done()
    assert stream.getvalue().endswith("\r\x1b[2K")
    before = stream.getvalue()
    told.done()
    assert stream.getvalue() == before


def test_a_hostile_or_endless_name_stays_in_the_line(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    stream = Terminal()
    told = Progress(quiet=False, stream=stream)
    clock[0] += 2
    told.tell(1, "files read", "\x1b[2J\n\u202e" + "x" * 10_000)
    line = stream.getvalue().removeprefix("\r\x1b[2K")
    assert line.isprintable()
    assert len(line) == 49


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (Terminal(), True)])
def test_a_log_and_whoever_wants_quiet_get_nothing(clock, stream, quiet):
    told = Progress(quiet=quiet, stream=stream)
    clock[0] += 60
    told.tell(1, "files read")
    told.done()
    assert stream.getvalue() == ""
