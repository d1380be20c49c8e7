"""The policy of ``holdfast watch``: read it against what there is to name, and show what holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from holdfast.model.errors import Error, NotReachable, NotUnderstood
from holdfast.model.technique import Technique
from holdfast.reports._plain import one_line
from holdfast.rules.problems import Problem
from holdfast.sensor.policy import Action, Exemption, Line, Policy, effective
from holdfast.sensor.policy_read import Known, read

LARGEST = 1 << 20
"""Largest policy file, bytes."""


def load(path: str, techniques: Mapping[str, Technique], rules: Collection[str], say: Callable[[str], None]) -> Policy:
    """Read a policy file.

    Args:
        path: The file.
        techniques: The catalogue.
        rules: Names of the rules that were loaded.
        say: Is given a line for each thing that is wrong.

    Raises:
        NotReachable: It is not there or cannot be read.
        NotUnderstood: Something in it is wrong.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise NotReachable(f"the policy cannot be read: {error.strerror}", path, "check its name") from error
    if len(data) > LARGEST:
        raise Error(f"the policy has more than {LARGEST} bytes", path, "use globs instead of long lists")
    known = Known({name: one.attack for name, one in techniques.items()}, rules)
    policy, problems = read(data.decode("utf-8-sig", "surrogateescape"), path, known)
    if not problems:
        return policy
    for problem in problems:
        say(_told(problem))
    count = f"{len(problems)} errors" if len(problems) > 1 else "an error"
    raise NotUnderstood(f"the policy holds {count}", path, "mend it; nothing was started", problems[0].place.line)


def table(policy: Policy, names: Collection[str]) -> bytes:
    """Write what holds: for each selector the action on every technique and rule, and the line that says so.

    Args:
        policy: The policy.
        names: Techniques and rules.
    """
    mode = "enforce" if policy.enforced else "audit"
    lines = [f"mode {mode}; where nothing fits: {policy.default.value}; {policy.per_minute} responses a minute at most"]
    for selector, decided in effective(policy, names):
        lines += ["", f"{selector}"]
        by_line: dict[int, list[str]] = {}
        for name, line in decided.items():
            by_line.setdefault(line.line, []).append(name)
        kept = {line.line: line for line in decided.values()}
        for number, covered in sorted(by_line.items()):
            line = kept[number]
            lines.append(f"  {_action(line):<28} line {number}: {', '.join(sorted(covered))}")
            lines += [f"    except {_exemption(one)}" for one in line.exemptions]
            if line.action is Action.DENY and line.exemptions:
                lines.append(f"    the kernel knows no exceptions: instead of denying, {line.otherwise.value}")
        rest = len(names) - len(decided)
        if rest:
            lines.append(f"  {policy.default.value:<28} the other {rest}")
    return "".join(f"{one_line(line, 0)}\n" for line in lines).encode("utf-8", "backslashreplace")


def _action(line: Line) -> str:
    if not line.action.acts:
        return line.action.value
    whole = " the whole container" if line.whole else ""
    return f"{line.action.value}{whole}" + ("" if line.enforced else " (audit: only said)")


def _exemption(one: Exemption) -> str:
    parts = [
        f"{name} {value}" for name in ("executable", "path", "user") if (value := getattr(one, name)) not in {"", None}
    ]
    if one.executable and one.in_image:
        parts.append("in the image")
    return f"{', '.join(parts)}: {one.action.value}"


def _told(problem: Problem) -> str:
    hint = f" (next: {problem.next})" if problem.next else ""
    return one_line(f"{problem.place}: error: {problem.what}{hint}", 0)
