"""Containers with known holes, and containers without, for a first drill. Data only."""

from __future__ import annotations

from holdfast.model.replica import Bind, Neighbour, Node, Replica

LAB: dict[str, Replica] = {
    "plain": Replica(),
    "hardened": Replica(
        user="65534:65534",
        capabilities_dropped=frozenset({"ALL"}),
        no_new_privileges=True,
        read_only=True,
    ),
    "engine-socket": Replica(binds=(Bind("/var/run/docker.sock", "/var/run/docker.sock"),)),
    "engine-socket-nobody": Replica(user="65534", binds=(Bind("/var/run/docker.sock", "/var/run/docker.sock"),)),
    "engine-socket-guarded": Replica(guarded=True, binds=(Bind("/var/run/docker.sock", "/var/run/docker.sock"),)),
    "host-root": Replica(binds=(Bind("/", "/host"),)),
    "host-root-read-only": Replica(binds=(Bind("/", "/host", read_only=True),)),
    "host-etc": Replica(binds=(Bind("/etc", "/host/etc"),)),
    "host-pid": Replica(
        namespaces=frozenset({"pid"}),
        capabilities_added=frozenset({"CAP_SYS_PTRACE", "CAP_SYS_ADMIN"}),
        apparmor="unconfined",
    ),
    "file-handles": Replica(capabilities_added=frozenset({"CAP_DAC_READ_SEARCH"})),
    "disk": Replica(nodes=(Node("/dev/vda", "/dev/vda"),)),
    "mount-rights": Replica(
        capabilities_added=frozenset({"CAP_SYS_ADMIN"}), seccomp="unconfined", apparmor="unconfined"
    ),
    "host-ipc": Replica(namespaces=frozenset({"ipc"})),
    "host-network": Replica(namespaces=frozenset({"net"})),
    "cloud-network": Replica(neighbour=Neighbour.METADATA),
    "read-only-proxy": Replica(neighbour=Neighbour.READ_PROXY),
}
"""Name -> settings. The host's paths are replaced by stand-ins before anything is started."""

CONTROLS: dict[str, Replica] = {
    "default container": LAB["plain"],
    "restricted container": LAB["hardened"],
}
"""Attacked in every run: nothing may be reached from them."""
