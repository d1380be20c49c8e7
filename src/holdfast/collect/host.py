"""Bring what the host says about itself: raw texts by path, and a reason for each that could not be read.

Nothing here needs root. Without it some entries are NotPermitted, and the facts they would answer stay unknown.
"""

# ruff: noqa: PTH116, PTH207, PTH208 - /proc and /sys have thousands of names; a Path for each costs more than reading it

from __future__ import annotations

import glob
import os
import zlib

from holdfast.collect.packages import package_records
from holdfast.collect.reading import failure, read_bytes, read_text
from holdfast.model.errors import Error, NotReachable, NotUnderstood

LIMIT = 8 << 20
Records = dict[str, str | Error]

FILES = (
    "/etc/buildkit/buildkitd.toml",
    "/etc/containerd/config.toml",
    "/etc/containers/containers.conf",
    "/etc/crio/crio.conf",
    "/etc/docker/daemon.json",
    "/etc/os-release",
    "/proc/1/comm",
    "/proc/1/mountinfo",
    "/proc/cgroups",
    "/proc/cmdline",
    "/proc/filesystems",
    "/proc/modules",
    "/proc/self/mountinfo",
    "/proc/sys/dev/tty/legacy_tiocsti",
    "/proc/sys/fs/binfmt_misc/status",
    "/proc/sys/fs/suid_dumpable",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/kexec_load_disabled",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/modules_disabled",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/version",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/user/max_user_namespaces",
    "/proc/version_signature",
    "/sys/fs/selinux/enforce",
    "/sys/kernel/security/apparmor/profiles",
    "/sys/kernel/security/lockdown",
    "/sys/kernel/security/lsm",
    "/sys/kernel/uevent_helper",
    "/sys/module/apparmor/parameters/enabled",
    "/sys/module/module/parameters/sig_enforce",
    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
    "/usr/lib/os-release",
    "/usr/share/containers/containers.conf",
)
"""Read as they are. Their names are the keys of the records."""

PATTERNS = (
    "/etc/crio/crio.conf.d/*",
    "/etc/modprobe.d/*.conf",
    "/lib/modprobe.d/*.conf",
    "/proc/sys/net/ipv4/conf/*/route_localnet",
    "/proc/sys/net/ipv6/conf/*/accept_ra",
    "/proc/sys/net/ipv6/conf/*/forwarding",
    "/run/modprobe.d/*.conf",
    "/sys/class/net/*/bridge/bridge_id",
)
"""Every file that matches, up to MATCHES of each."""

FOLDERS = (
    "/etc/cdi",
    "/etc/containers/oci/hooks.d",
    "/lib/modules",
    "/run/cdi",
    "/run",
    "/run/dbus",
    "/run/incus",
    "/run/libvirt",
    "/run/nri",
    "/run/systemd",
    "/sys/class/iommu",
    "/sys/kernel/security/apparmor/features",
    "/sys/kernel/security/apparmor/features/network",
    "/sys/kernel/security/apparmor/features/network_v8",
    "/sys/kernel/security/apparmor/features/network_v9",
    "/sys/module",
    "/usr/share/containers/oci/hooks.d",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/incus",
    "/var/lib/lxd",
    "/var/snap/lxd/common/lxd",
)
"""Folders of which only the names inside matter; their key ends with ``/``, their text is one name a line."""

SOCKETS = (
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/docker.sock",
    "/run/incus/unix.socket",
    "/run/libvirt/libvirt-sock",
    "/run/podman/podman.sock",
    "/run/snapd.socket",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
)
"""Control sockets, of which owner, group and mode matter."""

DAEMONS = frozenset(
    {
        "buildkitd",
        "conmon",
        "containerd",
        "crio",
        "dockerd",
        "k3s",
        "k3s-server",
        "kubelet",
        "podman",
        "rke2",
        "systemd",
    }
)
MATCHES = 2000


