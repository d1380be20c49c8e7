"""One ``docker run`` command line as a request to the engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from holdfast.model.facts import Fact
from holdfast.model.place import Where
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.platforms._docker_run_flags import ALIASES, COMMA_LISTS, GLOBAL_SWITCHES, SHORT, SWITCHES, VALUES
from holdfast.platforms._docker_run_place import Place
from holdfast.platforms._docker_run_request import Borrowed, Request, Said
from holdfast.platforms._docker_run_shell import Command
from holdfast.platforms._docker_run_values import (
    bound,
    csv_fields,
    device,
    gpu_devices,
    is_host_path,
    local_volume,
    pieces,
    truth,
    volume_parts,
)
from holdfast.platforms._docker_run_words import Word
from holdfast.platforms._own_labels import assigned

SOCKET = "/var/run/docker.sock"
_ENGINE = {"nerdctl": "containerd"}
_IMAGE_NAME = re.compile(r"image|img|repo|registry|tag\b", re.IGNORECASE)
_FLAGS: dict[str, Fact[bool]] = {
    "privileged": declared.PRIVILEGED, "read-only": declared.READ_ONLY_ROOT, "tty": declared.TERMINAL,
}  # fmt: skip
_LISTS: dict[str, Fact[Any]] = {
    "cap-add": declared.CAPABILITIES_ADDED, "cap-drop": declared.CAPABILITIES_DROPPED, "group-add": declared.GROUPS,
    "device-cgroup-rule": declared.DEVICE_RULES, "sysctl": declared.SYSCTLS,
}  # fmt: skip
_MODES = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup", "userns": "user"}
_OTHER_ENGINE = "Docker takes one name in each; this one is refused"


class Reader:
    """Reads the options of one command into a request."""

    def __init__(self, command: Command, document: str, place: Place) -> None:
        """Start before the first word."""
        self.command = command
        self.place = place
        self.document = document
        self.request = Request(Where(document, "", command.line), _ENGINE.get(command.engine, command.engine))
        self.name: Word | None = None
        self.image: Word | None = None
        self.words = command.words
        self.at = 0
        self.act: dict[str, Callable[[Said], None]] = {
            "volume": self._volume, "mount": self._mount, "tmpfs": self._tmpfs, "volumes-from": self._borrow,
            "device": self._device, "gpus": self._gpus, "network": self._network, "pod": self._pod,
            "security-opt": self.request.security.append,
        }  # fmt: skip

    def read(self) -> bool:
        """Read the whole command; False where it starts no container."""
        if not self._subcommand():
            return False
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            if word.loose and word.text.startswith(("$", "`")):
                if self._is_image(word):
                    self.image = word
                    break
                self.request.gap = self.request.gap or f"{word.text[:60]} may hold any option"
            elif word.text == "--":
                self.image = self.words[self.at] if self.at < len(self.words) else None
                break
            elif word.text.startswith("--"):
                self._long(word)
            elif word.text.startswith("-") and len(word.text) > 1:
                self._short(word)
            else:
                self.image = word
                break
        self._tell_torn()
        return self.image is not None or bool(self.request.gap)

    def _tell_torn(self) -> None:
        """Tell what keeps the end of the command from being read."""
        reason = remedy = ""
        if self.command.unclosed:
            reason, remedy = "a quote is opened and never closed", "close it; the shell refuses the script"
        elif self.image is None and self.command.cut:
            reason, remedy = (
                "the command is so long that its end was not read",
                "shorten it, or put its options into a file",
            )
        if reason:
            self.request.problem(reason, self.request.where, remedy)
        if reason and self.image is None:
            self.request.gap = self.request.gap or reason

    def _subcommand(self) -> bool:
        """Go past global options and ``container``; tell whether ``run`` or ``create`` follows."""
        while self.at < len(self.words):
            text = self.words[self.at].text
            self.at += 1
            if text.startswith("-"):
                option, given, value = text.lstrip("-").partition("=")
                if option == "runtime":
                    word = self.words[self.at] if not given and self.at < len(self.words) else None
                    self.request.runtime = self._said(Word(value or (word.text if word else ""), self.command.line))
                if not given and option not in GLOBAL_SWITCHES:
                    self.at += 1
            elif text in {"run", "create"}:
                return True
            elif text != "container":
                return False
        return False

    def _is_image(self, word: Word) -> bool:
        """Guess whether an unknown word stands for the image or for options."""
        if self.at >= len(self.words):
            return "@" not in word.text and "*" not in word.text
        return _IMAGE_NAME.search(word.text) is not None and not self.words[self.at].text.startswith("-")

    def _said(self, word: Word, text: str | None = None) -> Said:
        where = Where(self.document, "", word.line)
        shown = word.text if text is None else text
        # Only the part with the variable is unknown: in --user=$X the option itself is not.
        unknown = word.unknown if "$" in shown or "`" in shown else ""
        return Said(shown, where, unknown, word.note)

    def _long(self, word: Word) -> None:
        option, given, value = word.text[2:].partition("=")
        option = ALIASES.get(option, option)
        if option in SWITCHES:
            self._switch(option, self._said(word, value) if given else None, word)
        elif option in VALUES:
            if given:
                self._value(option, self._said(word, value))
            else:
                self._next(option, word)
        else:
            self._unknown(f"--{option}", word, given=bool(given))

    def _short(self, word: Word) -> None:
        letters = word.text[1:]
        for index, letter in enumerate(letters):
            option = SHORT.get(letter, "")
            rest = letters[index + 1 :]
            if not option:
                self._unknown(f"-{letter}", word, given=False)
                return
            if option in SWITCHES:
                if rest.startswith("="):
                    self._switch(option, self._said(word, rest[1:]), word)
                    return
                self._switch(option, None, word)
                continue
            if rest:
                self._value(option, self._said(word, rest.removeprefix("=")))
            else:
                self._next(option, word)
            return

    def _next(self, option: str, word: Word) -> None:
        if self.at >= len(self.words):
            self.request.problem(f"--{option} takes a value", Where(self.document, "", word.line), "give it one")
            return
        self._value(option, self._said(self.words[self.at]))
        self.at += 1

    def _unknown(self, shown: str, word: Word, *, given: bool) -> None:
        where = Where(self.document, "", word.line)
        self.request.problem(
            f"unknown option {shown[:60]!r}", where, f"compare it with {self.command.engine} run --help"
        )
        if not given:
            # Whether a value follows cannot be told, so neither can what the words after it are.
            self.request.gap = self.request.gap or f"unknown option {shown[:60]}"

    def _switch(self, option: str, said: Said | None, word: Word) -> None:
        answer: bool | None = True
        where = Where(self.document, "", word.line)
        reason = ""
        if said is not None:
            answer = None if said.unknown else truth(said.text)
            reason = said.unknown or f"--{option} is neither true nor false: {said.text[:40]!r}"
            if answer is None and not said.unknown:
                self.request.problem(reason, where, "write true or false")
        if option == "use-api-socket" and answer is not False:
            shown = SOCKET if answer else f"({SOCKET}, perhaps: {reason})"
            self.request.mounts.append((Mount("bind", shown, SOCKET), where))
        if option == "rootfs" and answer is not False:
            self.request.no_user = "a root file system is started, no image"
        fact = _FLAGS.get(option)
        if fact is None:
            return
        if answer is None:
            self.request.withhold(fact, reason, where)
        else:
            self.request.say(fact, answer, where)

    def _value(self, option: str, said: Said) -> None:
        request = self.request
        if option in self.act:
            self.act[option](said)
        elif option in _MODES:
            request.modes[_MODES[option]] = said
        elif option in _LISTS:
            self._list(option, said)
        elif option == "user":
            request.user = said
        elif option == "runtime":
            request.runtime = said
        elif option in {"label", "annotation"}:
            request.labels.append(assigned(said.text, known=not said.unknown))
        elif option == "name":
            self.name = Word(said.text, said.where.line, said.unknown)
        elif option in {"uidmap", "gidmap", "subuidname", "subgidname"}:
            request.modes.setdefault("user", Said("private", said.where))
        elif option in {"isolation", "platform"}:
            self._system(option, said)

    def _list(self, option: str, said: Said) -> None:
        fact = _LISTS[option]
        if self.command.engine != "docker" and option in COMMA_LISTS and not said.unknown:
            self.request.add(fact, *(Said(part, said.where) for part in said.text.split(",") if part))
        elif option in {"cap-add", "cap-drop"} and "," in said.text and not said.unknown:
            self.request.problem(f"--{option} {said.text[:60]}: {_OTHER_ENGINE}", said.where, "repeat the option")
            self.request.add(fact, Said(said.text, said.where, _OTHER_ENGINE))
        elif option == "group-add" and said.text == "keep-groups":
            self.request.add(fact, Said(said.text, said.where, "keeps the groups of whoever runs it"))
        else:
            self.request.add(fact, said)

    def _system(self, option: str, said: Said) -> None:
        if option == "isolation":
            if said.text in {"hyperv", "process"}:
                self.request.system = Said("windows", said.where)
        elif said.unknown:
            self.request.system = self.request.system or said
        elif said.text.startswith("windows"):
            self.request.system = Said("windows", said.where)

    # --- namespaces -------------------------------------------------------------------------------------------------

    def _network(self, said: Said) -> None:
        text = said.text
        if "name=" in text and not said.unknown:
            fields = dict(part.split("=", 1) for part in csv_fields(text) if "=" in part)
            text = fields.get("name", text)
            said = Said(text, said.where, said.unknown, said.note)
        if text in {"default", "bridge"} and not said.unknown:
            said = Said("bridge", said.where)
        self.request.modes.setdefault("net", said)
        self.request.add(declared.NETWORKS, said)

    def _pod(self, said: Said) -> None:
        for namespace in ("net", "ipc", "uts"):
            self.request.modes.setdefault(namespace, Said(f"pod:{said.text}", said.where))

    # --- mounts and devices -----------------------------------------------------------------------------------------

    def _volume(self, said: Said) -> None:
        text = said.text
        if said.unknown:
            fields = pieces(text)
            source, target = fields[0], fields[1] if len(fields) > 1 else ""
            options = fields[2].split(",") if len(fields) > 2 else []
            hidden = "$" in source or "`" in source or len(fields) == 1
            target = "" if "$" in target else target
            if hidden:
                self.request.mounts.append((bound("bind", f"({said.unknown})", target, options), said.where))
                return
            parts = (source, target, tuple(options))
        else:
            told = volume_parts(text)
            if told is None:
                self.request.problem(f"{text[:80]!r} is no volume", said.where, "write source:target:options")
                self.request.mounts.append((Mount("bind", f"({text[:80]})", ""), said.where))
                return
            parts = told
        source, target, flags = parts
        kind = "bind" if is_host_path(source) else "volume"
        path = self.place.absolute(source) if kind == "bind" else source
        self.request.mounts.append((bound(kind, path, target, flags), said.where))

    def _mount(self, said: Said) -> None:
        fields: dict[str, str] = {}
        options: dict[str, str] = {}
        for part in csv_fields(said.text):
            key, _, value = part.partition("=")
            key = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}.get(
                key.strip().lower(), key.strip().lower()
            )
            if key == "volume-opt":
                name, _, told = value.partition("=")
                options[name] = told
            else:
                fields[key] = value if "=" in part else "true"
        kind = fields.get("type", "volume").lower()
        source, target = fields.get("source", ""), fields.get("target", "")
        read_only = truth(fields.get("readonly", "false")) is True or truth(fields.get("rw", "true")) is False
        words = [
            fields.get("bind-propagation", "").lower(),
            *(key for key in ("nosuid", "nodev", "noexec", "u") if key in fields),
        ]
        words.append({"shared": "z", "private": "Z"}.get(fields.get("relabel", ""), ""))
        told_source = f"({said.unknown})" if said.unknown and ("$" in source or "`" in source) else source
        target = "" if "$" in target else target
        if "$" in kind:
            mount = Mount("bind", f"({said.unknown})", target, read_only)
        elif kind in {"bind", "npipe", "glob"}:
            path = self.place.absolute(told_source)
            path = path.partition("*")[0] if kind == "glob" else path
            mount = bound("bind", path or "(no source)", target, words, read_only=read_only)
        elif kind in {"tmpfs", "ramfs", "devpts"}:
            mount = bound("tmpfs", "", target, words, read_only=read_only)
        elif kind in {"volume", "image", "cluster"}:
            mount = local_volume(source, target, options, fields.get("volume-driver", ""), read_only=read_only)
        else:
            self.request.problem(f"unknown type of mount {kind[:40]!r}", said.where, "compare it with the manual")
            mount = Mount("bind", f"({said.text[:80]})", target, read_only)
        self.request.mounts.append((mount, said.where))

    def _tmpfs(self, said: Said) -> None:
        target, _, options = said.text.partition(":")
        self.request.mounts.append((bound("tmpfs", "", target, options.split(",")), said.where))

    def _borrow(self, said: Said) -> None:
        if said.unknown:
            self.request.mounts.append((Mount("bind", f"({said.unknown})", ""), said.where))
            return
        name, _, mode = said.text.partition(":")
        self.request.borrowed.append(Borrowed(name, "ro" in mode.split(","), said.where))

    def _device(self, said: Said) -> None:
        texts = said.text.split(",") if self.command.engine == "podman" and not said.unknown else [said.text]
        for text in texts:
            told = Device(f"({said.unknown})", "") if said.unknown else device(text)
            if told is None:
                self.request.problem(f"{text[:80]!r} is no device", said.where, "write source:target:permissions")
                told = Device(f"({text[:80]})", "")
            self.request.devices.append((told, said.where))

    def _gpus(self, said: Said) -> None:
        fields = dict(part.split("=", 1) for part in csv_fields(said.text) if "=" in part)
        for node in gpu_devices("" if said.unknown else fields.get("driver", "")):
            self.request.devices.append((node, said.where))
