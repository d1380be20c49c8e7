"""Security options: one list of words that sets seccomp, AppArmor, SELinux, no_new_privs and the masked paths.

The words are the same on the command line, in a Compose file and in the engine's own answer. ``=`` and the older ``:``
both separate. Where a word is said twice the last one counts, but labels add up.

Source:
    moby ``daemon/daemon_unix.go`` (parseSecurityOpt, generateSecurityOpt), docker/cli
    ``cli/command/container/opts.go`` (parseSystemPaths), containers/podman ``security-opt.md``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Fact, Seen
from holdfast.model.place import Where
from holdfast.model.tree import Document
from holdfast.model.words import declared
from holdfast.platforms._docker_run_files import plain
from holdfast.platforms._docker_run_request import DEFAULT, Request, Said
from holdfast.platforms._docker_run_values import truth

Profile = Callable[[str], Document | str]
"""Gives the file of a seccomp profile by the path that was written, or the reason why there is none."""

_FACTS: dict[str, tuple[Fact[Any], ...]] = {
    "seccomp": (declared.SECCOMP, declared.SECCOMP_PROFILE),
    "apparmor": (declared.APPARMOR,),
    "label": (declared.SELINUX,),
    "no-new-privileges": (declared.NO_NEW_PRIVILEGES,),
    "systempaths": (declared.SYSTEM_PATHS,),
    "mask": (declared.SYSTEM_PATHS,),
    "unmask": (declared.SYSTEM_PATHS,),
    "writable-cgroups": (declared.WRITABLE_CGROUPS,),
}
_QUIET = frozenset({"proc-opts", "credentialspec"})
_MOST_PROFILE = 4 << 20


def tell_security(request: Request, profile: Profile) -> None:
    """Turn the security options of a request into facts.

    Args:
        request: Holds the options; receives the facts. What it answers already is left alone.
        profile: Finds the file of a seccomp profile.
    """
    labels: list[Said] = []
    doubtful: Said | None = None
    for said in request.security:
        key, value, separated = _split(said.text)
        if said.unknown and (not separated or "$" in key):
            doubtful = said
        elif said.unknown and key in _FACTS:
            for fact in _FACTS[key]:
                request.withhold(fact, said.unknown, said.where)
        elif key == "label" or said.text == "disable":
            labels.append(Said(value or "disable", said.where, said.unknown, said.note))
        else:
            _one(request, said, key, value, profile)
    if doubtful is not None:
        _doubt(request, doubtful)
    _tell_labels(request, labels)
    _tell_rest(request)


def _tell_rest(request: Request) -> None:
    """Answer what no option spoke of."""
    privileged = request.table.get(declared.PRIVILEGED)
    if isinstance(privileged, Seen) and privileged.value is True and declared.SYSTEM_PATHS not in request.table:
        request.say(declared.SYSTEM_PATHS, "unconfined", privileged.where, "the engine masks nothing when privileged")
    for fact, value in (
        (declared.SECCOMP, "default"),
        (declared.APPARMOR, "default"),
        (declared.SYSTEM_PATHS, "default"),
        (declared.NO_NEW_PRIVILEGES, False),
    ):
        if fact not in request.table:
            if request.gap:
                request.withhold(fact, request.gap, request.where)
            else:
                request.say(fact, value, request.where, DEFAULT)


def _split(text: str) -> tuple[str, str, bool]:
    for separator in ("=", ":"):
        key, found, value = text.partition(separator)
        if found:
            return key, value, True
    return text, "", False


def _doubt(request: Request, said: Said) -> None:
    """Leave every question open that an option of unknown text may have answered."""
    for facts in _FACTS.values():
        for fact in facts:
            if fact is not declared.SECCOMP_PROFILE:
                request.withhold(fact, said.unknown, said.where)


def _one(request: Request, said: Said, key: str, value: str, profile: Profile) -> None:
    where = said.where
    if key == "no-new-privileges":
        flag = True if said.text == key else truth(value)
        _flag(request, declared.NO_NEW_PRIVILEGES, flag, said)
    elif key == "apparmor":
        request.say(declared.APPARMOR, value, where, said.note)
    elif key == "seccomp":
        _seccomp(request, value, said, profile)
    elif (key, value.lower()) in {("systempaths", "unconfined"), ("unmask", "all")}:
        request.say(declared.SYSTEM_PATHS, "unconfined", where, said.note)
    elif key in {"mask", "unmask"}:
        request.withhold(declared.SYSTEM_PATHS, f"the default masked paths are changed: {said.text}", where)
        if key == "unmask" and "/sys/fs/cgroup" in value.split(":"):
            request.say(declared.WRITABLE_CGROUPS, True, where, said.note)
    elif key == "writable-cgroups":
        _flag(request, declared.WRITABLE_CGROUPS, truth(value), said)
    elif key not in _QUIET:
        request.problem(f"unknown security option {said.text[:80]!r}", where, "compare it with the engine's manual")


def _flag(request: Request, fact: Fact[bool], flag: bool | None, said: Said) -> None:
    if flag is None:
        request.problem(f"{said.text[:80]!r} is neither true nor false", said.where, "write true or false")
        request.withhold(fact, f"{said.text[:80]} is neither true nor false", said.where)
    else:
        request.say(fact, flag, said.where, said.note)


def _tell_labels(request: Request, labels: list[Said]) -> None:
    if declared.SELINUX in request.table:
        return
    if labels:
        values = tuple(said.text for said in labels)
        parts = {said.text: said.where for said in labels}
        request.say(declared.SELINUX, values, labels[0].where, "; ".join(s.note for s in labels if s.note), parts)
        return
    if request.gap:
        request.withhold(declared.SELINUX, request.gap, request.where)
        return
    privileged = request.table.get(declared.PRIVILEGED)
    if isinstance(privileged, Seen) and privileged.value is True:
        request.say(declared.SELINUX, ("disable",), privileged.where, "the engine labels no privileged container")
        return
    for name in ("pid", "ipc"):
        mode = request.modes.get(name)
        if mode is not None and mode.text == "host" and not mode.unknown:
            note = f"the engine labels no container that shares the host's {name} namespace"
            request.say(declared.SELINUX, ("disable",), mode.where, note)
            return
    request.say(declared.SELINUX, (), request.where, DEFAULT)


def _seccomp(request: Request, value: str, said: Said, profile: Profile) -> None:
    where = said.where
    request.table.pop(declared.SECCOMP_PROFILE, None)
    if value in {"unconfined", "builtin"}:
        request.say(declared.SECCOMP, value, where, said.note)
        return
    if not value:
        request.problem("seccomp= names no profile", where, "name a file, unconfined or builtin")
        request.withhold(declared.SECCOMP, "seccomp= names no profile", where)
        return
    request.say(declared.SECCOMP, "profile", where, said.note)
    if value.lstrip().startswith("{"):
        content, reason = _parsed(value), "the profile in the option is no JSON object"
        source = where
    else:
        found = profile(value)
        if isinstance(found, str):
            request.withhold(declared.SECCOMP_PROFILE, found, where)
            return
        content, reason = _content(found), f"{found.name} holds no JSON object"
        source = Where(found.name)
    if isinstance(content, dict):
        request.say(declared.SECCOMP_PROFILE, content, source, "" if source is where else f"named at {where}")
    else:
        request.problem(reason, source, "give a seccomp profile in JSON")
        request.withhold(declared.SECCOMP_PROFILE, reason, source)


def _content(document: Document) -> Any:
    if document.roots:
        try:
            return plain(document.roots[0])
        except NotUnderstood:
            return None
    return _parsed(document.text)


def _parsed(text: str) -> Any:
    if len(text) > _MOST_PROFILE:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
