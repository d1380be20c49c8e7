"""What engines told of containers, ready for whoever needs it at once.

Sources write from their own threads; the sensor's thread takes the news without waiting for anybody, and whoever
writes an alert may wait a moment for a name.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from holdfast.model.event import Container
from holdfast.sensor.containers import Known, describe

MOST = 16_384
"""Most containers that are remembered; those that ended go first."""


class Source(Protocol):
    """Something that knows containers: an engine's socket, or folders in which runtimes keep their state."""

    name: str

    def start(self, registry: Registry) -> None:
        """Begin to tell the registry, in a thread of its own."""

    def ask(self, identity: str) -> None:
        """Tell of this container soon, ``Registry.unknown`` where there is none. Returns at once."""

    def stop(self) -> None:
        """End the thread."""


class Registry:
    """The containers of this machine, as far as engines told."""

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        """Know nothing yet."""
        self._sources = tuple(sources)
        self._table: dict[str, Known] = {}
        self._denied: dict[str, set[str]] = {}
        self._news: deque[Known] = deque(maxlen=MOST)
        self._told = threading.Condition()

    def start(self) -> None:
        """Let every source begin."""
        for source in self._sources:
            source.start(self)

    def stop(self) -> None:
        """End every source."""
        for source in self._sources:
            source.stop()

    # --- from sources --------------------------------------------------------------------------------------------

    def tell(self, known: Known) -> None:
        """Note what a source says. What several say of one container is put together."""
        identity = known.container.id
        with self._told:
            former = self._table.pop(identity, None)
            if former is not None:
                container = replace(former.container)
                describe(container, known.container)
                namespaces = known.namespaces or ({} if known.ended else former.namespaces)
                known = Known(container, known.pid or former.pid, namespaces, known.ended)
            self._table[identity] = known
            self._denied.pop(identity, None)
            if len(self._table) > MOST:
                ended = next((one for one, what in self._table.items() if what.ended), next(iter(self._table)))
                del self._table[ended]
            self._news.append(known)
            self._told.notify_all()

    def unknown(self, identity: str, source: str) -> None:
        """Note that a source does not know a container. When none does it is missing."""
        with self._told:
            denied = self._denied.setdefault(identity, set())
            denied.add(source)
            if len(self._denied) > MOST:
                del self._denied[next(iter(self._denied))]
            known = self._table.get(identity)
            done = len(denied) >= len(self._sources) and (known is None or known.container.state == "pending")
        if done:
            self.tell(Known(Container(identity, state="missing")))

    # --- to the sensor -------------------------------------------------------------------------------------------

    def wanted(self, container: Container) -> None:
        """Ask for a container that the sensor met. Returns at once."""
        known = self._table.get(container.id)
        if known is not None and known.container.state == "complete":
            self._news.append(known)
            return
        for source in self._sources:
            source.ask(container.id)

    def news(self) -> list[Known]:
        """Take what was told since the last time. Never waits."""
        found: list[Known] = []
        while self._news:
            try:
                found.append(self._news.popleft())
            except IndexError:  # another thread filled it and pushed the last one out
                break
        return found

    def known(self) -> dict[str, Known]:
        """Return a copy of everything that is known, by id."""
        with self._told:
            return dict(self._table)

    def resolve(self, container: Container, wait_s: float = 0.05) -> bool:
        """Complete a container's description, waiting a moment where no engine has answered yet.

        Args:
            container: It is filled in.
            wait_s: Longest wait, in seconds.

        Returns:
            Whether it is complete now. A container that no engine knows is ``missing``, one of which nobody has
            answered yet stays ``pending``.
        """
        if container.state == "complete":
            return True
        with self._told:
            self._told.wait_for(lambda: self._state(container.id) != "pending", wait_s)
            known = self._table.get(container.id)
        if known is not None:
            describe(container, known.container)
        return container.state == "complete"

    def _state(self, identity: str) -> str:
        known = self._table.get(identity)
        return "pending" if known is None else known.container.state
