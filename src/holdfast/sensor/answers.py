"""How Falco's fields are answered, by their names. A field with an argument is made when it is first asked for.

What is not known is None, never a guess; a rule's check of it is then false, and an output prints ``<NA>``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from holdfast.model.event import Event, Executable, Process
from holdfast.sensor import answers_container, answers_event, answers_file, answers_process, answers_socket
from holdfast.sensor.accounts import Account, Accounts
from holdfast.sensor.domain_names import DomainNames
from holdfast.sensor.layers import Layers
from holdfast.sensor.processes import ancestors

Ask = Callable[[Event], Any]
_SPELLED = re.compile(r"([a-z0-9_.]+)\[(.*)\]", re.DOTALL)
_DOTTED = (
    "evt.rawarg", "evt.arg", "evt.type.is", "container.mount.source", "container.mount.dest", "container.mount.mode",
    "container.mount.rdwr", "container.mount.propagation", "container.label", "k8s.pod.label", "proc.env",
)  # fmt: skip
_HIGHEST = 100


class Answers:
    """The answers of one running sensor."""

    def __init__(
        self, accounts: Accounts | None = None, layers: Layers | None = None, names: DomainNames | None = None
    ) -> None:
        """Begin to remember.

        Args:
            accounts: Where names of users come from; the host's own and each container's by default.
            layers: Tells whether a container's program lies in its image, where the record does not.
            names: Tells domain names of addresses; none is known by default.
        """
        self._accounts = accounts or Accounts()
        self._layers = layers or Layers()
        self.table: dict[str, Ask] = {
            **answers_event.ANSWERS, **answers_process.ANSWERS, **answers_container.ANSWERS, **answers_file.ANSWERS,
            **answers_socket.answers((names or DomainNames(())).of), **self._users(),
            "proc.exe_ino.ctime": lambda event: self._timed(event).changed_ns or None,
            "proc.exe_ino.mtime": lambda event: self._timed(event).modified_ns or None,
            "proc.exe_ino.ctime_duration_proc_start": self._age,
            "proc.is_exe_upper_layer": self._origin("upper"), "proc.is_exe_lower_layer": self._origin("image"),
            **{
                f"proc.a{word}": answers_process.of_ancestors(trait)
                for word, trait in answers_process.TRAITS.items()
                if word != "pid"
            },
            "proc.apid": answers_process.of_ancestors(answers_process.pid),
        }  # fmt: skip

    def answer_for(self, name: str) -> Ask | None:
        """Return how a field is answered.

        Args:
            name: As a rule spells it: ``proc.name``, ``proc.aname[3]``, ``evt.arg.flags``, ``container.label[a.b]``.

        Returns:
            A function that gives the bare answer, None where it is not known; None where the sensor never answers it.
        """
        known = self.table.get(name)
        if known is not None:
            return known
        bracketed = _SPELLED.fullmatch(name)
        if bracketed is not None:
            return self._with(bracketed[1], bracketed[2])
        for field in _DOTTED:
            if name.startswith(f"{field}.") and len(name) > len(field) + 1:
                return self._with(field, name[len(field) + 1 :])
        return None

    def _with(self, field: str, argument: str) -> Ask | None:
        trait = answers_process.TRAITS.get(field.removeprefix("proc.a")) if field.startswith("proc.a") else None
        if trait is not None:
            if _index(argument):
                return answers_process.of_ancestor(trait, int(argument))
            return _ancestors_variable(argument) if field == "proc.aenv" else None
        if field == "proc.env":
            return lambda event: answers_process.variable(event.process, argument)
        if field == "proc.args":
            return _argument(int(argument)) if _index(argument) else None
        if field == "evt.arg":
            return self._user_argument(argument) or answers_event.argument(argument)
        if field == "evt.rawarg":
            return answers_event.raw_argument(argument)
        if field == "evt.type.is":
            return answers_event.is_type(argument)
        if field in {"container.label", "k8s.pod.label"}:
            return answers_container.label(argument)
        if field == "container.mount" or field.startswith("container.mount."):
            return answers_container.mount(field.removeprefix("container.mount").removeprefix("."), argument)
        return None

    def _users(self) -> dict[str, Ask]:
        return {
            "user.uid": lambda event: event.process.effective_user,
            "user.loginuid": lambda event: -1 if event.process.login_user is None else event.process.login_user,
            "user.name": self._user(lambda account: account.name),
            "user.homedir": self._user(lambda account: account.home),
            "user.shell": self._user(lambda account: account.shell),
            "user.loginname": self._login,
            "group.gid": lambda event: event.process.effective_group,
            "group.name": lambda event: self._accounts.group(event.process, event.process.effective_group),
        }

    def _timed(self, event: Event) -> Executable:
        executable = event.process.executable
        if not executable.changed_ns:
            executable.changed_ns, executable.modified_ns = self._layers.times(event.process)
        return executable

    def _age(self, event: Event) -> int | None:
        """Say how long before the process started its program was last changed; None where that came after."""
        changed, start = self._timed(event).changed_ns, answers_process.epoch(event, event.process.start_ns)
        return start - changed if changed and start is not None and start >= changed else None

    def _origin(self, wanted: str) -> Ask:
        def ask(event: Event) -> bool | None:
            origin = self._layers.settle(event.process).origin
            return origin == wanted if origin else None

        return ask

    def _user(self, read: Callable[[Account], str]) -> Ask:
        def ask(event: Event) -> str | None:
            found = self._accounts.user(event.process, event.process.effective_user)
            return None if found is None else read(found) or None

        return ask

    def _login(self, event: Event) -> str | None:
        """Name who logged in: an account of the host, whatever the process does since."""
        user = event.process.login_user
        found = None if user is None else self._accounts.user(Process(event.process.pid), user)
        return None if found is None else found.name

    def _user_argument(self, argument: str) -> Ask | None:
        """Return how a user id among the arguments is asked: the name, where there is an account."""
        if argument not in {"uid", "ruid", "euid", "suid"}:
            return None
        plain = answers_event.argument(argument)

        def ask(event: Event) -> str | None:
            number = plain(event)
            if number is None or not number.isascii() or not number.isdigit():
                return None if number is None else str(number)
            found = self._accounts.user(event.process, int(number))
            return str(number) if found is None else found.name

        return ask


def _index(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:9]) <= _HIGHEST and len(text) < 9


def _argument(index: int) -> Ask:
    return lambda event: answers_process.argument(event.process, index)


def _ancestors_variable(wanted: str) -> Ask:
    def ask(event: Event) -> str | None:
        for one in ancestors(event.process):
            found = answers_process.variable(one, wanted)
            if found is not None:
                return found
        return None

    return ask


ANSWERS: dict[str, Ask] = Answers().table
"""The fields without an argument, by name."""


def answer_for(name: str) -> Ask | None:
    """Return how a field is answered, with the accounts of this machine. As ``Answers.answer_for``."""
    return _ANSWERS.answer_for(name)


_ANSWERS = Answers()