def records(root: str = "/") -> Records:
    """Read everything that the words of the host and of the engine may need.

    Args:
        root: Where the host's file tree is: ``/``, or a mounted or recorded one.

    Returns:
        Texts by absolute path as the host spells it. Folders (key ends with ``/``) give the names inside, one a line.
        ``uname:machine`` is the machine name, ``process:NAME`` one running daemon a paragraph (first line pid and
        effective uid, then one argument a line), ``permissions:PATH`` user, group and octal mode of a socket, ``rpm:``
        the answer of rpm. What could not be read is an Error.
    """
    base = root.rstrip("/")
    found: Records = {}
    for path in FILES:
        found[path] = read_text(base + path, LIMIT)
    for pattern in PATTERNS:
        for path in sorted(glob.iglob(glob.escape(base) + pattern))[:MATCHES]:
            found[path[len(base) :]] = read_text(path, LIMIT)
    for path in FOLDERS:
        found[f"{path}/"] = _names(base + path)
    if not base:
        found["uname:machine"] = os.uname().machine
    found.update(_kernel_files(base, found))
    found.update(_daemons(base))
    found.update({f"permissions:{path}": _permissions(base + path) for path in SOCKETS})
    found.update(package_records(base))
    return found


def _permissions(path: str) -> str | Error:
    try:
        found = os.stat(path)
    except OSError as error:
        return failure(error, path)
    return f"{found.st_uid}:{found.st_gid}:{found.st_mode & 0o7777:o}"


def _names(path: str) -> str | Error:
    try:
        return "".join(f"{name}\n" for name in sorted(os.listdir(path))[: 4 * MATCHES])
    except OSError as error:
        return failure(error, path)


def _kernel_files(base: str, found: Records) -> Records:
    """Read what lies in folders named after the running kernel's release: its options and its modules."""
    release = found["/proc/sys/kernel/osrelease"]
    texts: Records = {"/proc/config.gz": _unpacked(f"{base}/proc/config.gz")}
    if not isinstance(release, str) or "/" in release:
        return texts
    name = release.strip()
    if not isinstance(texts["/proc/config.gz"], str):
        for path in (f"/boot/config-{name}", f"/lib/modules/{name}/config"):
            texts[path] = read_text(base + path, LIMIT)
    for file in ("modules.builtin", "modules.dep"):
        path = f"/lib/modules/{name}/{file}"
        texts[path] = read_text(base + path, LIMIT)
    return texts


def _unpacked(path: str) -> str | Error:
    """Read a gzip file; what it unpacks to is bounded as well."""
    data = read_bytes(path, LIMIT)
    if isinstance(data, Error):
        return data
    try:
        stream = zlib.decompressobj(wbits=31)
        text = stream.decompress(data, LIMIT)
    except zlib.error as error:
        return NotUnderstood(f"Is no gzip file: {error}", path)
    if not stream.eof:
        return NotUnderstood("Is cut short, or unpacks to more than is read", path)
    return text.decode("utf-8", "replace")


def _daemons(base: str) -> Records:
    """Look for the daemons whose command line and user bear on the engine's facts."""
    proc = f"{base}/proc"
    try:
        numbers = [name for name in os.listdir(proc) if name.isdecimal()]
    except OSError as error:
        return {"process:": failure(error, proc)}
    found: dict[str, list[str]] = {}
    for number in sorted(numbers, key=int):
        comm = read_text(f"{proc}/{number}/comm", LIMIT)
        if isinstance(comm, str) and comm.rstrip("\n") in DAEMONS:
            arguments = read_text(f"{proc}/{number}/cmdline", LIMIT)
            status = read_text(f"{proc}/{number}/status", LIMIT)
            if isinstance(arguments, str) and isinstance(status, str):
                lines = "\n".join(arguments.rstrip("\0").split("\0"))
                found.setdefault(comm.rstrip("\n"), []).append(f"{number} {_effective_user(status)}\n{lines}\n")
    texts: Records = {f"process:{name}": "\n".join(paragraphs) for name, paragraphs in found.items()}
    if "1" in numbers:
        texts["process:"] = "".join(f"{name}\n" for name in sorted(found))
    else:  # without the first process this is no process table, or hidepid hides the others
        texts["process:"] = NotReachable("The process table is not complete", proc, "run as root to see every process")
    return texts


def _effective_user(status: str) -> str:
    for line in status.splitlines():
        if line.startswith("Uid:"):
            fields = line.split()
            return fields[2] if len(fields) > 2 else "?"
    return "?"
