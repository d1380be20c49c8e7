"""A Docker engine of the run's own with an authorization plug-in before it, for who tries to get past such a plug-in.

The engine of the machine is not touched. This one has a mount namespace of its own, in which the run folder lies over
/run/docker, where engines look for plug-ins; a network namespace of its own; and its state below the run folder. It has
no image and never starts a container. It ends with this process, however that ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

from holdfast.drill.authorization_plugin import AuthorizationPlugin
from holdfast.drill.journal import Journal, Kind
from holdfast.drill.process_identity import started
from holdfast.model.errors import NotReachable

SOCKET = "/run/docker.sock"
"""What a replica has the guarded engine's socket in the place of."""
CONTAINERD = "/run/containerd/containerd.sock"
_PLACE = "/run/docker"
_PROGRAMS = ("dockerd", "setpriv", "unshare")
_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_START_S = 90.0
"""An emulated machine takes its time."""
_END_S = 20.0
_ANSWER_S = 20.0
_PLUGIN = "holdfast"
_SCRIPT = f'mount --bind "$1" {_PLACE} && shift && exec "$@"'
_MADE = 201
_FORBIDDEN = 403
_LOG_BYTES = 2000


def can_be_started(engine: str) -> bool:
    """Tell whether this machine has what a guarded engine needs.

    Args:
        engine: What starts the replicas; a guarded engine stands in for Docker's only.
    """
    return engine == "docker" and os.geteuid() == 0 and not _missing()


def _missing() -> str:
    for name in _PROGRAMS:
        if shutil.which(name, path=_PLACES) is None:
            return name
    if not Path(CONTAINERD).is_socket():
        return CONTAINERD
    return "" if Path(_PLACE).is_dir() else _PLACE


class GuardedEngine:
    """The engine and its plug-in. Hears a token where a volume of its name was made that the plug-in was not shown.

    Attributes:
        socket: The engine's socket, as the host sees it.
        version: What the engine says of itself.
    """

    def __init__(self, journal: Journal) -> None:
        """Start both, and see that the plug-in is asked and obeyed.

        Args:
            journal: Of the run; its id is the word that the plug-in refuses.

        Raises:
            NotReachable: The engine does not start, or does not ask the plug-in.
        """
        if missing := _missing():
            raise NotReachable("A guarded engine cannot be started", missing, "install docker.io and util-linux")
        self._folder = journal.folder / "guarded"
        self.socket = self._folder / "docker.sock"
        (self._folder / "plugins").mkdir(parents=True, mode=0o711)
        (self._folder / "daemon.json").write_text("{}", encoding="ascii")
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._plugin = AuthorizationPlugin(self._folder / "plugins" / f"{_PLUGIN}.sock", journal.id)
        except OSError as error:
            raise NotReachable(f"A plug-in cannot listen: {error.strerror}", str(self._folder)) from error
        try:
            self._begin(journal)
            self.version = self._ready()
            self._check(journal.id)
        except BaseException:
            self.close()
            raise
        journal.boundary("guarded engine")

    def heard(self, token: str) -> bool:
        """Tell whether the engine made a volume of the token's, which the plug-in would have refused."""
        volume = self._folder / "root" / "volumes" / f"holdfast-{token}"
        return volume.is_dir() and not self._plugin.refused(token)

    def refused(self, token: str) -> bool:
        """Tell whether the plug-in read the token and refused."""
        return self._plugin.refused(token)

    def forget(self, token: str) -> None:
        """Do nothing: whoever made a volume takes it away, and all of them go with the run."""

    def close(self) -> None:
        """End both."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._plugin.close()

    def _begin(self, journal: Journal) -> None:
        space = f"holdfast-{journal.id}"
        words = [
            "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "/bin/sh", "-c", _SCRIPT, "holdfast",
            str(self._folder), shutil.which("dockerd", path=_PLACES) or "dockerd",
            "--config-file", f"{_PLACE}/daemon.json", "--host", f"unix://{_PLACE}/docker.sock",
            "--data-root", f"{_PLACE}/root", "--exec-root", f"{_PLACE}/exec", "--pidfile", f"{_PLACE}/pid",
            "--containerd", CONTAINERD,
            "--containerd-namespace", space, "--containerd-plugins-namespace", f"{space}-plugins",
            "--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--ip6tables=false",
            "--ip-forward=false", "--ip-masq=false", "--authorization-plugin", _PLUGIN,
        ]  # fmt: skip
        with (self._folder / "log").open("wb") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the words are ours
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                    env={"PATH": _PLACES},
                )
            except OSError as error:
                raise NotReachable(f"A guarded engine cannot be started: {error.strerror}", words[0]) from error
        if begin := started(self._process.pid):
            journal.will(Kind.PROCESS, pid=self._process.pid, start=begin)

    def _ready(self) -> str:
        until = time.monotonic() + _START_S
        while time.monotonic() < until and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                status, body = self._ask("GET", "/version")
                if status == http.HTTPStatus.OK:
                    return str(json.loads(body)["Version"])
            time.sleep(0.1)
        raise NotReachable(f"A guarded engine does not start{self._last_words()}", "dockerd", "look at its log")

    def _check(self, word: str) -> None:
        """See that the plug-in is asked: what it must refuse is refused, and the same without the word is not."""
        try:
            refused, _ = self._ask("POST", "/volumes/create", json.dumps({"Name": f"holdfast-{word}-check"}))
            passed, _ = self._ask("POST", "/volumes/create", json.dumps({"Name": "holdfast-check"}))
        except (OSError, http.client.HTTPException) as error:
            raise NotReachable(f"A guarded engine does not answer: {error}", "dockerd") from error
        if (refused, passed) != (_FORBIDDEN, _MADE):
            raise NotReachable(
                f"A guarded engine does not ask its plug-in: HTTP {refused} and {passed}", "dockerd", "look at its log"
            )

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        with contextlib.closing(_Connection(self.socket)) as there:
            there.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = there.getresponse()
            return answer.status, answer.read()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            text = (self._folder / "log").read_bytes()[-_LOG_BYTES:].decode(errors="replace")
            lines = [line for line in text.splitlines() if "level=error" in line or not line.startswith("time=")]
            if lines:
                plain = re.sub(r"[^ -~]", "?", lines[-1])
                return f": {plain[:200]}"
        return ""


class _Connection(http.client.HTTPConnection):
    """A connection to a unix socket, whose path may be longer than a socket's address."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(_ANSWER_S)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)
