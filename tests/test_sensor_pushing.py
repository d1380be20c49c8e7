"""Rules pushed down into the running kernel: what none could match is not sent, and nothing that could is kept back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.app.watch_rules import answers
from holdfast.rules.ruleset import Ruleset, load
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.pushing import Pushed, pushed
from holdfast.sensor.watching import Sensor

pytestmark = pytest.mark.root

RULES = """
- rule: exact
  desc: d
  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.name = {folder}/secret
  output: "%fd.name"
  priority: ERROR
- rule: below
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name startswith {folder}/below/
  output: "%fd.name"
  priority: ERROR
- rule: ending
  desc: d
  condition: evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.name endswith .holdfast-ending
  output: "%fd.name"
  priority: ERROR
- rule: climbing
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.nameraw contains "../secret-"
  output: "%fd.nameraw"
  priority: ERROR
"""


@contextmanager
def judged(folder: Path) -> Iterator[tuple[list[tuple[str, str]], list[str], Pushed]]:
    rules = Ruleset(load([("rules.yaml", RULES.format(folder=folder))]).rules, every=True)
    wanted = pushed(rules.rules)
    told: list[tuple[str, str]] = []
    sent: list[str] = []
    stop = threading.Event()
    with Sensor(wanted.interests, answers(rules.rules)) as sensor:
        sensor.want_paths(wanted.heads, wanted.tails)
        sensor.want_soon(starts=wanted.starts, ends=wanted.ends)
        # The sensor never reports itself; these tests act in children.
        judge = Judge({}, Node("host", "0"), rules)

        def read() -> None:
            while not stop.is_set():
                for event in sensor.events(50):
                    sent.append(event.file.path if event.file else "")
                    told.extend((one.rule, one.output) for one in judge.judge(event))

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield told, sent, wanted
        finally:
            time.sleep(0.3)
            stop.set()
            thread.join()


def act(*paths: str, write: bool = False, times: int = 1) -> None:
    child = os.fork()
    if child == 0:
        for path in paths * times:
            try:
                os.close(os.open(path, (os.O_WRONLY | os.O_CREAT) if write else os.O_RDONLY))
            except OSError:
                continue
        os._exit(0)
    os.waitpid(child, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    for name in ("secret", "other", "secret-1", "below/x"):
        (tmp_path / name).write_text("x", encoding="ascii")
    return tmp_path


def test_only_what_a_rule_could_match_is_sent(folder: Path) -> None:
    with judged(folder) as (told, sent, wanted):
        act(str(folder / "other"), times=500)
        act(str(folder / "secret"), str(folder / "below" / "x"), str(folder / "below" / "none"))
        act(str(folder / "a.holdfast-ending"), write=True)
        act(str(folder / "a.holdfast-ending"))
    assert str(folder / "secret").encode() in wanted.heads
    assert str(folder / "other") not in sent
    assert str(folder / "secret") in sent
    assert ("exact", str(folder / "secret")) in told
    assert ("below", str(folder / "below/x")) in told
    assert [rule for rule, _ in told].count("ending") == 1


def test_a_file_that_was_boring_is_not_once_it_bears_another_name(folder: Path) -> None:
    with judged(folder) as (told, _, _):
        act(str(folder / "other"), times=50)
        (folder / "other").replace(folder / "secret")
        act(str(folder / "secret"))
        (folder / "below").rename(folder / "aside")
        act(str(folder / "aside" / "x"), times=50)
        (folder / "aside").rename(folder / "below")
        act(str(folder / "below" / "x"))
    assert told.count(("exact", str(folder / "secret"))) == 1
    assert told.count(("below", str(folder / "below/x"))) == 1


def test_two_dots_in_a_given_path_are_seen_wherever_they_stand(folder: Path) -> None:
    deep = f"{folder}/below/../secret-1"
    long = f"{folder}/{'below/../' * 40}secret-1"
    with judged(folder) as (told, _, _):
        act(deep, long, f"{folder}/below/../secret-none", f"{folder}/secret-1")
    raw = [path for rule, path in told if rule == "climbing"]
    assert raw.count(deep) == 1
    assert raw.count(long) == 1
    assert raw.count(f"{folder}/below/../secret-none") == 1
    assert f"{folder}/secret-1" not in raw
