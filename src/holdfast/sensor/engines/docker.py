"""Docker's engine, and Podman's service, which speaks the same language: containers, and every change as it happens.

The stream of changes is opened before the containers are listed, so that none falls between. A container is told with
name and image as soon as it is created; its first process runs long after that. An engine that hangs, restarts or is
not there yet delays nobody: this is a thread of its own that tries again.
"""

from __future__ import annotations

import json
import os
import re
import select
import threading
import time
from collections import deque
from datetime import datetime
from typing import Any
from urllib.parse import quote

from holdfast.model.errors import Error, NotUnderstood
from holdfast.model.event import Container
from holdfast.sensor import snapshot
from holdfast.sensor.containers import Known
from holdfast.sensor.engines.registry import Registry
from holdfast.sensor.engines.unix_http import TIMEOUT_S, Stream, get

DOCKER = "/run/docker.sock"
PODMAN = "/run/podman/podman.sock"
_FILTER = quote(json.dumps({"type": ["container"]}))
_AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""How long to wait before an engine that failed is asked again; the last one for ever after."""
_WANTED = 1024
_ID = re.compile(r"[0-9a-f]{64}")
_ENDED = frozenset({"die", "died", "destroy", "remove"})
_BORN = frozenset({"create", "init", "start", "started", "restart", "rename"})


class Docker:
    """One engine's socket, watched.

    Attributes:
        name: ``docker`` or ``podman``, also the runtime of its containers.
        trouble: Why the engine cannot be asked just now; None while all is well.
    """

    def __init__(self, path: str = DOCKER, name: str = "docker", timeout_s: float = TIMEOUT_S) -> None:
        """Prepare; nothing is asked yet.

        Args:
            path: The socket. It need not exist yet.
            name: As in the attributes.
            timeout_s: Longest wait for one answer.
        """
        self.name = name
        self.trouble: Error | None = None
        self._path = path
        self._timeout_s = timeout_s
        self._registry: Registry | None = None
        self._wanted: deque[str] = deque(maxlen=_WANTED)
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"engine {name}", daemon=True)
        self._since = ""
        self._told: set[str] = set()

    def start(self, registry: Registry) -> None:
        """Begin to tell the registry."""
        self._registry = registry
        self._thread.start()

    def ask(self, identity: str) -> None:
        """Tell of this container soon."""
        self._wanted.append(identity)
        self._wake()

    def stop(self) -> None:
        """End the thread; one that waits for a hanging engine ends later, on its own."""
        if self._ended:
            return
        self._ended = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(1)
        if not self._thread.is_alive():
            os.close(self._wake_in)
            os.close(self._wake_out)

    def _wake(self) -> None:
        try:
            os.write(self._wake_in, b"x")
        except OSError:  # it is full, so it will wake
            return

    def _run(self) -> None:
        failures = 0
        while not self._ended:
            began = time.monotonic()
            try:
                self._watch()
            except Error as error:
                self.trouble = error
                self._unanswered()
            failures = 0 if time.monotonic() - began > _AGAIN_S[-1] else failures + 1
            end = time.monotonic() + _AGAIN_S[min(failures, len(_AGAIN_S)) - 1]
            poll = select.poll()
            poll.register(self._wake_out, select.POLLIN)
            while not self._ended and (left := end - time.monotonic()) > 0:
                poll.poll(left * 1000)
                self._woken()
                self._unanswered()

    def _watch(self) -> None:
        since = f"&since={self._since}" if self._since else ""
        with Stream(self._path, f"/events?filters={_FILTER}{since}", self._timeout_s) as stream:
            if stream.status != 200:
                raise NotUnderstood(f"The engine answers {stream.status} when asked for events", self._path)
            self._list()
            self.trouble = None
            lines = stream.lines()
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLIN)
            poll.register(self._wake_out, select.POLLIN)
            while not self._ended:
                for line in lines:
                    self._event(line)
                self._answer()
                ready = {handle for handle, _ in poll.poll(60_000)}
                self._woken()
                lines = stream.lines() if stream.fileno() in ready else []

    def _list(self) -> None:
        status, body = get(self._path, "/containers/json?all=1", self._timeout_s)
        listed = _parsed(body, self._path)
        if status != 200 or not isinstance(listed, list):
            raise NotUnderstood(f"The engine answers {status} when asked for its containers", self._path)
        present = {str(entry["Id"]): entry for entry in listed if isinstance(entry, dict) and entry.get("Id")}
        for identity in self._told - set(present):
            self._tell(Known(Container(identity, runtime=self.name, state="complete"), ended=True))
        self._told &= set(present)
        for identity, entry in present.items():
            if str(entry.get("State")) in {"running", "paused", "restarting", "created", "stopping"}:
                self._inspect(identity, None)

    def _event(self, line: bytes) -> None:
        if not line.strip():
            return
        told = _parsed(line, self._path)
        if not isinstance(told, dict) or told.get("Type", "container") != "container":
            return
        actor = told.get("Actor")
        actor = actor if isinstance(actor, dict) else {}
        attributes = actor.get("Attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        identity = str(actor.get("ID") or told.get("id") or "")
        nanoseconds = told.get("timeNano")
        if type(nanoseconds) is int:
            self._since = f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"
        action = str(told.get("Action") or told.get("status") or "").partition(":")[0]
        if not _ID.fullmatch(identity):
            return
        if action in _ENDED:
            self._told.discard(identity)
            self._tell(Known(_named(identity, attributes, self.name, "complete"), ended=True))
        elif action in _BORN:
            first = _named(identity, attributes, self.name, "pending")
            self._tell(Known(first))
            self._inspect(identity, first)

    def _answer(self) -> None:
        while self._wanted:
            self._inspect(self._wanted.popleft(), None)

    def _unanswered(self) -> None:
        """Say of what is wanted that this engine, which cannot be asked, does not know it."""
        while self._wanted and self._registry is not None:
            self._registry.unknown(self._wanted.popleft(), self.name)

    def _inspect(self, identity: str, first: Container | None) -> None:
        """Ask for one container; for one that is gone already its event has told enough."""
        if not _ID.fullmatch(identity):  # an engine would take anything else for a name
            if self._registry is not None:
                self._registry.unknown(identity, self.name)
            return
        status, body = get(self._path, f"/containers/{quote(identity, safe='')}/json", self._timeout_s)
        told = _parsed(body, self._path) if status == 200 else None
        if isinstance(told, dict) and told.get("Id"):
            self._told.add(str(told["Id"]))
            self._tell(described(told, self.name))
        elif first is not None:
            first.state = "complete"
            self._tell(Known(first))
        elif self._registry is not None:
            self._registry.unknown(identity, self.name)

    def _tell(self, known: Known) -> None:
        if self._registry is not None:
            self._registry.tell(known)

    def _woken(self) -> None:
        try:
            while os.read(self._wake_out, 512):
                pass
        except OSError:
            return


def described(told: dict[str, Any], runtime: str) -> Known:
    """Read an engine's description of a container (``docker inspect``).

    Args:
        told: The parsed JSON; whatever is not as expected is left out.
        runtime: Name of the engine.

    Source:
        https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerInspect
    """
    config, host, state = (_object(told, name) for name in ("Config", "HostConfig", "State"))
    labels = {str(name): str(value) for name, value in _object(config, "Labels").items()}
    mounts = told.get("Mounts")
    pid = state.get("Pid")
    pid = pid if type(pid) is int and pid > 0 else 0
    container = Container(
        str(told.get("Id", "")),
        name=str(told.get("Name", "")).removeprefix("/"),
        image=str(config.get("Image") or told.get("ImageName") or ""),
        image_id=str(told.get("Image", "")),
        runtime=runtime,
        privileged=host["Privileged"] if isinstance(host.get("Privileged"), bool) else None,
        labels=labels,
        mounts=tuple(_mount(one) for one in mounts if isinstance(one, dict)) if isinstance(mounts, list) else (),
        started_ns=nanoseconds(str(state.get("StartedAt", ""))),
        state="complete",
    )
    return Known(container, pid, snapshot.namespaces_of(pid) if pid else {})


def nanoseconds(text: str) -> int:
    """Read a time (RFC 3339) as nanoseconds since 1970; 0 for one that is none, or before 1970."""
    whole, _, rest = text.replace("z", "Z").partition(".")
    fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(fraction) :]
    try:
        seconds = int(datetime.fromisoformat(whole + zone if rest else whole).timestamp())
    except (ValueError, OverflowError):
        return 0
    return max(0, seconds * 1_000_000_000 + int((fraction + "0" * 9)[:9] or 0))


def _mount(told: dict[str, Any]) -> tuple[str, str, str, bool, str]:
    return (
        str(told.get("Source") or ""), str(told.get("Destination") or ""), str(told.get("Mode") or ""),
        told.get("RW") is True, str(told.get("Propagation") or ""),
    )  # fmt: skip


def _named(identity: str, attributes: dict[str, Any], runtime: str, state: str) -> Container:
    labels = {str(name): str(value) for name, value in attributes.items() if name not in {"name", "image", "exitCode"}}
    return Container(
        identity, name=str(attributes.get("name", "")), image=str(attributes.get("image", "")), runtime=runtime,
        labels=labels, state=state,
    )  # fmt: skip


def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _parsed(data: bytes, path: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("What the engine says is no JSON", path, "see what listens at this socket") from error
