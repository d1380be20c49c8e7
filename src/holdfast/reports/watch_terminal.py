"""What a person reads while it happens: a block for each incident, in it a line for each event."""

from __future__ import annotations

import time
from collections.abc import Sequence

from holdfast.model.alert import Alert, Origin, Priority, Verdict
from holdfast.reports._alert_crowd import Crowd, Kind
from holdfast.reports._lines import Line, line, painted
from holdfast.reports._plain import one_line

MEDIA_TYPE = "text/plain"
INCIDENT = "incident"
_STYLES = {
    Priority.EMERGENCY: "escapable", Priority.ALERT: "escapable", Priority.CRITICAL: "escapable",
    Priority.ERROR: "escapable", Priority.WARNING: "unknown",
}  # fmt: skip
_REMEMBERED = 256


class View:
    """Remembers which incident was written last, so that a line of another one begins with its head."""

    def __init__(self, *, colour: bool = False, width: int = 0, verbose: bool = False) -> None:
        """Say how it shall look.

        Args:
            colour: Write SGR colour sequences.
            width: Columns to wrap at; 0 does not wrap.
            verbose: Say which parts of a condition decided, and who started whom.
        """
        self._colour = colour
        self._width = width
        self._verbose = verbose
        self._last = ""
        self._begun: dict[str, int] = {}
        self._crowd = Crowd()

    def render(self, alerts: Sequence[Alert]) -> bytes:
        """Write the alerts of one event.

        Args:
            alerts: At least one, all of the same event; their strings may hold anything.

        Returns:
            UTF-8 text, each line with its end.
        """
        first = alerts[0]
        lines = [self._counted(kind) for kind in self._crowd.over(first.boot_ns)]
        if first.rule == INCIDENT:
            lines += self._ended(first)
        elif first.origin is Origin.SENSOR or self._crowd.admits(alerts):
            if first.incident and first.incident != self._last:
                lines += self._head(first)
            elif not first.incident and self._last:
                lines.append(line(""))
            self._last = first.incident
            lines += self._event(alerts)
        return painted(lines, colour=self._colour, width=self._width)

    def _counted(self, kind: Kind) -> Line:
        self._last = ""
        actor = kind.first.process[0].name if kind.first.process else ""
        told = f"{kind.counted} more in that second: {kind.first.event} {', '.join(kind.rules)} by {actor} and others"
        return line((f"{one_line(told)} in {_where(kind.first)}", "dim"), indent=2)

    def _head(self, alert: Alert) -> list[Line]:
        known = alert.incident in self._begun
        self._begun.setdefault(alert.incident, alert.boot_ns)
        if len(self._begun) > _REMEMBERED:
            del self._begun[next(iter(self._begun))]
        lead = [line("")] if self._last else []
        if known:
            return [*lead, line((f"incident {_short(alert)} goes on", "dim"), f" in {_where(alert)}")]
        chain = " <- ".join(f"{one.name}({one.pid})" for one in alert.process[:5])
        return [
            *lead,
            line(
                ("incident ", "dim"), (_short(alert), "id"), " in ", (_where(alert), "name"),
                (f"  {_clock(alert.at_ns)}", "dim"),
            ),
            line((f"  {one_line(chain, 0)}", "dim")),
        ]  # fmt: skip

    def _event(self, alerts: Sequence[Alert]) -> list[Line]:
        first = alerts[0]
        worst = min(alerts, key=lambda one: one.priority.value).priority
        since = self._begun.get(first.incident)
        at = f"{(first.boot_ns - since) / 1e6:+9.1f} ms" if since is not None else _clock(first.at_ns)
        rules = ", ".join(dict.fromkeys(one_line(one.rule) for one in alerts))
        lines = [
            line(
                (f"{at} ", "dim"), (f"{worst.title:<13} ", _STYLES.get(worst, "dim")), _what(first), " ",
                *_result(alerts), (f"  {rules}", "mark"), hang=14,
                indent=2 if since is not None else 0,
            )
        ]  # fmt: skip
        if since is None and first.container:
            lines.append(line((f"in {_where(first)}", "dim"), indent=4))
        if self._verbose:
            for alert in alerts:
                if alert.output:
                    lines.append(line((one_line(alert.output, 0), ""), indent=6))
                lines += [line((f"because {one_line(reason, 0)}", "dim"), indent=6) for reason in alert.reasons]
            chain = " <- ".join(f"{one.name}({one.pid})" for one in first.process)
            lines += [line((f"process {one_line(chain, 0)}", "dim"), indent=6)] if chain else []
        return lines

    def _ended(self, alert: Alert) -> list[Line]:
        lead = [line("")] if self._last and self._last != alert.incident else []
        self._last = ""
        self._begun.pop(alert.incident, None)
        style = "escapable" if alert.succeeded else "contained"
        return [
            *lead,
            line(("incident ", "dim"), (_short(alert), "id"), ": ", (one_line(alert.output, 0), style)),
            line(""),
        ]  # fmt: skip


def _short(alert: Alert) -> str:
    return one_line(alert.incident[:8])


def _clock(at_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ns / 1e9)) + f".{at_ns // 1_000_000 % 1000:03d}"


def _where(alert: Alert) -> str:
    container = alert.container
    if not container:
        return "the host"
    pod = container.get("pod")
    name = str(container.get("name") or str(container.get("id") or "")[:12] or "a container nobody knows")
    told = f"{container.get('namespace', '')}/{pod} {name}" if pod else name
    image = str(container.get("image") or "")
    return one_line(told) + (f" ({one_line(image)})" if image else "")


def _what(alert: Alert) -> str:
    actor = alert.process[0] if alert.process else None
    who = f"{one_line(actor.name)}({actor.pid}) " if actor else ""
    path = alert.fields.get("event.path") or alert.fields.get("event.host_path") or alert.fields.get("fd.name")
    if not alert.event:
        return who + one_line(alert.output, 0)
    told = path or alert.fields.get("event.command") or alert.fields.get("event.flags") or ""
    if isinstance(told, list | tuple | frozenset):
        told = " ".join(str(one) for one in told)
    return f"{who}{one_line(alert.event)} {one_line(str(told))}".rstrip()


def _result(alerts: Sequence[Alert]) -> list[tuple[str, str]]:
    first = alerts[0]
    done = [one.verdict for one in alerts if one.verdict not in {Verdict.ALERTED, Verdict.OBSERVED}]
    would = next((str(one.fields["policy.would"]) for one in alerts if one.fields.get("policy.would")), "")
    parts: list[tuple[str, str]] = []
    if first.succeeded is not None:
        parts.append(("ok", "escapable") if first.succeeded else (f"refused: {one_line(first.error)}", "contained"))
    parts += [(f" {one.value}", "contained") for one in dict.fromkeys(done)]
    if would:
        parts.append((f" {one_line(would)}", "unknown"))
    return parts
