"""HTTP POST to a receiver. Redirects are not followed, proxies of the environment are not used."""

from __future__ import annotations

import email.utils
import http.client
import os
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.model.errors import Usage
from holdfast.sensor.sinks.lines import lines
from holdfast.sensor.sinks.outcome import Permanent, Temporary
from holdfast.sensor.sinks.wire import Tls, Wire
from holdfast.version import __version__

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_NOT_THE_RECORD = {401, 402, 403, 404, 405, 407, 408, 410, 421, 425, 426, 429, 451, 502, 503, 504}
"""Statuses that speak of the address, the sender or the moment; every other 4xx and 5xx may be a record's fault."""

_LONGEST_ANSWER = 65_536
_LONGEST_TOKEN = 16_384


class Body(Enum):
    """How records become bodies."""

    SINGLE = "single"
    ARRAY = "array"
    LINES = "lines"


class Webhook:
    """Posts records.

    Attributes:
        name: Names the sink's cursor.
    """

    def __init__(  # noqa: PLR0913 - each is one thing a person may say
        self,
        name: str,
        address: str,
        *,
        body: Body = Body.SINGLE,
        media_type: str = "application/json",
        token_file: Path | None = None,
        token_variable: str = "",
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        seconds: float = 10.0,
    ) -> None:
        """Say where to; the connection is made with the first record.

        Args:
            name: Names the sink's cursor.
            address: ``https://host[:port]/path``. Plain ``http`` is taken, though a token only to this very machine.
            body: One request for each record, one array of JSON records, or JSON lines.
            media_type: Of a single record.
            token_file: File that holds a bearer token; it is read for every connection, so that it can be changed.
            token_variable: Name of an environment variable that holds the token.
            headers: More headers.
            tls: How the ends know each other.
            seconds: How long one request may take.

        Raises:
            Usage: The address is none, or a token would travel unprotected.
            NotReachable: A certificate is missing.
        """
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Usage("this is no address of a receiver", address, "write https://host/path") from error
        plain = address.isascii() and address.isprintable() and " " not in address
        if parts.scheme not in {"http", "https"} or not host or parts.username is not None or not plain:
            raise Usage("this is no address of a receiver", address, "write https://host/path, without a user")
        if (token_file or token_variable) and parts.scheme == "http" and host not in _LOOPBACK:
            raise Usage("a token would travel unprotected", address, "take https")
        self.name = name
        self._host = host
        self._port = port or (443 if parts.scheme == "https" else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._body = body
        self._token_file = token_file
        self._token_variable = token_variable
        self._tls = tls or Tls()
        self._context = self._tls.context() if parts.scheme == "https" else None
        types = {Body.SINGLE: media_type, Body.ARRAY: "application/json", Body.LINES: "application/x-ndjson"}
        self._headers = {"Content-Type": types[body], "User-Agent": f"holdfast/{__version__}", **(headers or {})}
        self._where = f"{parts.scheme}://{host}:{self._port}"
        self._wire = Wire(seconds)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, records: Sequence[bytes]) -> None:
        """Post records.

        Raises:
            Temporary: The receiver is not there, hangs, is busy, or refuses whoever asks.
            Permanent: The receiver says that it will never take these.
        """
        if self._body is Body.SINGLE:
            for number, record in enumerate(records):
                try:
                    self._post(record)
                except (Temporary, Permanent) as failure:
                    failure.taken = number
                    raise
        elif self._body is Body.ARRAY:
            self._post(b"[" + b",".join(records) + b"]")
        else:
            self._post(lines(records))

    def abort(self) -> None:
        """Let a ``send`` that waits in another thread give up now."""
        self._wire.abort()

    def close(self) -> None:
        """Close the connection."""
        self._connection = None
        self._wire.close()

    def _post(self, body: bytes) -> None:
        try:
            with self._wire.bounded(self._where):
                connection = self._connected()
                connection.request("POST", self._target, body, self._headers | self._authorization())
                answer = connection.getresponse()
                said = answer.read(_LONGEST_ANSWER)
                if answer.will_close or not answer.isclosed():
                    self.close()
        except Temporary:
            self._connection = None
            raise
        except http.client.HTTPException as error:
            self.close()
            raise Temporary(f"{self._where} does not speak HTTP: {type(error).__name__}", answered=True) from error
        _judge(answer.status, answer.headers.get("Retry-After"), f"{self._where} answers {answer.status}", said)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None or self._wire.socket is None:
            self._wire.close()
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._wire.seconds)
            self._connection.sock = self._wire.connect(self._host, self._port, self._context, self._tls.host)
        return self._connection

    def _authorization(self) -> dict[str, str]:
        token = ""
        if self._token_file is not None:
            try:
                with self._token_file.open("rb") as file:
                    token = file.read(_LONGEST_TOKEN).decode("ascii").strip()
            except (OSError, ValueError) as error:
                raise Temporary(f"the token cannot be read from {self._token_file}") from error
        elif self._token_variable:
            token = os.environ.get(self._token_variable, "").strip()
        if (self._token_file or self._token_variable) and not (token and token.isprintable() and token.isascii()):
            raise Temporary("the token is missing or holds what no header can")
        return {"Authorization": f"Bearer {token}"} if token else {}


def _judge(status: int, retry_after: str | None, what: str, said: bytes) -> None:
    if 200 <= status < 300:
        return
    words = said[:200].decode("utf-8", "replace")
    what = f"{what}: {''.join(each if each.isprintable() else ' ' for each in words).strip()}".removesuffix(": ")
    if status < 400:
        raise Temporary(f"{what} (a redirect, which is not followed: name the final address)")
    if status in _NOT_THE_RECORD:
        raise Temporary(what, retry_after=_seconds(retry_after))
    if status >= 500:
        raise Temporary(what, retry_after=_seconds(retry_after), answered=True)
    raise Permanent(what)


def _seconds(retry_after: str | None) -> float | None:
    """Read the header Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
