"""How much of what escapes the sensor can deny: one container that is open in every way, in the virtual machine."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

FLAVOURS = ("plain", "new-kernel-plain")
"""Linux 6.1 and 6.12, with BPF among the security modules."""
OPEN = """\
services:
  open:
    image: app
    privileged: true
    pid: host
    ipc: host
    cgroup: host
    network_mode: host
    volumes:
      - /:/host
      - /var/run/docker.sock:/var/run/docker.sock
      - /run/containerd/containerd.sock:/run/containerd/containerd.sock
"""


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
        target.write_text(OPEN, encoding="ascii")
        line = [holdfast, "drill", "--vm", flavour, option, "--no-explain", "--quiet", "--output", str(report)]
        subprocess.run([*line, str(target)], check=True)
        (exercise,) = json.loads(report.read_text(encoding="utf-8"))["exercises"]
    out = [one for one in exercise["attempts"] if one["outcome"] == "escaped"]
    tried = [one for one in exercise["attempts"] if one["outcome"] != "not_attempted"]
    return {one["technique"] for one in out}, {one["technique"] for one in out if one["detected"] == "no"}, len(tried)
