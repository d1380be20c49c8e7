"""Compose files of drawn containers, for the tests of fix sets and for ``bench/harden.py``."""

from __future__ import annotations

import json

from holdfast.drill.configurations import Offer, draw
from holdfast.model.replica import Replica
from holdfast.reason.effective.capabilities import EVERY

OFFER = Offer("docker", ("runc", "crun", "runsc"), EVERY, privileged=True, bridge=True)


def drawn(seed: int, count: int) -> list[tuple[str, str]]:
    """Return (name, Compose file) pairs."""
    return [(name, compose(replica)) for name, replica in draw(OFFER, seed, count)]


def compose(replica: Replica) -> str:
    """Write a replica as a Compose file with one service; what Compose has no word for is left out."""
    lists: dict[str, list[str]] = {
        "cap_add": sorted(replica.capabilities_added),
        "cap_drop": sorted(replica.capabilities_dropped),
        "group_add": list(replica.groups),
        "devices": [f"{node.source}:{node.target}:{node.permissions}" for node in replica.nodes],
        "device_cgroup_rules": list(replica.device_rules),
        "security_opt": _security(replica),
        "volumes": [
            f"{bind.source}:{bind.target}" + (":" + ",".join(words) if (words := _options(bind)) else "")
            for bind in replica.binds
            if bind.source
        ],
    }
    plain: dict[str, str] = {
        "image": "registry.example/app:1",
        "user": json.dumps(replica.user) if replica.user else "",
        "runtime": replica.runtime,
        "privileged": "true" if replica.privileged else "",
        "read_only": "true" if replica.read_only else "",
        "pid": "host" if "pid" in replica.namespaces else "",
        "ipc": "host" if "ipc" in replica.namespaces else "",
        "cgroup": "host" if "cgroup" in replica.namespaces else "",
        "network_mode": "host" if "net" in replica.namespaces else "",
    }
    lines = ["services:", "  app:  # the only one"]
    lines += [f"    {key}: {value}" for key, value in plain.items() if value]
    for key, values in lists.items():
        if values:
            lines += [f"    {key}:", *(f"      - {json.dumps(value)}" for value in values)]
    return "\n".join(lines) + "\n"


def _options(bind: object) -> list[str]:
    words = ["ro"] if getattr(bind, "read_only", False) else []
    return [*words, getattr(bind, "propagation", "")] if getattr(bind, "propagation", "") else words


def _security(replica: Replica) -> list[str]:
    words = ["no-new-privileges:true"] if replica.no_new_privileges else []
    words += ["seccomp:unconfined"] if replica.seccomp == "unconfined" else []
    words += ["apparmor:unconfined"] if replica.apparmor == "unconfined" else []
    words += ["systempaths=unconfined"] if replica.unmasked else []
    return [*words, *(f"label:{option}" for option in replica.selinux)]
