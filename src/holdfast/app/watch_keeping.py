"""Alerts on their way: into the spool before anybody is told, and from there to the sinks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from holdfast.app.alerts import FORMATS, encoder
from holdfast.model.alert import Alert, Origin
from holdfast.model.errors import Error, Usage
from holdfast.model.evidence import Stamp
from holdfast.reports import alert_syslog
from holdfast.sensor.forward import Encode, Forwarder, Sink, encoding, native
from holdfast.sensor.sinks.wire import Tls
from holdfast.store.spool import Spool

WAITING = 20_000
"""Alerts that wait in memory while the disk refuses them; the oldest that are least urgent go first."""
_AGAIN_S = 1.0
_DRAIN_S = 3.0
_SYSLOG = {"syslog": "udp", "syslog+tls": "tls", "syslog+tcp": "tcp", "syslog+udp": "udp", "syslog+unix": "unix"}
_TLS = ("ca", "cert", "key", "host", "verify")
_HINT = "ndjson:FILE, stdout, syslog+tls://HOST:PORT?ca=FILE, https://HOST/PATH"


class Keeping:
    """The spool and its sinks.

    Attributes:
        waiting: Alerts that the disk has not taken yet.
        lost: Alerts that were given up because too many waited.
        trouble: Why the disk refuses; empty while it does not.
    """

    def __init__(self, spool: str, sinks: Sequence[str], say: Callable[[str], None], node: str = "") -> None:
        """Open the spool and begin to deliver.

        Args:
            spool: Its file; empty keeps nothing, and then there are no sinks.
            sinks: As a person writes them.
            say: Is given a line where the disk begins or ends to refuse.
            node: How the spool's own records call this machine; its host name where it is empty.

        Raises:
            Usage: A sink is written wrong, or there are sinks and no spool.
            Error: The spool cannot be opened.
        """
        made = [parsed(one) for one in sinks]
        if made and not spool:
            raise Usage("sinks deliver what the spool holds, and there is none", "--sink", "give --spool FILE")
        names = [sink.name for sink, _ in made]
        if len(set(names)) < len(names):
            raise Usage("a sink is given twice", ", ".join(names), "name each once, or add name=OTHER")
        self.spool = Spool.open(Path(spool), node=node) if spool else None
        self.waiting: list[Alert] = []
        self.lost = 0
        self.trouble = ""
        self._again = 0.0
        self._say = say
        self._sinks = [sink for sink, _ in made]
        self.forwarders: list[Forwarder] = []
        if self.spool is not None:
            self.spool.cursors.enlist(names)
            self.forwarders = [Forwarder(self.spool, sink, encode) for sink, encode in made]
            for one in self.forwarders:
                one.start()

    def keep(self, alerts: Sequence[Alert]) -> None:
        """Bring alerts onto the disk; what it refuses waits in memory and is tried again."""
        if self.spool is None:
            return
        self.waiting += alerts
        if not self.waiting or (self.trouble and time.monotonic() < self._again):
            self._bound()
            return
        try:
            self.spool.append(self.waiting)
        except Error as error:
            if not self.trouble:
                self._say(f"the spool does not take alerts: {error.what}; they wait in memory")
            self.trouble = error.what
            self._again = time.monotonic() + _AGAIN_S
            self._bound()
            return
        self.waiting = []
        if self.trouble:
            self._say("the spool takes alerts again")
            self.trouble = ""

    def reopen(self) -> None:
        """Let sinks that write files open them anew."""
        for sink in self._sinks:
            again = getattr(sink, "reopen", None)
            if again is not None:
                again()

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Return what was counted, by sink."""
        return {one.name: one.counters() for one in self.forwarders}

    def close(self) -> None:
        """Deliver what can be delivered soon, and close. What is not delivered stays in the spool."""
        if self.spool is None:
            return
        self._again = 0.0
        self.keep(())
        until = time.monotonic() + _DRAIN_S
        while time.monotonic() < until and any(
            one.counters()["lag"] and not one.error and not one.counters()["attempts"] for one in self.forwarders
        ):
            time.sleep(0.02)
        for one in self.forwarders:
            one.stop()
        self.spool.close()

    def _bound(self) -> None:
        over = len(self.waiting) - WAITING
        if over > 0:
            ranked = sorted(range(len(self.waiting)), key=lambda at: (-self.waiting[at].priority.value, at))
            gone = set(ranked[:over])
            self.waiting = [one for at, one in enumerate(self.waiting) if at not in gone]
            self.lost += over


