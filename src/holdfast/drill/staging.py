"""Put stand-ins in the place of the host's own directories, sockets and disks, before a replica is started."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from holdfast.drill.ground import Ground
from holdfast.drill.guarded_engine import SOCKET
from holdfast.drill.mount_options import options_at
from holdfast.drill.real_paths import ENGINE_SOCKETS, in_kernel_tree
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.values import normal_path

_HOST_ROOT = re.compile(r"/proc/(1|self|thread-self)/root(?=/|$)")
"""Another name of the host's root, which does have a stand-in. Other doors in /proc the fence refuses."""


def staged(replica: Replica, ground: Ground) -> tuple[Replica, tuple[str, ...]]:
    """Return the replica with stand-ins, and what that changes, one line each.

    In a disposable virtual machine the host's own paths stay; only disks are replaced, so that their secret is known.
    """
    differs: list[str] = []
    binds = tuple(_bind(bind, ground, guarded=replica.guarded) for bind in replica.binds)
    nodes = tuple(_node(node, ground, differs) for node in replica.nodes)
    return replace(replica, binds=binds, nodes=nodes), tuple(dict.fromkeys(differs))


def _bind(bind: Bind, ground: Ground, *, guarded: bool) -> Bind:
    if not bind.source:
        return bind
    path = normal_path(bind.source)
    while door := _HOST_ROOT.match(path):
        path = normal_path(path[door.end() :] or "/")
    bind = replace(bind, source=path)
    if guarded and path == SOCKET:
        return replace(bind, stand_in=str(ground.guarded().socket))
    if ground.real:
        missing = ground.missing(path)
        return bind if missing is None else replace(bind, stand_in=str(missing))
    if in_kernel_tree(path) or (path in ENGINE_SOCKETS and Path(path).is_socket()):
        return bind
    shared = bind.propagation in {"shared", "rshared"}
    stand_in = ground.stand_in(path, shared=shared)
    if not shared:
        # Docker asks for a slave mount where / is mounted; nothing is ever mounted in a stand-in that could come in.
        bind = replace(bind, propagation="")
    return replace(bind, stand_in=str(stand_in), read_only=bind.read_only or "ro" in options_at(path))


def _node(node: Node, ground: Ground, differs: list[str]) -> Node:
    path = Path(node.source)
    if node.number.startswith("c "):
        return node
    if node.number:
        return replace(node, stand_in=str(ground.disk().device), number="")
    if not path.exists():
        differs.append(f"the device {node.source}: this host has none; the drill's disk takes its place")
    elif not path.is_block_device():
        return node
    return replace(node, stand_in=str(ground.disk().device))
