"""The host that workloads are judged against: this one, one recorded elsewhere, or none."""

from __future__ import annotations

import os

from holdfast.collect import docker_socket
from holdfast.collect import host as collect_host
from holdfast.collect.reading import read_bytes
from holdfast.model.errors import Error, Usage
from holdfast.model.facts import Facts
from holdfast.platforms import host_record, linux_host

_LIMIT = 16 << 20


def this_host(about_engine: dict[str, str | Error] | None = None) -> Facts:
    """Read this machine.

    Args:
        about_engine: What the engine's API says about itself, by ``docker:/version`` and ``docker:/info``.

    Returns:
        Facts of host and engine. What could not be read is absent with the reason.
    """
    return linux_host.read_host({**collect_host.records(), **(about_engine or {})})


def engine_records(docker: str = "") -> dict[str, str | Error]:
    """Ask the engine about itself; where none answers, that is what the records say."""
    try:
        return docker_socket.engine_documents(docker or docker_socket.DEFAULT)
    except Error as error:
        return {"docker:/version": error, "docker:/info": error}


def chosen_host(setting: str, docker: str = "") -> tuple[Facts, str]:
    """Return the host a person chose with ``--host``, and its name.

    Raises:
        Usage: The recorded host cannot be read.
    """
    if not setting:
        return Facts(), ""
    if setting == "this" and not os.path.isfile("this"):  # noqa: PTH113
        return this_host(engine_records(docker)), "this machine"
    data = read_bytes(setting, _LIMIT)
    if isinstance(data, Error):
        raise Usage(data.what, setting, "--host takes this, or a file made by: holdfast facts --host --output FILE")
    return host_record.read_record(data, setting), setting
