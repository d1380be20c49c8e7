"""The use case ``alerts``: look into a spool, check its chain, and bring single alerts out in any format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.model.alert import Alert, Priority
from holdfast.model.errors import ExitCode, Usage
from holdfast.model.evidence import Kept, Stamp
from holdfast.reports import alert_json
from holdfast.store.spool import Spool

Write = Callable[[bytes], None]

FORMATS = ("json", "falco", "ocsf", "ecs", "cef", "leef")
_PAGE = 500


def encoder(form: str) -> Callable[[Alert, Stamp | None], bytes]:
    """Return the function that writes an alert in a format.

    Args:
        form: One of ``FORMATS``.

    Raises:
        Usage: There is no such format.
    """
    if form not in FORMATS:
        raise Usage(f"there is no format {form!r}", "--format", f"take one of {', '.join(FORMATS)}")
    from importlib import import_module

    render: Callable[[Alert, Stamp | None], bytes] = import_module(f"holdfast.reports.alert_{form}").render
    return render


def listed(  # noqa: PLR0913 - each is one thing a person may say
    path: Path, write: Write, *, form: str = "", after: int = 0, last: int = 0, urgent: str = ""
) -> ExitCode:
    """List alerts in their order.

    Args:
        path: The spool.
        write: Takes each line.
        form: One of ``FORMATS``; empty writes for people.
        after: The last sequence number not wanted.
        last: Only so many of the newest; 0 takes all.
        urgent: Name of the least urgent severity wanted; empty takes all.

    Raises:
        NotReachable: There is no such file.
        NotUnderstood: It is damaged, or of a newer version.
        Unsafe: It is no spool.
        Usage: There is no such format or severity.
    """
    least = _severity(urgent)
    render = encoder(form) if form else None
    with Spool.open(path, writing=False) as spool:
        for kept in _kept(spool, max(after, spool.newest - last if last else 0)):
            alert = alert_json.read(kept.body, f"{path}: record {kept.stamp.sequence}")
            if alert.priority.value <= least:
                write((render(alert, kept.stamp) if render else _line(kept, alert)) + b"\n")
    return ExitCode.CLEAN


def shown(path: Path, sequence: int, write: Write, *, form: str = "") -> ExitCode:
    """Write one alert.

    Args:
        path: The spool.
        sequence: Its number.
        write: Takes the text.
        form: One of ``FORMATS``; empty writes native JSON on many lines, for people.

    Raises:
        Usage: There is no such record, or no such format.
        NotReachable, NotUnderstood, Unsafe: As ``listed``.
    """
    render = encoder(form) if form else None
    with Spool.open(path, writing=False) as spool:
        found = spool.after(sequence - 1, 1)
    if not found or found[0].stamp.sequence != sequence:
        raise Usage(f"there is no record {sequence}", str(path), "see which there are: holdfast alerts list FILE")
    (kept,) = found
    if render is not None:
        write(render(alert_json.read(kept.body, str(path)), kept.stamp) + b"\n")
    else:
        write(json.dumps(json.loads(alert_json.stamped(kept.body, kept.stamp)), indent=2).encode("ascii") + b"\n")
    return ExitCode.CLEAN


def verified(path: Path, write: Write, *, as_json: bool = False) -> ExitCode:
    """Recompute the hash chain.

    Args:
        path: The spool.
        write: Takes the text.
        as_json: JSON instead of a sentence.

    Returns:
        CLEAN where it holds; FINDINGS where it does not.

    Raises:
        NotReachable, NotUnderstood, Unsafe: As ``listed``.
    """
    with Spool.open(path, writing=False) as spool:
        found, stream = spool.verify(), spool.stream
    if as_json:
        names = ("first", "last", "records", "dropped", "broken", "why")
        whole: dict[str, Any] = {"stream": stream, **{name: getattr(found, name) for name in names}}
        write(json.dumps(whole).encode("ascii") + b"\n")
    elif found.broken is None:
        dropped = f"; {found.dropped} were dropped for the quota, as the chain says" if found.dropped else ""
        write(f"the chain holds: {found.records} records up to number {found.last}{dropped}\n".encode())
    else:
        write(f"the chain breaks at record {found.broken}: {found.why}\n".encode())
    return ExitCode.CLEAN if found.broken is None else ExitCode.FINDINGS


def dead(path: Path, write: Write, *, as_json: bool = False) -> ExitCode:
    """List what receivers refused for good, and how far each sink is.

    Args:
        path: The spool.
        write: Takes each line.
        as_json: JSON lines instead of text: the letters alone.

    Raises:
        NotReachable, NotUnderstood, Unsafe: As ``listed``.
    """
    from holdfast.reports._alert_time import rfc3339
    from holdfast.reports._plain import one_line

    with Spool.open(path, writing=False) as spool:
        letters, sinks, newest = spool.cursors.dead(), spool.cursors.all(), spool.newest
    for letter in letters:
        if as_json:
            names = ("sink", "sequence", "attempts", "error", "at_ns")
            write(json.dumps({name: getattr(letter, name) for name in names}).encode("ascii") + b"\n")
        else:
            told = f"{rfc3339(letter.at_ns, 3)} {letter.sequence} {letter.sink}: {letter.error}"
            write(f"{one_line(told)} ({letter.attempts} attempts)\n".encode())
    for sink in () if as_json else sinks.values():
        waiting = newest - sink.position
        trouble = f"; {sink.attempts} attempts failed: {sink.error}" if sink.attempts else ""
        write(f"{one_line(f'{sink.name}: {waiting} of {newest} records wait{trouble}')}\n".encode())
    return ExitCode.CLEAN


def aside(path: Path, write: Write) -> ExitCode:
    """Rename a spool, damaged or not, so that a new one is begun.

    Args:
        path: The spool.
        write: Takes the new name.

    Raises:
        Unsafe: A process writes it, or it is no spool.
        NotPermitted, NotReachable: It is not there, or cannot be renamed.
    """
    from holdfast.store import aside as away

    write(f"{away.moved(path)}\n".encode("utf-8", "surrogateescape"))
    return ExitCode.CLEAN


def _kept(spool: Spool, after: int) -> Iterator[Kept]:
    while page := spool.after(after, _PAGE):
        yield from page
        after = page[-1].stamp.sequence


def _severity(name: str) -> int:
    if not name:
        return Priority.DEBUG.value
    try:
        return Priority[name.upper()].value
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in Priority)
        raise Usage(f"there is no severity {name!r}", "--priority", f"take one of {known}") from error


def _line(kept: Kept, alert: Alert) -> bytes:
    from holdfast.reports._alert_time import rfc3339
    from holdfast.reports._plain import one_line

    parts = (rfc3339(alert.at_ns, 3), str(kept.stamp.sequence), alert.priority.title, alert.verdict.value, alert.rule)
    return f"{' '.join(one_line(part) for part in parts)}: {one_line(alert.output)}".encode()
