"""Goals: where an escape path ends."""

from __future__ import annotations

from holdfast.model.facts import Fact

HOST_ROOT: Fact[bool] = Fact("reach.host_root", bool, "Code runs as root in the host's own namespaces.")
HOST_FILE_WRITE: Fact[bool] = Fact(
    "reach.host_file_write", bool, "Files of the host that decide what runs can be written."
)
HOST_FILE_READ: Fact[bool] = Fact(
    "reach.host_file_read", bool, "Files of the host that were not given to the container can be read."
)
HOST_PROCESS: Fact[bool] = Fact("reach.host_process", bool, "A process of the host can be read, changed or ended.")
ENGINE_API: Fact[bool] = Fact("reach.engine_api", bool, "The engine's API takes commands.")
OTHER_CONTAINER: Fact[bool] = Fact(
    "reach.other_container", bool, "Code runs in, or data is read from, another container."
)
NODE_CREDENTIALS: Fact[bool] = Fact(
    "reach.node_credentials", bool, "Credentials of the node or of the cluster are at hand."
)
ENGINE_USER: Fact[bool] = Fact(
    "reach.engine_user", bool, "Code runs on the host as the ordinary user who runs a rootless engine."
)

GOALS: tuple[Fact[bool], ...] = (
    HOST_ROOT, ENGINE_API, HOST_FILE_WRITE, HOST_PROCESS, ENGINE_USER, NODE_CREDENTIALS, HOST_FILE_READ, OTHER_CONTAINER,
)  # fmt: skip
"""Worst first."""
