"""Connections that never wait longer than they were allowed to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.model.errors import NotReachable, Usage
from holdfast.sensor.sinks.outcome import Temporary


@dataclass(frozen=True, slots=True)
class Tls:
    """How the two ends of a connection know each other.

    Attributes:
        authorities: File of certificates to trust; None trusts what the system trusts.
        certificate: File of our own certificate; None where the receiver asks for none.
        key: File of its key; None where it stands in the same file.
        host: The name that the receiver's certificate must bear; empty for the one that is connected to.
        checked: False takes any certificate. Then anybody on the way can read and drop alerts.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    host: str = ""
    checked: bool = True

    def context(self) -> ssl.SSLContext:
        """Return a context for a client: TLS 1.2 or later.

        Raises:
            NotReachable: A file is missing.
            Usage: A file holds no certificate or key.
        """
        where = ", ".join(str(path) for path in (self.authorities, self.certificate, self.key) if path is not None)
        try:
            context = ssl.create_default_context(cafile=self.authorities)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if not self.checked:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except ssl.SSLError as error:
            raise Usage("these are no certificates, or the key does not fit", where, "give PEM files") from error
        except OSError as error:
            raise NotReachable(f"a certificate cannot be read: {error.strerror}", where) from error
        return context


class Wire:
    """The one connection of a sink, and how long it may take."""

    def __init__(self, seconds: float) -> None:
        """Say how long one delivery may take, in seconds."""
        self.seconds = seconds
        self.socket: socket.socket | None = None
        self.aborted = False
        self._late = False

    @contextmanager
    def bounded(self, what: str) -> Iterator[None]:
        """Bound everything inside by ``seconds``, and turn what the network raises into ``Temporary``.

        A timeout for each operation is not enough: a receiver may send one byte at a time.
        """
        self._late = False
        timer = threading.Timer(self.seconds, self._expired)
        timer.daemon = True
        timer.start()
        try:
            self._refused_when_aborted()
            yield
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Temporary(f"{what}: its certificate is refused: {error.verify_message}") from error
        except OSError as error:
            self.close()
            if self._late or isinstance(error, TimeoutError):
                raise Temporary(f"{what} does not answer within {self.seconds:g} seconds") from error
            raise Temporary(f"{what}: {error.strerror or error}") from error
        except Exception as error:
            self.close()
            if self._late:  # whoever reads from a connection that was cut off names it in his own way
                raise Temporary(f"{what} does not answer within {self.seconds:g} seconds") from error
            raise
        finally:
            timer.cancel()
        if self._late:
            self.close()
            raise Temporary(f"{what} does not answer within {self.seconds:g} seconds")

    def connect(self, host: str, port: int, context: ssl.SSLContext | None, name: str = "") -> socket.socket:
        """Connect, with TLS where there is a context; inside ``bounded``.

        Args:
            host: Name or address.
            port: TCP port.
            context: From ``Tls.context``.
            name: What the certificate must bear; the host by default.

        Raises:
            OSError: It is not there, or the handshake fails.
        """
        plain = socket.create_connection((host, port), timeout=self.seconds)
        self.socket = plain
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            # The handshake comes after: wrapping takes the descriptor from ``plain``, and ``abort`` must find it.
            wrapped = context.wrap_socket(plain, server_hostname=name or host, do_handshake_on_connect=False)
            self.socket = wrapped
            wrapped.do_handshake()
        if self._late:
            raise TimeoutError
        return self.socket

    def abort(self) -> None:
        """Let whoever waits in another thread give up now."""
        self.aborted = True
        self._expired()

    def close(self) -> None:
        """Close the connection, with TLS's farewell where it can be said without waiting.

        Without it a receiver must take what it got for cut off by somebody on the way (RFC 8446, section 6.1).
        """
        if self.socket is not None:
            if isinstance(self.socket, ssl.SSLSocket) and not self._late:
                with suppress(OSError, ValueError):
                    self.socket.settimeout(0)
                    self.socket.unwrap()
            with suppress(OSError):
                self.socket.close()
            self.socket = None

    def _refused_when_aborted(self) -> None:
        if self.aborted:
            raise Temporary("the sink is being closed")

    def _expired(self) -> None:
        self._late = True
        open_ = self.socket
        if open_ is not None:
            # The plain call: TLS's own would wait for the peer's farewell.
            with suppress(OSError):
                socket.socket.shutdown(open_, socket.SHUT_RDWR)


def _no_password() -> str:
    raise Usage("the key is locked with a password", next="give a key without one, readable by its owner alone")
