"""Start a replica, and end it: through Docker or Podman, or with an OCI runtime alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill import fence, undo_engine
from holdfast.drill.container_line import EXPIRES, LABEL, run_line
from holdfast.drill.journal import Journal, Kind
from holdfast.drill.oci_bundle import write_bundle
from holdfast.drill.session import Session
from holdfast.model.errors import NotReachable, Unsafe
from holdfast.model.replica import Replica

PROBE = "/.holdfast/probe"
POINT = "/.holdfast/point"
WORK = "/.holdfast/work"
_ANSWER_S = 60
_WRITTEN_S = 2.0
_GONE = re.compile(r"no such image|not known|not found|unable to find image", re.IGNORECASE)
_RUNSC = ["runsc", "--platform=ptrace", "--network=none"]


@dataclass(frozen=True, slots=True)
class Box:
    """A running replica.

    Attributes:
        session: The probe in it.
        pid: Its first process, as the host counts.
        name: Name of the container.
        replica: What was started.
        bundle: Folder of its configuration, where an OCI runtime was asked directly.
    """

    session: Session
    pid: int
    name: str
    replica: Replica
    bundle: Path | None = None


class Boxes:
    """Starts replicas for one run. Everything is written into the journal before it is made.

    Attributes:
        run: The run's id.
    """

    def __init__(
        self, journal: Journal, probe: bytes, life_s: float, *, disposable: bool = False, address: str = ""
    ) -> None:
        """Prepare; nothing is made before the first replica.

        Args:
            journal: Of the run.
            probe: The probe's program for this machine.
            life_s: Seconds after which a probe ends whatever happens.
            disposable: The machine is a throw-away one, and its own paths may be mounted.
            address: Of the Docker engine; empty for the one that its client asks by itself.
        """
        self._journal = journal
        self._probe = probe
        self._life_s = life_s
        self._disposable = disposable
        self._address = address
        self.run = journal.id
        self._number = 0
        self._images: dict[tuple[str, str], str] = {}

    @contextlib.contextmanager
    def box(self, replica: Replica, *, leaked: Path | None = None, secret: str = "") -> Iterator[Box]:
        """Start a replica and end it.

        Args:
            replica: What to start; stand-ins are in place.
            leaked: A directory of the stage that is left open for it, where an OCI runtime is asked directly.
            secret: What it has in its environment.

        Raises:
            NotReachable: It did not start; the engine's own words are in the error.
            Unsafe: It would be given something of the host's own; nothing was made.
        """
        fence.check_replica(replica, self._journal.folder, in_machine=self._disposable)
        if leaked is not None:
            fence.check_sources([str(leaked)], self._journal.folder, in_machine=self._disposable)
        self._number += 1
        name = f"holdfast-{self._journal.id}-{self._number}"
        if replica.engine == "oci":
            with self._bare(replica, name, leaked, secret) as box:
                yield box
            return
        image = self.image(replica.engine, replica.image)
        profile = self._profile(replica)
        number = self._journal.will(Kind.CONTAINER, engine=replica.engine, name=name, **self._at(replica.engine))
        command = [PROBE, "attempts", str(int(self._life_s))]
        line = run_line(replica, name, self._journal.id, time.time() + self._life_s, image, command, profile, secret)
        with Session([*asked_as(replica.engine), *self._words(replica.engine), *line[1:]]) as session:
            self._journal.boundary("replica")
            look = self._words(replica.engine, "container", "inspect", "--format", "{{.State.Pid}}", name)
            yield Box(session, _pid(look), name, replica)
        self._journal.done(number)

    @contextlib.contextmanager
    def _bare(self, replica: Replica, name: str, leaked: Path | None, secret: str) -> Iterator[Box]:
        runtime = replica.runtime or "runc"
        folder = self._journal.folder / "bundles" / name
        state = self._journal.folder / "state" / runtime
        folder.mkdir(parents=True)
        state.mkdir(parents=True, exist_ok=True)
        words = runtime_words(runtime, state)
        write_bundle(replica, folder, self._probe, [PROBE, "attempts", str(int(self._life_s))], f"/{name}", secret)
        number = self._journal.will(Kind.OCI_CONTAINER, runtime=runtime, root=str(state), id=name)
        line = [*words, "run", "--bundle", str(folder)]
        if leaked is not None:
            line = ["/bin/sh", "-c", 'exec 3<"$1"; shift; exec "$@"', "holdfast", str(leaked), *line]
            line += ["--preserve-fds", "1"]
        with Session([*line, name]) as session:
            self._journal.boundary("replica")
            yield Box(session, _state_pid([*words, "state", name]), name, replica, folder)
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603 - a runtime by its plain name
                [*words, "delete", "--force", name], capture_output=True, timeout=_ANSWER_S, check=False
            )
        self._journal.done(number)

    def image(self, engine: str, base: str) -> str:
        """Return an image that holds the probe, on top of another where one is named; made once for each."""
        known = self._images.get((engine, base))
        if known is not None:
            return known
        name = f"holdfast-drill:{self._journal.id}-{len(self._images)}"
        self._journal.will(Kind.IMAGE, engine=engine, name=name, **self._at(engine))
        labels = (f"{LABEL}={self._journal.id}", f"{EXPIRES}={int(self._journal.expires)}")
        if base:
            self._committed(engine, base, name, labels)
        else:
            changes = [word for label in labels for word in ("--change", f"LABEL {label}")]
            ask(self._words(engine, "import", *changes, "-", name), packed(self._files()))
        self._images[engine, base] = name
        self._journal.boundary("image")
        return name

    def _committed(self, engine: str, base: str, name: str, labels: tuple[str, ...]) -> None:
        """Put the probe onto an image through a container that is never started.

        A build would perform the ``ONBUILD`` of the image, look for an absent one in a registry, and leave a cache.
        """
        if base.startswith("-") or not base.isprintable() or " " in base:
            raise Unsafe("This is no name of an image", base, "look what the container was made from")
        between = f"holdfast-{self._journal.id}-image-{len(self._images)}"
        number = self._journal.will(Kind.CONTAINER, engine=engine, name=between, **self._at(engine))
        marks = [word for label in labels for word in ("--label", label)]
        options = ["--pull", "never", "--network", "none", "--entrypoint", PROBE]
        try:
            ask(self._words(engine, "create", *options, "--name", between, *marks, base))
        except NotReachable as error:
            if _GONE.search(error.what):
                raise NotReachable(
                    "The image of the container is not here any more", base, "pull it, or drill the file instead"
                ) from error
            raise
        self._journal.boundary("between")
        ask(self._words(engine, "cp", "-", f"{between}:/"), packed(self._additions()))
        ask(self._words(engine, "commit", between, name))
        ask(self._words(engine, "rm", "--force", "--volumes", between))
        self._journal.done(number)

    def _words(self, engine: str, *words: str) -> list[str]:
        return undo_engine.command(engine, self._at(engine).get("address", ""), *words)

    def _at(self, engine: str) -> dict[str, str]:
        return {"address": self._address} if self._address and engine == "docker" else {}

    def _files(self) -> list[tuple[str, int, bytes | None]]:
        passwd = b"root:x:0:0::/:/\nnobody:x:65534:65534::/:/\n"
        return [
            *((name, 0o755, None) for name in ("dev", "etc", "proc", "sys", ".holdfast", POINT.lstrip("/"))),
            *((name, 0o1777, None) for name in ("tmp", WORK.lstrip("/"))),
            ("etc/passwd", 0o644, passwd),
            ("etc/group", 0o644, b"root:x:0:\nnogroup:x:65534:\n"),
            (PROBE.lstrip("/"), 0o755, self._probe),
        ]

    def _additions(self) -> list[tuple[str, int, bytes | None]]:
        return [
            (".holdfast", 0o755, None),
            (POINT.lstrip("/"), 0o755, None),
            (WORK.lstrip("/"), 0o1777, None),
            (PROBE.lstrip("/"), 0o755, self._probe),
        ]

    def _profile(self, replica: Replica) -> str:
        if replica.seccomp in {"default", "unconfined"}:
            return ""
        path = self._journal.folder / f"seccomp-{self._number}.json"
        path.write_text(replica.seccomp, encoding="utf-8")
        return str(path)


def ask_whether_it_answers(engine: str, address: str = "") -> None:
    """Ask an engine for its version; nothing is made.

    Raises:
        NotReachable: It is not installed or does not answer.
    """
    words = ("version", "--format", "{{.Server.Version}}") if engine == "docker" else ("info",)
    ask(undo_engine.command(engine, address, *words))


def runtime_words(runtime: str, state: Path) -> list[str]:
    """Return the beginning of a runtime's command line, with a state folder of our own."""
    if runtime == "runsc":
        return [*_RUNSC, "--root", str(state)]
    if runtime == "crun":
        words = ["crun", "--root", str(state), "--cgroup-manager"]
        if Path("/sys/fs/cgroup/cgroup.controllers").is_file() or not Path("/sys/fs/cgroup/unified").is_dir():
            return [*words, "cgroupfs"]
        # crun refuses a mixture of both versions, so it sees version 2 alone, in a mount namespace of its own.
        script = 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
        return ["unshare", "--mount", "/bin/sh", "-c", script, "holdfast", *words, "disabled"]
    return [runtime, "--root", str(state)]


