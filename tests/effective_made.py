"""Descriptions of containers for the tests of effective facts."""

from __future__ import annotations

from typing import Any

from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared

PLACE = Where("made.yaml", "/x", 1)

PLAIN: dict[Fact[Any], Any] = {
    declared.ENGINE: "docker",
    declared.RUNTIME: "default",
    declared.PRIVILEGED: False,
    declared.USER: "",
    declared.GROUPS: (),
    declared.CAPABILITIES_ADDED: (),
    declared.CAPABILITIES_DROPPED: (),
    declared.NO_NEW_PRIVILEGES: False,
    declared.SECCOMP: "default",
    declared.APPARMOR: "default",
    declared.SELINUX: (),
    declared.NAMESPACES: Members(maybe=frozenset({"cgroup"})),
    declared.USER_NAMESPACE: "default",
    declared.MOUNTS: (),
    declared.DEVICES: (),
    declared.DEVICE_RULES: (),
    declared.SYSTEM_PATHS: "default",
    declared.READ_ONLY_ROOT: False,
}
"""A container of Docker for which nothing was asked, of an image that sets no user."""


def said(answers: dict[Fact[Any], Any]) -> Facts:
    """Answer words with bare values, all from one place."""
    return Facts({fact: Seen(value, PLACE) for fact, value in answers.items()})


def made(*changes: dict[Fact[Any], Any], without: tuple[Fact[Any], ...] = ()) -> Facts:
    """Describe the plain container with some answers changed and some left out."""
    table = dict(PLAIN)
    for change in changes:
        table.update(change)
    return said({fact: value for fact, value in table.items() if fact not in without})
