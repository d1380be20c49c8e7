"""Security modules of a host and kernel lockdown: configured is not enforced, so only the running state counts."""

from __future__ import annotations

import re
from typing import Any

from holdfast.model.facts import Fact, Seen
from holdfast.model.place import Where
from holdfast.model.truth import UNKNOWN
from holdfast.model.values import Members
from holdfast.model.words import host
from holdfast.platforms._linux_host_records import Answer, Records

_LSM_FILE = "/sys/kernel/security/lsm"
_APPARMOR_SWITCH = "/sys/module/apparmor/parameters/enabled"
_SELINUX_SWITCH = "/sys/fs/selinux/enforce"
_FEATURES = tuple(
    f"/sys/kernel/security/apparmor/features/{name}" for name in ("", "network/", "network_v8/", "network_v9/")
)
"""What AppArmor of this kernel has rules for. D-Bus and ``af_unix`` are not in every kernel: Ubuntu's has both."""
_OPTIONS = {
    "apparmor": "CONFIG_SECURITY_APPARMOR",
    "bpf": "CONFIG_BPF_LSM",
    "landlock": "CONFIG_SECURITY_LANDLOCK",
    "lockdown": "CONFIG_SECURITY_LOCKDOWN_LSM",
    "selinux": "CONFIG_SECURITY_SELINUX",
    "smack": "CONFIG_SECURITY_SMACK",
    "tomoyo": "CONFIG_SECURITY_TOMOYO",
    "yama": "CONFIG_SECURITY_YAMA",
}


def security_answers(records: Records) -> dict[Fact[Any], Answer]:
    """Answer which security modules are active and what lockdown forbids."""
    return {
        host.LSMS: _lsms(records),
        host.APPARMOR_ENFORCING: _apparmor(records),
        host.APPARMOR_DBUS: _dbus(records),
        host.SELINUX_ENFORCING: _selinux(records),
        host.LOCKDOWN: _lockdown(records),
    }


def _dbus(records: Records) -> Answer:
    unseen = [name for name in _FEATURES if records.text(name) is None and not records.missing(name)]
    if unseen or not records.sys_seen:
        return records.absent((unseen or list(_FEATURES))[0])
    top, *networks = _FEATURES
    if "dbus" not in records.lines(top):
        return Seen(False, Where(top), "no feature of AppArmor's is named dbus")
    labels = [f"{name}af_unix" for name in networks if "af_unix" in records.lines(name)]
    return Seen(bool(labels), Where(labels[0] if labels else top))


def _lsms(records: Records) -> Answer:
    text = records.text(_LSM_FILE)
    if text:
        return Seen(Members(yes=frozenset(text.split(","))), Where(_LSM_FILE))
    if not records.config:
        return records.absent(_LSM_FILE)
    # Without securityfs the kernel's options still say what it cannot have; what it can have stays unknown.
    without = {name for name, option in _OPTIONS.items() if records.option(option) is False}
    active = set()
    for name, answer in (("apparmor", _apparmor(records)), ("selinux", _selinux(records))):
        if isinstance(answer, Seen) and (answer.value or records.text(_SELINUX_SWITCH) == "0"):
            active.add(name)
    return Seen(
        Members(yes=frozenset(active), no=frozenset(without - active), rest=UNKNOWN),
        Where(records.config_name),
        f"{_LSM_FILE} is not there (securityfs is not mounted); the kernel's options decide as far as they can",
    )


def _apparmor(records: Records) -> Answer:
    text = records.text(_APPARMOR_SWITCH)
    if text is not None:
        return Seen(text == "Y", Where(_APPARMOR_SWITCH))
    if records.missing(_APPARMOR_SWITCH) and records.sys_seen:
        return Seen(False, Where(_APPARMOR_SWITCH), "the file does not exist: the kernel runs without AppArmor")
    return records.absent(_APPARMOR_SWITCH)


def _selinux(records: Records) -> Answer:
    text = records.text(_SELINUX_SWITCH)
    if text is not None:
        return Seen(text == "1", Where(_SELINUX_SWITCH))
    known = records.lines("/proc/filesystems")
    if known and not any(line.split()[-1] == "selinuxfs" for line in known):
        return Seen(False, Where("/proc/filesystems"), "selinuxfs is not registered: SELinux is off")
    lsm = records.text(_LSM_FILE)
    if lsm and "selinux" not in lsm.split(","):
        return Seen(False, Where(_LSM_FILE))
    return records.absent(_SELINUX_SWITCH)


_RAISED = "securityfs is not mounted, so whether it was raised since the start cannot be seen"


def _lockdown(records: Records) -> Answer:
    name = "/sys/kernel/security/lockdown"
    text = records.text(name)
    if text is not None:
        chosen = re.search(r"\[(\w+)\]", text)
        return Seen(chosen[1], Where(name)) if chosen else records.absent(name)
    if records.option("CONFIG_SECURITY_LOCKDOWN_LSM") is False:
        where = Where(records.config_name).below("CONFIG_SECURITY_LOCKDOWN_LSM")
        return Seen("none", where, "the kernel was built without lockdown")
    mount = records.mount_at("/sys/kernel/security")
    if records.missing(name) and mount is not None and mount.fstype == "securityfs":
        return Seen("none", Where(name), "securityfs is mounted and has no such file")
    if records.missing(name):
        return _forced_lockdown(records) or records.absent(
            name, "securityfs is not mounted, so lockdown cannot be seen"
        )
    return records.absent(name)


def _forced_lockdown(records: Records) -> Answer | None:
    """Return the least lockdown of a kernel that was built with one, or was started with one."""
    started = re.search(r"(?:^|\s)lockdown=(integrity|confidentiality)\b", records.text("/proc/cmdline") or "")
    for level in ("confidentiality", "integrity"):
        option = f"CONFIG_LOCK_DOWN_KERNEL_FORCE_{level.upper()}"
        if records.option(option):
            return Seen(level, Where(records.config_name).below(option), _RAISED)
        if started and started[1] == level:
            return Seen(level, Where("/proc/cmdline"), _RAISED)
    return None