def asked_as(engine: str) -> list[str]:
    """Return the words that go before a call of an engine: those that make it the user's, where it is rootless."""
    return shlex.split(os.environ.get("HOLDFAST_AS_USER", "")) if engine == "podman" else []


def packed(files: list[tuple[str, int, bytes | None]]) -> bytes:
    """Return a tar of files and, where there is no content, folders: name, mode, content."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, mode, data in files:
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if data is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()


def ask(line: list[str], data: bytes | None = None) -> str:
    """Run a command of an engine or a runtime, and return what it prints.

    Raises:
        NotReachable: It is not installed, does not end, or refuses; its own words are in the error.
    """
    try:
        answer = subprocess.run(  # noqa: S603 - an engine by its plain name
            [*asked_as(line[0]), *line], input=data, capture_output=True, timeout=_ANSWER_S * 3, check=False
        )
    except FileNotFoundError as error:
        raise NotReachable(f"There is no program {line[0]}", line[0], f"install {line[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotReachable(f"{line[0]} does not answer", " ".join(line[:2]), "look at the engine's log") from error
    if answer.returncode:
        said = answer.stderr.decode(errors="replace").strip()[-400:]
        raise NotReachable(f"{line[0]} refused: {said}", " ".join(line[:4]), "look whether the engine runs")
    return answer.stdout.decode(errors="replace")


def _pid(line: list[str]) -> int:
    text = ask(line).strip()
    return int(text) if text.isdecimal() else 0


def _state_pid(line: list[str]) -> int:
    """Ask a runtime for a container's process. It may write that down a moment after the container has begun."""
    until = time.monotonic() + _WRITTEN_S
    while True:
        try:
            return int(json.loads(ask(line)).get("pid", 0))
        except ValueError:
            return 0
        except NotReachable:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
