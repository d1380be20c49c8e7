"""Which files and folders of a host the techniques write to or read, so that a stand-in has them, and of what kind."""

from __future__ import annotations

import functools
from pathlib import Path

from holdfast import techniques
from holdfast.model.logic import atoms

_FACTS = "container.host_paths"
PSEUDO = ("/proc", "/sys")
"""The kernel's own views; an empty folder in their place would prove nothing, so they have no stand-in."""
FURTHER = ("/etc/systemd/system/*", "/root/.config/*", "/var/lib/kubelet/*", "/var/spool/cron/crontabs/*")
"""Besides what the conditions of the catalogue name."""
FILES = {
    "/etc/containerd/config.toml": 0o644,
    "/etc/containers/containers.conf": 0o644,
    "/etc/crontab": 0o644,
    "/etc/docker/daemon.json": 0o644,
    "/etc/kubernetes/admin.conf": 0o600,
    "/etc/ld.so.preload": 0o644,
    "/etc/passwd": 0o644,
    "/etc/rc.local": 0o755,
    "/etc/shadow": 0o640,
    "/etc/ssh/ssh_host_ed25519_key": 0o600,
    "/etc/ssh/sshd_config": 0o644,
    "/etc/sudoers": 0o440,
    "/home/*/.bashrc": 0o644,
    "/home/*/.profile": 0o644,
    "/home/*/.ssh/authorized_keys": 0o600,
    "/root/.bashrc": 0o644,
    "/root/.profile": 0o644,
    "/root/.ssh/authorized_keys": 0o600,
}
"""Files with the mode they have where the host has none. Any other path is a folder, unless the host knows better."""
CLOSED = frozenset(
    {".docker", ".kube", ".ssh", "containerd", "etcd", "overlay2", "pki", "private", "root", "sudoers.d"}
)
"""Names of folders that only their owner enters; mode 0700 where the host has none."""
_SOCKET_ENDINGS = (".sock", ".socket", "-sock", "/bus", "/private", "system_bus_socket")
_MOST = 8
"""Most names that one ``*`` stands for."""
NOBODYS_NAME = "holdfast"
"""What a ``*`` stands for where the host has nothing there."""


def is_socket(path: str) -> bool:
    """Tell whether a path that the host does not have is known as a socket."""
    return path.endswith(_SOCKET_ENDINGS) and path != "/etc/ssl/private"


@functools.cache
def well_known() -> tuple[str, ...]:
    """Return what the conditions of the catalogue name below a host's root; sockets and the kernel's views are not."""
    found = {
        path
        for technique in techniques.load().values()
        for atom in atoms(technique.exposed_when)
        if atom.fact.name.startswith(_FACTS)
        for path in (atom.value if isinstance(atom.value, tuple | frozenset) else (atom.value,))
        if isinstance(path, str) and path.startswith("/")
    }
    return tuple(
        sorted(
            path
            for path in {*found, *FURTHER, *FILES}
            if path not in {"/", "/*"} and not is_socket(path) and not path.startswith((*PSEUDO, "/dev/"))
        )
    )


def expanded(pattern: str) -> tuple[str, ...]:
    """Return the paths that a pattern names on this host, without the star at its end.

    A star between two names stands for the folders that the host has there, or for one that it has not.
    """
    paths = [""]
    for part in pattern.removesuffix("/*").split("/")[1:]:
        if part != "*":
            paths = [f"{path}/{part}" for path in paths]
            continue
        paths = [f"{path}/{name}" for path in paths for name in _folders(path)]
    return tuple(paths)


def _folders(path: str) -> list[str]:
    try:
        names = sorted(entry.name for entry in Path(path).iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        names = []
    return names[:_MOST] or [NOBODYS_NAME]
