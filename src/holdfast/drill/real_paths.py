"""Paths of the host that have no stand-in: a replica gets them as they are."""

KERNEL_TREES = ("/proc", "/sys")
"""What the kernel itself shows. There is no stand-in for it; what a drill does there is looking and writing back."""
ENGINE_SOCKETS = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)
"""Sockets of engines. A drill asks them for a container that has one canary folder and nothing else."""


def in_kernel_tree(path: str) -> bool:
    """Tell whether a path lies in procfs or sysfs."""
    return any(path == tree or path.startswith(f"{tree}/") for tree in KERNEL_TREES)
