"""What the raw records of a Linux host answer: the words of ``model/words/host`` and ``model/words/engine``.

Every answer names the file it was read from. A file that was not there counts as an answer only where its absence
means something (an interface the kernel was built without); otherwise the fact is absent, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.model.errors import Error
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import host
from holdfast.platforms._linux_host_engine import engine_answers
from holdfast.platforms._linux_host_kernel import kernel_answers
from holdfast.platforms._linux_host_modules import module_answers
from holdfast.platforms._linux_host_packages import package_answers
from holdfast.platforms._linux_host_records import Answer, Records
from holdfast.platforms._linux_host_security import security_answers

NAME = "linux-host"


def read_host(records: Mapping[str, str | Error]) -> Facts:
    """Answer the host's and the engine's words from raw records.

    Args:
        records: As ``collect/host.records`` brings them. The engine's own answers may stand beside them under
            ``docker:/version`` and ``docker:/info`` (JSON texts).

    Returns:
        Facts, each with its file; those that could not be answered are absent with the reason.
    """
    known = Records(records)
    table: dict[Fact[Any], Answer] = {}
    for answers in (
        _plain_answers(known),
        kernel_answers(known),
        security_answers(known),
        module_answers(known),
        package_answers(known),
        engine_answers(known),
    ):
        table.update(answers)
    return Facts(table)


def _plain_answers(records: Records) -> dict[Fact[Any], Answer]:
    release = records.text("/proc/sys/kernel/osrelease")
    name = "/proc/sys/kernel/osrelease"
    numbers = re.match(r"\d+(?:\.\d+)*", release or "")
    table: dict[Fact[Any], Answer] = {
        host.KERNEL_RELEASE: Seen(release, Where(name)) if release else records.absent(name),
        host.KERNEL_VERSION: (
            Seen(tuple(int(part) for part in numbers[0].split(".")), Where(name)) if numbers else records.absent(name)
        ),
        host.CGROUP_VERSION: _cgroup_version(records),
        host.CGROUP_NAMESPACES_DELEGATED: _delegated(records),
        host.DISTRIBUTION: _distribution(records),
        host.PROC_HIDEPID: _hidepid(records),
        host.DBUS: _systemd_bus(records),
        host.KUBELET: _kubelet(records, ""),
        host.KUBELET_LOGS: _kubelet(records, " and serves logs unless it was told not to"),
        host.ROOT_DEVICE: _root_device(records),
        host.MOUNTED_FILE_SYSTEMS: _file_systems(records),
        host.ROOT_DAEMON_SOCKETS: _root_daemons(records),
        host.SOCKET_PERMISSIONS: _socket_permissions(records),
    }
    machine = records.text("uname:machine")
    table[host.ARCHITECTURE] = Seen(machine, Where("uname:machine")) if machine else records.absent("uname:machine")
    return table


def _file_systems(records: Records) -> Answer:
    if not records.mounts:
        return records.absent(records.mounts_name)
    return Seen(Members(frozenset(mount.fstype for mount in records.mounts)), Where(records.mounts_name))


def _cgroup_version(records: Records) -> Answer:
    where = Where(records.mounts_name)
    if not records.mounts:
        return records.absent(records.mounts_name)
    controllers = any(mount.fstype == "cgroup" for mount in records.mounts)
    unified = any(mount.fstype == "cgroup2" for mount in records.mounts)
    if controllers and unified:
        return Seen("hybrid", where, "version 1 controllers and a version 2 tree are mounted")
    if controllers:
        return Seen("v1", where)
    if unified:
        return Seen("v2", where, "no version 1 hierarchy is mounted")
    return Absent("no cgroup file system is mounted where the collector looked", where)


def _delegated(records: Records) -> Answer:
    trees = [mount for mount in records.mounts if mount.fstype == "cgroup2"]
    if not trees:
        return records.absent(records.mounts_name, "no version 2 tree is mounted where the collector looked")
    return Seen(any("nsdelegate" in mount.super_options for mount in trees), Where(records.mounts_name))


def _distribution(records: Records) -> Answer:
    for name in ("/etc/os-release", "/usr/lib/os-release"):
        pairs: dict[str, str] = {}
        for line in records.lines(name):
            key, sign, value = line.partition("=")
            if sign:
                pairs[key.strip()] = value.strip().strip("\"'")
        if "ID" in pairs:
            version = pairs.get("VERSION_ID", "")
            return Seen(f"{pairs['ID']}-{version}" if version else pairs["ID"], Where(name))
    return records.absent("/etc/os-release")


def _hidepid(records: Records) -> Answer:
    mount = records.mount_at("/proc")
    if mount is None:
        return records.absent(records.mounts_name, "no mount of /proc in the mount table")
    chosen = [option for option in mount.options | mount.super_options if option.startswith("hidepid=")]
    hidden = any(option not in {"hidepid=0", "hidepid=off"} for option in chosen)
    return Seen(hidden, Where(records.mounts_name))


def _systemd_bus(records: Records) -> Answer:
    first = records.text("/proc/1/comm")
    if first is None:
        return records.absent("/proc/1/comm")
    if first != "systemd":
        return Seen(False, Where("/proc/1/comm"), f"the first process is {first}")
    # Without a message bus it still listens on a socket of its own.
    return Seen(True, Where("/proc/1/comm"))


_DAEMON_SOCKETS = (
    ("/run/libvirt/", "libvirt-sock"),
    ("/run/", "snapd.socket"),
    ("/run/incus/", "unix.socket"),
    ("/var/lib/incus/", "unix.socket"),
    ("/var/lib/lxd/", "unix.socket"),
    ("/var/snap/lxd/common/lxd/", "unix.socket"),
)


def _root_daemons(records: Records) -> Answer:
    unread: Answer | None = None
    for folder, name in _DAEMON_SOCKETS:
        if name in records.lines(folder):
            return Seen(True, Where(f"{folder}{name}"))
        if records.text(folder) is None and not records.missing(folder):
            unread = records.absent(folder)
    return unread or Seen(False, Where("/run"), "none of their sockets exists")


def _socket_permissions(records: Records) -> Answer:
    keys = [key for key in records.entries if key.startswith("permissions:")]
    seen = ((key, records.text(key) or ("-:-:-" if records.missing(key) else "")) for key in sorted(keys))
    found = tuple((key.removeprefix("permissions:"), text) for key, text in seen if text)
    if found:
        return Seen(found, Where(found[0][0]))
    return Absent("the control sockets of the host were not looked at", Where("/run"))


def _root_device(records: Records) -> Answer:
    root = records.mount_at("/")
    if root is None:
        return records.absent(records.mounts_name, "the mount table does not show the root directory")
    return Seen(root.device, Where(records.mounts_name))


def _kubelet(records: Records, note: str) -> Answer:
    for name in ("kubelet", "k3s-server", "k3s", "rke2"):
        if records.text(f"process:{name}"):
            return Seen(True, Where(f"process:{name}"), f"{name} runs{note}")
    if records.text("process:") is None:
        return records.absent("process:")
    return Seen(False, Where("/proc"), "no kubelet runs")
