"""Where alerts shall go, as a person writes it, made into forwarders.

``FORMAT:ADDRESS[,OPTION=VALUE...]``, for example ``ocsf:https://siem.example/hook,token_file=/etc/holdfast/token`` or
``cef:syslog+tls://siem.example,ca=/etc/holdfast/ca.pem``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from holdfast.app.alerts import FORMATS, encoder
from holdfast.model.alert import Alert
from holdfast.model.errors import Usage
from holdfast.model.evidence import Stamp
from holdfast.sensor.forward import Encode, Forwarder, Sink, encoding, native
from holdfast.sensor.sinks.ndjson import Ndjson
from holdfast.sensor.sinks.stdout import Stdout
from holdfast.sensor.sinks.syslog import Syslog, Transport
from holdfast.sensor.sinks.webhook import Body, Webhook
from holdfast.sensor.sinks.wire import Tls
from holdfast.store.spool import Spool

T = TypeVar("T")

_TLS = {"ca", "cert", "key", "host", "check"}
_OPTIONS = {
    "file": {"size", "keep", "sync"},
    "stdout": set[str](),
    "syslog": _TLS,
    "http": _TLS | {"token_file", "token_env", "body"},
}
_EVERY = {"name", "timeout"}
_SYSLOG = {f"syslog+{each.value}": each for each in Transport} | {"syslog": Transport.TLS}
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One receiver, as a person asked for it.

    Attributes:
        form: Format of the records, one of ``alerts.FORMATS``.
        address: ``-``, a path, ``http[s]://...``, ``syslog+tls|tcp|udp://host[:port]`` or ``syslog+unix:///path``.
        options: By name; see ``read``.
    """

    form: str
    address: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``stdout``, ``file``, ``http`` or ``syslog``."""
        scheme = self.address.partition("://")[0]
        if self.address == "-":
            return "stdout"
        return "http" if scheme in {"http", "https"} else "syslog" if scheme in _SYSLOG else "file"

    @property
    def name(self) -> str:
        """What the sink's cursor is kept under: the option ``name``, or format and address."""
        return self.options.get("name") or f"{self.form}:{self.address}"


def read(text: str) -> Wanted:
    """Read what a person wrote.

    Args:
        text: ``FORMAT:ADDRESS[,OPTION=VALUE...]``. Options for all: ``name`` (keep it, and the address may change),
            ``timeout`` (seconds). File: ``size`` (bytes, then it is rotated), ``keep`` (files), ``sync`` (yes, no).
            Webhook and syslog: ``ca``, ``cert``, ``key`` (files), ``host`` (the name in the certificate), ``check``
            (no takes any certificate). Webhook: ``token_file``, ``token_env``, ``body`` (single, array, lines).

    Raises:
        Usage: It is not of this form.
    """
    form, colon, rest = text.partition(":")
    if not colon or form not in FORMATS or not rest:
        raise Usage("this is no receiver", text, f"write FORMAT:ADDRESS; formats: {', '.join(FORMATS)}")
    address, *pairs = re.split(r",(?=[a-z_]+=)", rest)
    options = dict(pair.split("=", 1) for pair in pairs)
    wanted = Wanted(form, address, options)
    scheme, separator, _ = address.partition("://")
    if separator and wanted.kind == "file":
        raise Usage(f"there is no way to a receiver over {scheme!r}", text, f"take http, https, {', '.join(_SYSLOG)}")
    unknown = options.keys() - _OPTIONS[wanted.kind] - _EVERY
    if unknown:
        known = sorted(_OPTIONS[wanted.kind] | _EVERY)
        raise Usage(f"there is no option {min(unknown)!r} for this receiver", text, f"take {', '.join(known)}")
    return wanted


def sink(wanted: Wanted) -> Sink:
    """Make the sink; nothing is connected yet.

    Raises:
        Usage: The address or an option says nothing that can be done.
        NotReachable: A certificate is missing.
    """
    options, seconds = wanted.options, _number(wanted, "timeout", 10.0)
    if wanted.kind == "stdout":
        return Stdout(wanted.name, seconds=seconds)
    if wanted.kind == "file":
        return Ndjson(
            wanted.name,
            Path(wanted.address),
            largest=int(_number(wanted, "size", 0)),
            kept=int(_number(wanted, "keep", 5)),
            durable=_chosen(wanted, "sync", _YES_NO, default=True),
        )
    tls = Tls(
        _path(options.get("ca")),
        _path(options.get("cert")),
        _path(options.get("key")),
        options.get("host", ""),
        _chosen(wanted, "check", _YES_NO, default=True),
    )
    if wanted.kind == "http":
        return Webhook(
            wanted.name,
            wanted.address,
            body=_chosen(wanted, "body", {each.value: each for each in Body}, default=Body.SINGLE),
            token_file=_path(options.get("token_file")),
            token_variable=options.get("token_env", ""),
            media_type="text/plain; charset=utf-8" if wanted.form in {"cef", "leef"} else "application/json",
            tls=tls,
            seconds=seconds,
        )
    try:
        parts = urlsplit(wanted.address)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise Usage("this is no address of a receiver", wanted.address, "write syslog+tls://host:port") from error
    transport = _SYSLOG[wanted.address.partition("://")[0]]
    place = parts.path if transport is Transport.UNIX else host
    if not place:
        raise Usage("this is no address of a receiver", wanted.address, "write syslog+tls://host:port")
    shown = tls if transport is Transport.TLS or tls != Tls() else None
    return Syslog(wanted.name, place, transport=transport, port=port, tls=shown, seconds=seconds)


def encode(wanted: Wanted) -> Encode:
    """Return how records are written for this receiver."""
    if wanted.kind != "syslog":
        return native if wanted.form == "json" else encoding(encoder(wanted.form))
    from holdfast.reports import alert_syslog

    render = encoder(wanted.form)

    def message(alert: Alert, stamp: Stamp) -> bytes:
        return alert_syslog.render(alert, stamp, render(alert, stamp))

    return encoding(message)


@contextmanager
def forwarding(spool: Spool, wanted: Sequence[Wanted]) -> Iterator[list[Forwarder]]:
    """Bring what the spool holds, and gets, to receivers while the block runs.

    Args:
        spool: The spool, open for writing.
        wanted: The receivers; those that were named before and are not any more keep their cursor.

    Yields:
        One forwarder for each, for their counters.

    Raises:
        Usage: Two have the same name, or one says nothing that can be done.
        NotReachable: A certificate is missing.
    """
    names = [one.name for one in wanted]
    if len(set(names)) < len(names):
        raise Usage("two receivers have the same name", max(names, key=names.count), "give each a name: ,name=WORD")
    forwarders = [Forwarder(spool, sink(one), encode(one)) for one in wanted]
    spool.cursors.enlist(names)
    try:
        for each in forwarders:
            each.start()
        yield forwarders
    finally:
        for each in forwarders:
            each.stop()


def _number(wanted: Wanted, name: str, default: float) -> float:
    text = wanted.options.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text) or not float(text):
        raise Usage(f"{name} takes a number above 0", text)
    return float(text)


def _chosen(wanted: Wanted, name: str, choices: Mapping[str, T], *, default: T) -> T:
    text = wanted.options.get(name)
    if text is None:
        return default
    if text not in choices:
        raise Usage(f"{name} takes {' or '.join(choices)}", text)
    return choices[text]


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
