"""How much of what escapes the sensor can deny: one container that is open in every way, in the virtual machine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

FLAVOURS = ("plain", "new-kernel-plain")
"""Linux 6.1 and 6.12, with BPF among the security modules."""
SOCKETS = (
    "/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket",
    "/run/podman/podman.sock", "/run/crio/crio.sock", "/run/buildkit/buildkitd.sock", "/run/nri/nri.sock",
    "/run/snapd.socket", "/run/libvirt/libvirt-sock",
)  # fmt: skip
FOLDERS = (
    "/opt/nri/plugins", "/etc", "/usr", "/root", "/home", "/boot", "/opt", "/var/log", "/var/spool/cron",
    "/var/lib/kubelet", "/var/lib/docker", "/var/lib/kubelet/device-plugins", "/var/lib/kubelet/pods",
    "/etc/kubernetes/manifests", "/etc/cni/net.d", "/etc/cdi", "/etc/systemd/system",
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", "/proc", "/sys", "/dev",
)  # fmt: skip


def open_container() -> str:
    """Return a Compose file with one service that nothing holds back."""
    mounts = ["/:/host", *(f"{one}:{one}" for one in SOCKETS), *(f"{one}:/h{one}" for one in FOLDERS)]
    shared = {"type": "bind", "source": "/srv/shared", "target": "/shared", "bind": {"propagation": "shared"}}
    service = {"image": "app", "privileged": True, "pid": "host", "ipc": "host", "cgroup": "host",
               "network_mode": "host", "volumes": [*mounts, shared]}  # fmt: skip
    return json.dumps({"services": {"open": service}})  # JSON is YAML


def escaped(holdfast: str, flavour: str, option: str) -> tuple[set[str], set[str], int]:
    """Drill the open container.

    Args:
        holdfast: The program.
        flavour: Of the virtual machine.
        option: ``--watch`` or ``--deny``.

    Returns:
        Techniques that escaped, those of them that the sensor did not see, and how many were attempted.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        target, report = Path(folder) / "compose.yaml", Path(folder) / "report.json"
        target.write_text(open_container(), encoding="ascii")
        line = [holdfast, "drill", "--vm", flavour, option, "--no-explain", "--quiet", "--output", str(report)]
        subprocess.run([*line, str(target)], check=True)
        (exercise,) = json.loads(report.read_text(encoding="utf-8"))["exercises"]
    out = [one for one in exercise["attempts"] if one["outcome"] == "escaped"]
    tried = [one for one in exercise["attempts"] if one["outcome"] != "not_attempted"]
    return {one["technique"] for one in out}, {one["technique"] for one in out if one["detected"] == "no"}, len(tried)
