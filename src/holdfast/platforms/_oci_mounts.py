"""Mounts and devices of an OCI configuration."""

from __future__ import annotations

import re

from holdfast.model.place import Where
from holdfast.model.tree import Cursor
from holdfast.model.words import declared
from holdfast.platforms._oci_values import Answers

_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"})
_VOLUME = re.compile(
    r"/(?:docker(?:/\d+\.\d+)?|containers/storage|nerdctl/[0-9a-f]+)/volumes/(?:[^/]+/)??([^/]+)/_data(?:/|$)"
)
_OWN = (
    re.compile(r"/docker(?:/\d+\.\d+)?/containers/[0-9a-f]{64}/(?:resolv\.conf|hostname|hosts|mounts/)"),
    re.compile(r"/containers/storage/overlay-containers/[0-9a-f]{64}/userdata/"),
    re.compile(r"/io\.containerd\.grpc\.v1\.cri/sandboxes/[0-9a-f]{64}/"),
    re.compile(
        r"/kubelet/pods/[^/]+/(?:etc-hosts$|containers/|volumes/kubernetes\.io~(?:configmap|secret|projected|downward-api)/)"
    ),
    re.compile(r"/nerdctl/[0-9a-f]+/(?:etchosts|containers)/[^/]+/[0-9a-f]{64}/"),
)
_EMPTY_DIR = re.compile(r"/kubelet/pods/[^/]+/volumes/kubernetes\.io~empty-dir/([^/]+)")
_CLAIM = re.compile(r"/kubelet/pods/[^/]+/volume(?:s|-subpaths)/(?!kubernetes\.io~empty-dir)[^/]+/([^/]+)")
_TOKEN = re.compile(r"^(?:/var)?/run/secrets/kubernetes\.io/serviceaccount/?$")
_DEFAULT_RULES = frozenset(
    {
        "c 1:3", "c 1:5", "c 1:7", "c 1:8", "c 1:9", "c 5:0", "c 5:1", "c 5:2", "c 10:200", "c 136:*",
    }
)  # fmt: skip
"""Devices that every runtime grants: null, zero, full, random, urandom, tty, console, ptmx, tun (by rule only), pts.

Source:
    runc libcontainer/specconv/spec_linux.go (AllowedDevices)
"""


def mounts_answers(answers: Answers, root: Cursor) -> None:
    """Answer mounts, the cgroup mount's mode and the service account token.

    Args:
        answers: Receives them.
        root: The configuration.
    """
    found: list[declared.Mount] = []
    parts: dict[declared.Mount, Where] = {}
    token = cgroup_writable = False
    inherited = answers.text(root, "linux", "rootfsPropagation") or ""
    spread = "rshared" if inherited in {"shared", "rshared"} else ""
    before = len(answers.problems)
    for entry in answers.entries(root, "mounts"):
        target = answers.text(entry, "destination")
        if target is None:
            answers.wrong(entry, "a mount has no destination")
            continue
        options = answers.texts(entry, "options") or ()
        kind = answers.text(entry, "type") or ""
        if kind in {"cgroup", "cgroup2"}:
            cgroup_writable = cgroup_writable or "ro" not in options
        mount = _mount(kind, answers.text(entry, "source") or "", target, options, spread)
        if mount is not None:
            token = token or bool(_TOKEN.match(target))
            found.append(mount)
            parts[mount] = entry.where
    here = root.get("mounts")
    where = here.where if here is not None else root.where
    if len(answers.problems) > before:
        for fact in (declared.MOUNTS, declared.WRITABLE_CGROUPS, declared.SERVICE_ACCOUNT_TOKEN):
            answers.withhold(fact, "some mounts are not understood", where)
        return
    answers.say(declared.MOUNTS, tuple(found), where, parts=parts)
    answers.say(declared.WRITABLE_CGROUPS, cgroup_writable, where)
    answers.say(declared.SERVICE_ACCOUNT_TOKEN, token, where)


