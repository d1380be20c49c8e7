"""Who hears an attempt's token: our own listeners, containerd's list of namespaces, a raw socket."""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import time
from pathlib import Path

from holdfast.drill.stage import Listener

_PATIENCE_S = 0.5
_CTR_S = 20
CONTAINERD = "/run/containerd/containerd.sock"


class Heard:
    """A listener of the stage."""

    def __init__(self, listener: Listener) -> None:
        """Keep the listener."""
        self._listener = listener

    def heard(self, token: str) -> bool:
        """Tell whether the token was said to it."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if token.encode() in self._listener.received:
                return True
            time.sleep(0.005)
        return False

    def forget(self, token: str) -> None:
        """Do nothing: what was heard is gone with the run."""


class ContainerdNamespaces:
    """The namespaces of the host's containerd, as its own client lists them."""

    def heard(self, token: str) -> bool:
        """Tell whether there is one that bears the token."""
        return any(token in name for name in self._names())

    def forget(self, token: str) -> None:
        """Remove the one that bears the token."""
        for name in self._names():
            if token in name:
                self._ask("namespaces", "remove", name)

    def _names(self) -> list[str]:
        return self._ask("namespaces", "list", "--quiet").split()

    @staticmethod
    def _ask(*words: str) -> str:
        if not Path(CONTAINERD).is_socket():
            return ""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(  # noqa: S603
                ["ctr", "--connect-timeout", "2s", *words],  # noqa: S607 - containerd's own client, found as the person would
                capture_output=True,
                text=True,
                timeout=_CTR_S,
                check=False,
            ).stdout
        return ""


class Frames:
    """A raw socket on every interface of the host, for frames of one type."""

    def __init__(self, ethertype: bytes) -> None:
        """Listen.

        Raises:
            OSError: The kernel refuses; it needs CAP_NET_RAW.
        """
        kind = int.from_bytes(ethertype, "big")
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
        self._socket.setblocking(False)

    def heard(self, token: str) -> bool:
        """Tell whether a frame with the token came by."""
        until = time.monotonic() + _PATIENCE_S
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return False
            if token.encode() in self._socket.recv(2048):
                return True
        return False

    def forget(self, token: str) -> None:
        """Do nothing: a frame leaves nothing."""

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
