"""A drill that is killed at one of its boundaries, as if by kill -9. Started as a program by the tests."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from holdfast.app import drill, settings
from holdfast.drill import lab


def main(told: str, stop_at: int, controls: str, words: list[str]) -> None:
    """Drill; at the boundary of this number end at once, and else write down their names and what was found.

    Args:
        told: File for the names of the boundaries, and then for the outcomes.
        stop_at: Counted from 1; 0 for never.
        controls: ``with`` or ``without``.
        words: Targets, ``--``, and techniques.
    """
    passed: list[str] = []

    def hook(name: str) -> None:
        passed.append(name)
        if len(passed) == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    if controls == "without":
        lab.CONTROLS.clear()
    middle = words.index("--")
    plan = drill.Plan(tuple(words[:middle]), tuple(words[middle + 1 :]), consent=True, explain=False, boundary=hook)
    report = drill.drill(plan, settings.Settings(), lambda _text: None)
    outcomes = {each.technique: each.outcome.value for exercise in report.exercises for each in exercise.attempts}
    trouble = [each.trouble for each in report.exercises if each.trouble]
    found = {"boundaries": passed, "outcomes": outcomes, "trouble": trouble, "left": report.left}
    Path(told).write_text(json.dumps({**found, "changed": report.changed}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