def parsed(text: str) -> tuple[Sink, Encode]:
    """Read a sink as a person writes it.

    Args:
        text: ``stdout``, ``ndjson:FILE``, ``syslog+tls://HOST[:PORT]``, ``syslog+tcp://``, ``syslog+udp://``,
            ``syslog+unix:SOCKET`` or ``https://...``, then ``?format=...`` and what else the sink takes.

    Returns:
        The sink, and how records are written for it.

    Raises:
        Usage: It is none.
        NotReachable: A certificate is missing.
    """
    head, _, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=False)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Usage("an option of the sink is given twice", text, "give it once")
    form = given.pop("format", "json")
    if form not in FORMATS:
        raise Usage(f"there is no format {form!r}", text, f"take one of {', '.join(FORMATS)}")
    encode = native if form == "json" else encoding(encoder(form))
    scheme = head.partition(":")[0]
    name = given.pop("name", "")
    if head == "stdout":
        from holdfast.sensor.sinks.stdout import Stdout

        sink: Sink = Stdout(name or "stdout")
    elif scheme == "ndjson" and len(head) > len("ndjson:"):
        sink = _file(head.removeprefix("ndjson:"), name, given, text)
    elif scheme in _SYSLOG:
        return _syslog(head, form, name, given, text)
    elif scheme in {"http", "https"}:
        sink = _webhook(head, form, name, given, text)
    else:
        raise Usage("this is no sink", text, _HINT)
    _nothing_left(given, text)
    return sink, encode


def _file(path: str, name: str, given: dict[str, str], text: str) -> Sink:
    from holdfast.sensor.sinks.ndjson import Ndjson

    largest = _number(given.pop("largest", "0"), text)
    kept = _number(given.pop("kept", "5"), text)
    return Ndjson(name or f"ndjson:{path}", Path(unquote(path)), largest=largest, kept=kept)


def _syslog(head: str, form: str, name: str, given: dict[str, str], text: str) -> tuple[Sink, Encode]:
    from holdfast.sensor.sinks.syslog import Syslog, Transport

    scheme = head.partition(":")[0]
    transport = Transport(_SYSLOG[scheme])
    facility = _number(given.pop("facility", str(alert_syslog.AUTHPRIV)), text)
    if transport is Transport.UNIX:
        address, port = unquote(head.partition(":")[2]).removeprefix("//") or "/dev/log", 0
    else:
        address, port = _place(head, text)
    tls = _tls(given, text) if transport is Transport.TLS else None
    _nothing_left(given, text)
    render = encoder(form)

    def written(alert: Alert, stamp: Stamp) -> bytes:
        return alert_syslog.render(alert, stamp, render(alert, stamp), facility)

    sink = Syslog(name or f"{scheme}://{address}:{port}", address, transport=transport, port=port, tls=tls)
    return sink, encoding(written)


def _webhook(head: str, form: str, name: str, given: dict[str, str], text: str) -> Sink:
    from importlib import import_module

    from holdfast.sensor.sinks.webhook import Body, Webhook

    body = given.pop("body", "single")
    if body not in {one.value for one in Body}:
        raise Usage(f"there is no body {body!r}", text, f"take one of {', '.join(one.value for one in Body)}")
    token, variable = given.pop("token_file", ""), given.pop("token_variable", "")
    tls = _tls(given, text)
    media = import_module(f"holdfast.reports.alert_{form}").MEDIA_TYPE
    return Webhook(
        name or head, head, body=Body(body), media_type=media, token_file=Path(token) if token else None,
        token_variable=variable, tls=tls,
    )  # fmt: skip


def _tls(given: dict[str, str], text: str) -> Tls:
    told = {key: given.pop(key) for key in _TLS if key in given}
    if told.get("verify", "yes") not in {"yes", "no"}:
        raise Usage("verify is yes or no", text)
    files = {key: Path(told[key]) if told.get(key) else None for key in ("ca", "cert", "key")}
    return Tls(files["ca"], files["cert"], files["key"], told.get("host", ""), told.get("verify", "yes") == "yes")


def _place(head: str, text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(head)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Usage("this is no address of a receiver", text, _HINT) from error
    if not host or parts.username is not None or parts.path not in {"", "/"}:
        raise Usage("this is no address of a receiver", text, _HINT)
    return host, port or 0


def _number(value: str, text: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise Usage(f"{value!r} is no number", text)
    return int(value)


def _nothing_left(given: Mapping[str, str], text: str) -> None:
    for key in given:
        raise Usage(f"this sink takes no option {key!r}", text, _HINT)


def told(alert: Alert) -> bool:
    """Tell whether a person who reads along wants an alert: not what is only observed, nor the sensor's heartbeat."""
    return alert.verdict.value != "observed" or (alert.origin is Origin.SENSOR and alert.rule == "incident")