def _mount(kind: str, source: str, target: str, options: tuple[str, ...], spread: str) -> declared.Mount | None:
    """Give one mount its kind; None for file systems of the kernel, which the masked and read-only paths describe."""
    read_only = bool({"ro", "rro"} & set(options)) and "rw" not in options[_last(options, "ro") :]
    propagation = next((option for option in reversed(options) if option in _PROPAGATION), "")
    rest = frozenset(options) - _PROPAGATION - {"ro", "rw", "bind", "rbind"}
    if kind == "bind" or {"bind", "rbind"} & set(options):
        name, source = _origin(source)
        return declared.Mount(name, source, target, read_only, propagation or spread, rest)
    if kind == "tmpfs":
        return declared.Mount("tmpfs", "", target, read_only, propagation, rest)
    return None


def _last(options: tuple[str, ...], wanted: str) -> int:
    return max((index for index, option in enumerate(options) if option == wanted), default=0)


def _origin(source: str) -> tuple[str, str]:
    """Tell a host path from what an engine made for this container alone, by where engines keep such things."""
    volume = _VOLUME.search(source)
    if volume:
        return "volume", volume[1]
    if any(pattern.search(source) for pattern in _OWN):
        return "projected", ""
    empty = _EMPTY_DIR.search(source)
    if empty:
        return "volume", empty[1]
    claim = _CLAIM.search(source)
    if claim:
        return "claim", claim[1]
    return "bind", source


def devices_answers(answers: Answers, root: Cursor) -> None:
    """Answer device nodes and the rules of the device cgroup beyond what every container gets."""
    before = len(answers.problems)
    rules, where = _rules(answers, root)
    if len(answers.problems) > before:
        answers.withhold(declared.DEVICE_RULES, "some device rules are not understood", where)
    else:
        answers.say(declared.DEVICE_RULES, tuple(rules), where)
    before = len(answers.problems)
    nodes: list[declared.Device] = []
    parts: dict[declared.Device, Where] = {}
    for entry in answers.entries(root, "linux", "devices"):
        path = answers.text(entry, "path")
        if path is None:
            answers.wrong(entry, "a device has no path")
            continue
        kind = answers.text(entry, "type") or ""
        numbers = f"{answers.number(entry, 'major') or 0}:{answers.number(entry, 'minor') or 0}"
        granted = [rule for rule in rules if _matches(rule, kind, numbers)]
        device = declared.Device(path, path, granted[-1].rsplit(" ", 1)[-1] if granted else "", f"{kind} {numbers}")
        nodes.append(device)
        parts[device] = entry.where
    here = root.get("linux", "devices")
    where = here.where if here is not None else root.where
    if len(answers.problems) > before:
        answers.withhold(declared.DEVICES, "some devices are not understood", where)
    else:
        answers.say(declared.DEVICES, tuple(nodes), where, parts=parts)


def _rules(answers: Answers, root: Cursor) -> tuple[list[str], Where]:
    """Apply the rules in order, as the kernel would: a later one overrides an earlier one."""
    here = root.get("linux", "resources", "devices")
    allowed: list[str] = []
    for entry in answers.entries(root, "linux", "resources", "devices"):
        allow = answers.flag(entry, "allow")
        kind = answers.text(entry, "type") or "a"
        access = answers.text(entry, "access") or "rwm"
        if allow is None or kind not in {"a", "b", "c", "u", "p"}:
            answers.wrong(entry, "a device rule has no allow, or a type that is none")
            continue
        major, minor = answers.number(entry, "major"), answers.number(entry, "minor")
        numbers = f"{_number(major)}:{_number(minor)}"
        if kind == "a":
            allowed = [f"a *:* {access}"] if allow else []
        elif allow:
            allowed.append(f"{kind} {numbers} {access}")
        else:
            allowed = [rule for rule in allowed if rule.rsplit(" ", 1)[0] != f"{kind} {numbers}"]
    beyond = [rule for rule in allowed if rule.rsplit(" ", 1)[0] not in _DEFAULT_RULES and not rule.endswith(" *:* m")]
    return beyond, here.where if here is not None else root.where


def _number(value: int | None) -> str:
    return "*" if value is None or value < 0 else str(value)


def _matches(rule: str, kind: str, numbers: str) -> bool:
    rule_kind, rule_numbers, _ = rule.split(" ")
    major, minor = rule_numbers.split(":")
    own_major, own_minor = numbers.split(":")
    return rule_kind in {"a", kind} and major in {"*", own_major} and minor in {"*", own_minor}
