"""The kinds of host that the virtual machine can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.drill.machine.recipe import USER


@dataclass(frozen=True, slots=True)
class Flavour:
    """One kind of host.

    Attributes:
        name: What a person writes after ``--vm``.
        says: One sentence for people.
        kernel: Series, one of ``recipe.KERNELS``.
        security_modules: Value of the kernel's ``lsm=``, in order.
        cgroup: Which control groups are mounted; hybrid is v1 with an empty v2 beside it.
        init: The first process: one of the machine's own that does the job and nothing else, or systemd.
        engine: What makes the containers.
        userns_remap: Docker maps root of the containers to an ordinary number.
        rootless: The engine, and the command, run as an ordinary user.
        arguments: Further words of the kernel's command line.
    """

    name: str
    says: str
    kernel: Literal["6.1", "6.12"] = "6.1"
    security_modules: tuple[str, ...] = ("landlock", "lockdown", "yama", "bpf")
    cgroup: Literal["v1", "v2", "hybrid"] = "v2"
    init: Literal["own", "systemd"] = "own"
    engine: Literal["docker", "podman"] = "docker"
    userns_remap: bool = False
    rootless: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """Who runs the engine's client and the command."""
        return USER if self.rootless else "root"


_APPARMOR = ("landlock", "lockdown", "yama", "apparmor", "bpf")

FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("apparmor", "Docker on Linux 6.1 with AppArmor, as Debian 12 comes.", security_modules=_APPARMOR),
        Flavour("plain", "Docker on Linux 6.1 without AppArmor."),
        Flavour("cgroup1", "Docker on Linux 6.1 with cgroup v1 and without AppArmor.", cgroup="v1"),
        Flavour("cgroup-hybrid", "Docker on Linux 6.1 with cgroup v1 beside v2, without AppArmor.", cgroup="hybrid"),
        Flavour("new-kernel", "Docker on Linux 6.12 with AppArmor.", kernel="6.12", security_modules=_APPARMOR),
        Flavour("new-kernel-plain", "Docker on Linux 6.12 without AppArmor.", kernel="6.12"),
        Flavour(
            "systemd",
            "Docker on Linux 6.1 with AppArmor, started by systemd, as a Debian 12 server runs.",
            security_modules=_APPARMOR,
            init="systemd",
        ),
        Flavour("userns-remap", "Docker that maps root of its containers to an ordinary user.", userns_remap=True),
        Flavour("podman", "Podman run by root, without AppArmor.", engine="podman"),
        Flavour("rootless", "Podman run by an ordinary user.", engine="podman", rootless=True),
    )
}
"""Name -> flavour. Root's engines all allow ``--privileged``."""
