"""Speak with one probe: start the command that runs it, ask step by step, and never wait without a limit."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from holdfast.drill.acts import Answer, decode, encode
from holdfast.model.errors import NotReachable, NotUnderstood, Unsafe

START_S = 60.0
STEP_S = 45.0
"""Longer than the probe's own limits (10 s a step, 30 s for an engine), so that normally the probe answers first."""
END_S = 60.0
CLOSE_S = 45.0
GARBAGE_BYTES = 64 << 10
LONGEST_ANSWER = 16 << 10
QUOTED_BYTES = 2000


class Lost(NotReachable):
    """The probe is gone in the middle of the speech: the container ended, or it does not answer any more."""


@dataclass(frozen=True, slots=True)
class Undone:
    """How an attempt ended.

    Attributes:
        undone: Changes that were taken back.
        failed: Changes that the probe could not take back.
    """

    undone: int
    failed: int


class Attempt:
    """One attempt: its steps share slots, namespaces and the list of what is to be taken back."""

    def __init__(self, session: Session, name: str) -> None:
        """Belong to a session; made by ``Session.attempt`` only."""
        self._session = session
        self.name = name
        self.ended: Undone | None = None

    def step(self, act: str, args: Mapping[str, str] | None = None, timeout_s: float = STEP_S) -> Answer:
        """Have one act performed.

        Args:
            act: One of ``holdfast.drill.acts.ACTS``.
            args: Its arguments by name, as in ``encode``.
            timeout_s: Seconds to wait for the answer.

        Raises:
            Unsafe: The act or an argument is outside the closed set, or the attempt has ended; nothing was sent.
            Lost: The probe is gone.
            NotUnderstood: It answered something else.
        """
        line = encode(act, args or {})
        if self.ended is not None:
            raise Unsafe(f"The attempt {self.name} has ended", "drill step")
        return decode(self._session.ask(line, timeout_s))


class Session:
    """A running command whose standard input and output lead to a probe.

    Use it as a context manager. Leaving it closes the probe's input, on which the probe takes back what is left and
    ends, and waits for the command; only that one process is ever killed.
    """

    def __init__(self, command: Sequence[str], start_timeout_s: float = START_S) -> None:
        """Keep what is to be started; nothing runs before ``__enter__``.

        Args:
            command: The command line, as ``docker run -i ...`` or the probe itself, not interpreted by any shell.
            start_timeout_s: Seconds until the probe must have said that it is ready.
        """
        self._command = list(command)
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = bytearray()
        self._torn = ""
        self._running: Attempt | None = None
        self.pid = 0
        self.uid = 0
        self.euid = 0

    def __enter__(self) -> Self:
        """Start the command and wait for the probe.

        Raises:
            NotReachable: The command cannot be started, ended, or said nothing in time; its own words are in the
                error.
        """
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the runner's own command line
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                # Ctrl-C is for the runner, which then closes the session in order.
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise NotReachable(f"The command cannot be started: {error.strerror}", self._command[0]) from error
        try:
            os.set_blocking(self._stdin(), False)
            os.set_blocking(self._stdout(), False)
            self._wait_until_ready()
        except BaseException:
            self.close(0.5)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close, whatever happened."""
        self.close()

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[Attempt]:
        """Begin an attempt, and end it whatever happens; its ``ended`` says then what was taken back.

        Args:
            name: 1 to 64 letters, digits, ``.``, ``_`` or ``-``.

        Raises:
            Unsafe: Another attempt of this session has not ended.
            Lost: The probe is gone.
            NotUnderstood: The probe refuses the name, or answers something else.
        """
        if self._running is not None:
            raise Unsafe(f"The attempt {self._running.name} has not ended", "drill")
        answer = self.ask(f"begin {name}", STEP_S)
        if answer != f"begun {name}":
            raise NotUnderstood(f"The probe does not begin {name!r}: {answer[:80]!r}", "probe")
        running = self._running = Attempt(self, name)
        try:
            yield running
        except BaseException:
            with contextlib.suppress(NotReachable, NotUnderstood):
                self._end(running)
            raise
        else:
            self._end(running)
        finally:
            self._running = None

    def _end(self, running: Attempt) -> None:
        answer = self.ask("end", END_S)
        words = answer.split(" ")
        if len(words) != 3 or words[0] != "ended" or not all(word.isdecimal() for word in words[1:]):
            raise NotUnderstood(f"The probe does not end {running.name!r}: {answer[:80]!r}", "probe")
        running.ended = Undone(int(words[1]), int(words[2]))

    def ask(self, line: str, timeout_s: float) -> str:
        """Send one line and bring the answer, both without their ends.

        Raises:
            Lost: The probe is gone, or does not answer in time. The session can only be closed then.
        """
        if self._torn:
            raise Lost(self._torn, "probe")
        until = time.monotonic() + timeout_s
        try:
            self._send(line.encode() + b"\n", until)
            return self._line(until, LONGEST_ANSWER)
        except TimeoutError:
            raise self._lost(f"The probe did not answer within {timeout_s:g} s") from None
        except (BrokenPipeError, EOFError):
            raise self._lost("The container ended in the middle of the drill") from None

    def close(self, grace_s: float = CLOSE_S) -> None:
        """Let the probe end, and the command with it; kill the command where it does not end in ``grace_s`` seconds."""
        process = self._process
        if process is None:
            return
        self._process = None
        self._torn = self._torn or "The session is closed"
        try:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            self._errors.close()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + self._start_timeout_s
        skipped = 0
        try:
            while skipped <= GARBAGE_BYTES:
                line = self._line(until, GARBAGE_BYTES)
                words = line.split(" ")
                if words[0] == "ready" and len(words) == 4 and all(word.isdecimal() for word in words[1:]):
                    self.pid, self.uid, self.euid = map(int, words[1:])
                    return
                skipped += len(line) + 1
        except TimeoutError:
            what = f"The probe was not ready within {self._start_timeout_s:g} s"
        except EOFError:
            what = "The replica did not start"
        else:
            what = "Something else than the probe answers"
        raise self._lost(what, NotReachable)

    def _lost(self, what: str, kind: type[NotReachable] = Lost) -> NotReachable:
        self._torn = what
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(0.5)
        said = self._quoted()
        ended = "" if status is None else f" (exit status {status})"
        return kind(f"{what}{ended}" + (f": {said}" if said else ""), " ".join(self._command[:3]))

    def _quoted(self) -> str:
        end = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, end - QUOTED_BYTES))
        said = self._errors.read(QUOTED_BYTES).decode(errors="replace").strip()
        return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in said)

    def _stdin(self) -> int:
        if self._process is None or self._process.stdin is None:
            raise BrokenPipeError
        return self._process.stdin.fileno()

    def _stdout(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise EOFError
        return self._process.stdout.fileno()

    def _send(self, data: bytes, until: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._stdin(), select.POLLOUT, until)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._stdin(), rest) :]

    def _line(self, until: float, most: int) -> str:
        while True:
            line, end, rest = self._heard.partition(b"\n")
            if end:
                self._heard = rest
                return line.rstrip(b"\r").decode(errors="replace")
            if len(self._heard) > most:
                raise EOFError
            _wait(self._stdout(), select.POLLIN, until)
            with contextlib.suppress(BlockingIOError):
                more = os.read(self._stdout(), 65536)
                if not more:
                    raise EOFError
                self._heard += more


def _wait(descriptor: int, event: int, until: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    left = until - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError
