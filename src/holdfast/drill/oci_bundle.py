"""From a replica to an OCI bundle, for a runtime that is asked without an engine.

Source:
    https://github.com/opencontainers/runtime-spec/blob/main/config.md; the defaults are those that ``runc spec``
    writes and that Docker grants.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.drill.container_line import VARIABLE
from holdfast.model.replica import Bind, Node, Replica
from holdfast.reason.effective.capabilities import DEFAULTS, EVERY, spelled

_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_FILE_SYSTEMS = frozenset({"/proc", "/sys", "/sys/fs/cgroup"})
_SPACES = {"pid": "pid", "net": "network", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
_DEVICES = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    *(
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2))
    ),
]


def write_bundle(  # noqa: PLR0913, PLR0917 - each is one thing it depends on
    replica: Replica, folder: Path, probe: bytes, command: list[str], cgroup: str, secret: str = ""
) -> None:
    """Write ``config.json`` and ``rootfs`` into a folder.

    Args:
        replica: What is started.
        folder: An empty folder of ours.
        probe: The probe's program.
        command: What the container runs.
        cgroup: Path of its cgroup; carries the run's id.
        secret: What it has in its environment.

    Raises:
        OSError: The folder cannot be written.
    """
    root = folder / "rootfs"
    for name in ("proc", "sys", "dev", "etc", "tmp", ".holdfast/point", ".holdfast/work"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", ".holdfast/work"):
        (root / name).chmod(0o1777)
    program = root / command[0].lstrip("/")
    program.write_bytes(probe)
    program.chmod(0o755)
    if replica.user_map:
        # Mount points are made by the runtime when it is in the user namespace already.
        owner = next((outside for inside, outside, _ in replica.user_map if inside == 0), -1)
        for path in (root, *root.rglob("*")):
            os.chown(path, owner, owner)
    (folder / "config.json").write_text(json.dumps(config(replica, command, cgroup, secret)), encoding="utf-8")


def config(replica: Replica, command: list[str], cgroup: str, secret: str = "") -> dict[str, Any]:
    """Return the configuration of a replica. See ``write_bundle``."""
    uid, _, gid = (replica.user or "0").partition(":")
    names = sorted(capabilities(replica))
    ambient = sorted(replica.capabilities_ambient & set(names))
    held = names if uid in {"", "0"} else ambient
    spaces = [{"type": kind} for name, kind in _SPACES.items() if name not in replica.namespaces]
    spaces.append({"type": "mount"})
    if replica.user_map:
        spaces.append({"type": "user"})
    mapping = [{"containerID": a, "hostID": b, "size": c} for a, b, c in replica.user_map]
    linux: dict[str, Any] = {
        "namespaces": spaces,
        "cgroupsPath": cgroup,
        "devices": list(_nodes(replica)),
        "resources": {"devices": [*_DEVICES, *map(_rule, replica.device_rules), *_node_rules(replica)]},
        "maskedPaths": _paths(replica, replica.masked_paths, _MASKED),
        "readonlyPaths": _paths(replica, replica.read_only_paths, _READ_ONLY),
        "uidMappings": mapping,
        "gidMappings": mapping,
        "sysctl": dict(replica.sysctls),
    }
    if replica.seccomp not in {"default", "unconfined"}:
        linux["seccomp"] = json.loads(replica.seccomp)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {
                "uid": int(uid or 0),
                "gid": int(gid or 0),
                "additionalGids": [int(group) for group in replica.groups if group.isdecimal()],
            },
            "args": command,
            "env": ["PATH=/", *([f"{VARIABLE}={secret}"] if secret else [])],
            "cwd": "/",
            "capabilities": {
                "bounding": names,
                "effective": held,
                "permitted": held,
                "inheritable": ambient,
                "ambient": ambient,
            },
            "noNewPrivileges": replica.no_new_privileges,
            **({"apparmorProfile": replica.apparmor} if replica.apparmor not in {"default", "unconfined"} else {}),
        },
        "root": {"path": "rootfs", "readonly": replica.read_only},
        "hostname": "holdfast",
        "mounts": [
            *_system_mounts(replica),
            *map(_mount, replica.binds),
            *_node_mounts(replica),
        ],
        "linux": linux,
    }


def capabilities(replica: Replica) -> frozenset[str]:
    """Return the capabilities a replica gets where no engine adds any of its own."""
    added = {spelled(name) for name in replica.capabilities_added}
    dropped = {spelled(name) for name in replica.capabilities_dropped}
    if replica.privileged or "ALL" in added:
        return EVERY
    base = frozenset() if "ALL" in dropped else DEFAULTS["docker"] - dropped
    return frozenset(base | added)


def _system_mounts(replica: Replica) -> list[dict[str, Any]]:
    listed = replica.read_only_paths
    writable_sys = replica.privileged or (listed is not None and "/sys" not in listed)
    sys_options = ["nosuid", "noexec", "nodev"] + ([] if writable_sys else ["ro"])
    # In a user namespace the kernel mounts procfs and sysfs only for the owner of the process or network namespace;
    # what an engine does then, and so do we, is to hand on the host's.
    own_proc = not (replica.user_map and "pid" in replica.namespaces)
    own_sys = not (replica.user_map and "net" in replica.namespaces)
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"} if own_proc else _handed_on("/proc", ["rw"]),
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
    ]
    if "ipc" in replica.namespaces:
        mounts.append(_handed_on("/dev/shm", ["nosuid", "noexec", "nodev"]))  # noqa: S108 - the path is the kernel's
    if not own_sys:
        return [*mounts, _handed_on("/sys", sys_options)]
    mounts.append({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": sys_options})
    if replica.runtime != "crun":
        mounts.append(
            {
                "destination": "/sys/fs/cgroup",
                "type": "cgroup",
                "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime"]
                + ([] if replica.privileged or replica.writable_cgroups else ["ro"]),
            }
        )
    return mounts


def _handed_on(path: str, options: list[str]) -> dict[str, Any]:
    return {"destination": path, "type": "bind", "source": path, "options": ["rbind", *options]}


def _mount(bind: Bind) -> dict[str, Any]:
    if not bind.source and not bind.stand_in:
        return {"destination": bind.target, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}
    options = ["rbind", bind.propagation or "rprivate", "ro" if bind.read_only else "rw"]
    if bind.nosuid:
        options.append("nosuid")
    return {
        "destination": bind.target,
        "type": "bind",
        "source": bind.stand_in or bind.source,
        "options": options,
    }


def _paths(replica: Replica, listed: tuple[str, ...] | None, default: tuple[str, ...]) -> list[str]:
    if replica.unmasked:
        return []
    # Whole file systems are mounted read-only where they are mounted.
    return [path for path in (default if listed is None else listed) if path not in _FILE_SYSTEMS]


def _number(node: Node) -> tuple[str, int, int] | None:
    """Return kind and number of a device node; None where the host has none."""
    if node.number:
        kind, _, numbers = node.number.partition(" ")
        major, _, minor = numbers.partition(":")
        return kind, int(major), int(minor)
    try:
        seen = os.stat(node.stand_in or node.source)  # noqa: PTH116 - the number is what is asked for
    except OSError:
        return None
    if not (stat.S_ISCHR(seen.st_mode) or stat.S_ISBLK(seen.st_mode)):
        return None
    return "c" if stat.S_ISCHR(seen.st_mode) else "b", os.major(seen.st_rdev), os.minor(seen.st_rdev)


def _node_mounts(replica: Replica) -> Iterator[dict[str, Any]]:
    """Yield what stands for device nodes in a user namespace.

    A runtime makes no node there: it mounts the host's of the same name, which is not the stand-in.
    """
    for node in replica.nodes if replica.user_map else ():
        if Path(node.stand_in or node.source).exists():
            yield {**_handed_on(node.stand_in or node.source, []), "destination": node.target}


def _nodes(replica: Replica) -> Iterator[dict[str, Any]]:
    for node in replica.nodes if not replica.user_map else ():
        number = _number(node)
        if number is not None:
            kind, major, minor = number
            yield {"path": node.target, "type": kind, "major": major, "minor": minor, "fileMode": 0o660}


def _node_rules(replica: Replica) -> Iterator[dict[str, Any]]:
    for node in replica.nodes:
        number = _number(node)
        if number is not None and node.permissions:
            kind, major, minor = number
            yield {"allow": True, "type": kind, "major": major, "minor": minor, "access": node.permissions}


def _rule(text: str) -> dict[str, Any]:
    kind, numbers, access = [*text.split(), "", ""][:3]
    major, _, minor = numbers.partition(":")
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access or "rwm"}
    for name, number in (("major", major), ("minor", minor)):
        if number.isdecimal():
            rule[name] = int(number)
    return rule
