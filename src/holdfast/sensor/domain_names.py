"""Which of the domain names that rules ask for an address belongs to, by the system's resolver, outside the hot path.

Names that rules name are looked up again and again by threads of their own; an event asks a table and never waits. What
could not be looked up is not known, so that without a network nothing is taken for anything.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping

AGAIN_S = 60.0
"""Seconds after which a name is looked up again."""
KEPT_S = 300.0
"""Seconds for which an answer counts where the resolver has gone silent."""
MOST = 4096
"""Most names that are looked up."""
_THREADS = 4
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")

Resolve = Callable[[str], Iterable[str]]


def resolved(name: str) -> list[str]:
    """Return a name's addresses by the system's resolver: hosts file, DNS, whatever nsswitch.conf says.

    Raises:
        OSError: It has none, or nobody answers.
    """
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class DomainNames:
    """The table, and the threads that keep it."""

    def __init__(
        self, wanted: Iterable[str], resolve: Resolve = resolved, again_s: float = AGAIN_S, kept_s: float = KEPT_S
    ) -> None:
        """Know nothing yet.

        Args:
            wanted: Names; what cannot be one is left out.
            resolve: Looks a name up; it may wait, and raise OSError.
            again_s: Seconds between two looks at one name.
            kept_s: Seconds for which an answer counts.
        """
        self.wanted = tuple(sorted({name for name in wanted if len(name) < 254 and _NAME.fullmatch(name)}))[:MOST]
        self._resolve = resolve
        self._again_s = again_s
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._by_name: dict[str, tuple[float, frozenset[str]]] = {}
        self._table: Mapping[str, tuple[str, ...]] = {}
        self._due: list[tuple[float, str]] = [(0.0, name) for name in self.wanted]
        self._stop = threading.Event()
        self._all_seen = threading.Event()
        if not self.wanted:
            self._all_seen.set()

    def start(self, wait_s: float = 0) -> None:
        """Begin to look.

        Args:
            wait_s: Seconds to wait for the first look at every name, at most.
        """
        for number in range(min(_THREADS, len(self.wanted))):
            threading.Thread(target=self._run, name=f"holdfast-names-{number}", daemon=True).start()
        self._all_seen.wait(wait_s)

    def stop(self) -> None:
        """Have the threads end; a look that is under way is not waited for."""
        self._stop.set()

    def of(self, address: str) -> tuple[str, ...] | None:
        """Return the wanted names that have an address; None where none is known to. Never waits."""
        return self._table.get(address)

    def _run(self) -> None:
        while not self._stop.is_set():
            name, wait_s = self._next()
            if not name:
                self._stop.wait(wait_s)
                continue
            try:
                found = frozenset(_plain(address) for address in self._resolve(name))
            except (OSError, UnicodeError, ValueError):
                found = frozenset()
            self._learned(name, found)

    def _next(self) -> tuple[str, float]:
        now = time.monotonic()
        with self._lock:
            if not self._due:
                return "", self._again_s
            at, name = min(self._due)
            if at > now:
                return "", min(at - now, self._again_s)
            self._due.remove((at, name))
            return name, 0

    def _learned(self, name: str, addresses: frozenset[str]) -> None:
        now = time.monotonic()
        with self._lock:
            if addresses or name not in self._by_name:
                self._by_name[name] = (now, addresses)
            self._by_name = {
                one: (at, known) if now - at <= self._kept_s else (now, frozenset())
                for one, (at, known) in self._by_name.items()
            }
            self._due.append((now + self._again_s, name))
            table: dict[str, list[str]] = {}
            for one in sorted(self._by_name):
                for address in self._by_name[one][1]:
                    table.setdefault(address, []).append(one)
            self._table = {address: tuple(names) for address, names in table.items()}
            if len(self._by_name) == len(self.wanted):
                self._all_seen.set()


def _plain(address: str) -> str:
    """Write an address as events have it; one of IPv4 inside IPv6 counts as what it is."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
