"""What the words in braces of a step stand for, on this host and in this replica.

=====================  ==============================================================================================
``{token}``            the attempt's token
``{in:DIR}``           a directory of the host as the container sees it; ``*`` stands for one component
``{file:PATH}``        a file of the host that is there, as the container sees it
``{socket:PATH}``      a socket of the host; ``{engine:PATH}`` the same where an engine listens
``{guarded:PATH}``     the same where an engine of ours listens behind an authorization plug-in
``{systemd:PATH}``     the same where systemd takes orders; in a virtual machine only
``{unit_request:...}``   an order to it for a unit that leaves the token; for its ``private`` socket or a ``bus``
``{hooks:DIR} {hook}``  a directory from which an engine takes hooks, in a virtual machine only; what is put there
``{secret:DIR}``       a canary, mode 0600, planted in a directory of the host; ``{open_secret:DIR}`` mode 0644
``{canary}``           host path of a canary that only root may read
``{marks}``            host path of the folder in which programs leave tokens; ``{helper}`` a program that does
``{pid:root}``         a host process of root's with a secret in its memory (``{address:root}``) and environment
``{pid:same}``         the same, of the replica's own user without capabilities; ``{pid:peer}`` in another container
``{point} {work}``     an empty directory to mount on; a directory to make nodes in
``{disk} ...``         a disk of the host: its node inside, ``_type``, ``_flags``, ``_major``, ``_minor``, ``_in_dev``
``{device:KIND}``      nodes inside of host devices of a kind
``{handle}``           file handle of a canary on the host's root file system, with ``{handle_type}``
``{same_fs}``          files and directories inside that are mounted from there
``{shared} {suid}``    directories of the host that are mounted shared; that are writable without nosuid
``{hierarchy}``        options that mount a cgroup v1 hierarchy; ``{device_group}`` the container's place in one
``{port} {abstract}``  a TCP port on the host's loopback; the name of an abstract socket
``{engine_port}``      a TCP port on the host's loopback behind which an engine listens; in a virtual machine only
``{role}``             path of canary credentials in a metadata service of ours on the replica's network
``{proxy} {other}``    address of a proxy of ours before an engine; the container of ours that it tells about
``{shm_key}``          a System V shared memory segment of the host's, ``{shm_file}`` a file in its /dev/shm
``{interface}``        a network interface inside; ``{frame}`` an Ethernet frame that carries the token
``{leaked}``           number of a descriptor that the replica was started with, ``{leaked_secret}`` a canary there
=====================  ==============================================================================================

A word may stand for several places; each is tried. Where the host's thing is not mounted at all, the word stands for
the same path inside: the attempt is made, and finds the container's own files or nothing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill.listening import Hearing
from holdfast.model.errors import NotPermitted, NotReachable
from holdfast.model.technique import Step, Way

_WORD = re.compile(r"\{([a-z_]+)(?::([^{}]*))?\}")
_MOST = 24
"""Most combinations of places that one way is tried with."""


@dataclass(frozen=True, slots=True)
class Place:
    """One thing a word stands for.

    Attributes:
        text: What stands in the step.
        outside: The same place as the host sees it, where there is one.
        secret: What must come back if the place is read.
        hearing: What listens there.
        real: The host's thing is there. Otherwise the text names the container's own.
        direct: It is mounted itself, and not only something above it.
    """

    text: str
    outside: Path | None = None
    secret: str = ""
    hearing: Hearing | None = None
    real: bool = True
    direct: bool = True


@dataclass(frozen=True, slots=True)
class Filled:
    """The steps of a way with every word filled in.

    Attributes:
        steps: Ready to be performed.
        outside: Host paths of files that the steps would leave.
        secrets: What would prove a read.
        hearings: What could hear the token.
        absent: Words of which the host's thing is not there.
        host: A path of the host's is among the places, and is there.
        direct: Every place is mounted itself.
        token: The attempt's token.
    """

    steps: tuple[Step, ...]
    outside: tuple[Path, ...]
    secrets: frozenset[str]
    hearings: tuple[Hearing, ...]
    absent: frozenset[str]
    host: bool
    direct: bool
    token: str

    @property
    def real(self) -> bool:
        """Every place is the host's own."""
        return not self.absent


Finder = Callable[[str], list[Place]]


@dataclass
class Places:
    """Fills in the words of steps.

    Attributes:
        finders: By word; each gets what stands after the colon.
        new_token: Returns a token that was never used.
    """

    finders: Mapping[str, Finder]
    new_token: Callable[[], str]

    def fill(self, way: Way) -> Iterator[Filled]:
        """Yield the way's steps with each combination of places, at least one."""
        words = list(
            dict.fromkeys(
                (match[1], match[2] or "")
                for step in way.steps
                for value in step.args.values()
                for match in _WORD.finditer(value)
            )
        )
        token = self.new_token()
        try:
            choices = [[Place(token)] if name == "token" else self.finders[name](argument) for name, argument in words]
        except (NotReachable, NotPermitted):
            # What cannot be planted here, such as a disk without loop devices, leaves out the ways that need it.
            return
        if not all(choices):
            return
        for combination in itertools.islice(itertools.product(*choices), _MOST):
            fresh = self.new_token()
            table = {
                key: Place(fresh) if key[0] == "token" else place for key, place in zip(words, combination, strict=True)
            }
            yield self._filled(way, table, fresh)

    def _filled(self, way: Way, table: dict[tuple[str, str], Place], token: str) -> Filled:
        outside: list[Path] = []

        def put(text: str) -> str:
            used = [table[match[1], match[2] or ""] for match in _WORD.finditer(text)]
            whole = _WORD.sub(lambda match: table[match[1], match[2] or ""].text, text)
            if used and used[0].outside is not None and whole.startswith(used[0].text):
                # Below the host's own root the text would begin with two slashes, which is another path to POSIX.
                outside.append(Path("/" + f"{used[0].outside}{whole.removeprefix(used[0].text)}".lstrip("/")))
            return whole.replace("//", "/") if whole.startswith("//") else whole

        steps = tuple(Step(each.act, {name: put(value) for name, value in each.args.items()}) for each in way.steps)
        steps = tuple(
            Step(each.act, {name: _with_token(value, token) for name, value in each.args.items()}) for each in steps
        )
        return Filled(
            steps,
            tuple(dict.fromkeys(outside)),
            frozenset(place.secret for place in table.values() if place.secret),
            tuple(place.hearing for place in table.values() if place.hearing is not None),
            frozenset(word for (word, _), place in table.items() if not place.real),
            any(place.real and place.outside is not None for place in table.values()),
            all(place.direct for place in table.values()),
            token,
        )


def _with_token(value: str, token: str) -> str:
    """Fill in the token where it stands inside another word's text, such as a request to an engine."""
    return value.replace("{token}", token).replace("{token_hex}", token.encode().hex())
