"""Say which back end is in force on this machine, prove it, and say what it cannot see or block."""

from __future__ import annotations

from holdfast.reports._plain import one_line
from holdfast.sensor.backends import Check, check
from holdfast.techniques import load


def told(*, verbose: bool) -> bytes:
    """Try, and write what came of it. Everything is taken down again.

    Args:
        verbose: A line for each technique, too.
    """
    return written(check(load()), verbose=verbose)


def written(found: Check, *, verbose: bool) -> bytes:
    """Write what a check found.

    Args:
        found: It.
        verbose: A line for each technique, too.
    """
    seen = sum(one.seen for one in found.techniques.values())
    deniable = sum(one.deniable for one in found.techniques.values())
    partly = sum(one.partly for one in found.techniques.values())
    lines = [
        f"back end: {found.grade.value}",
        f"proof: {found.proof.why}" + (f" ({found.proof.took_s:.1f} s)" if found.proof.took_s else ""),
        f"techniques: {len(found.techniques)}; {seen} are seen, {deniable} can be denied"
        + (f", {partly} of them in part" if partly else ""),
    ]
    if found.groups:
        lines.append("control groups: settings, devices and connections can be denied by them")
    if found.pinned:
        lines.append(
            f"pinned: {len(found.pinned)} programs deny, whether or not a sensor runs: {' '.join(found.pinned)}"
        )
        lines.append("  to let them go: holdfast watch --unpin")
    for what, next_ in found.troubles:
        lines += [f"trouble: {what}", f"  next: {next_}"]
    lines += [f"not in force: {one}" for one in found.passed_by]
    lines += [f"this kernel lacks the hook {one}" for one in found.missing]
    lines += [f"cannot: {one}" for one in found.blind]
    if verbose:
        for name, one in sorted(found.techniques.items()):
            what = f"{'seen' if one.seen else 'not seen'}, {'deniable' if one.deniable else 'not deniable'}"
            lines.append(f"  {name:<34} {what}" + (f": {one.why}" if one.why else ""))
    return "".join(f"{one_line(line, 0)}\n" for line in lines).encode("utf-8", "backslashreplace")
