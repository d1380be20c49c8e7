"""From a replica to the command line that starts it with Docker or Podman. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from holdfast.model.replica import Bind, Replica

LABEL = "holdfast.drill"
EXPIRES = "holdfast.expires"
VARIABLE = "HOLDFAST_SECRET"


def run_line(  # noqa: PLR0913, PLR0917 - each is one thing it depends on
    replica: Replica,
    name: str,
    run: str,
    expires: float,
    image: str,
    command: Sequence[str],
    seccomp_file: str = "",
    secret: str = "",
) -> list[str]:
    """Write the command line.

    Args:
        replica: What is started.
        name: The container's name; carries the run's id.
        run: The run's id, the value of the label ``holdfast.drill``.
        expires: Seconds since 1970, the value of the label ``holdfast.expires``.
        image: The image to start; it holds the probe.
        command: The program in it and its arguments.
        seccomp_file: File with the profile, where the replica has one of its own.
        secret: Value of ``HOLDFAST_SECRET`` in its environment; empty for none.

    Returns:
        Program and arguments. Standard input and output are the probe's.
    """
    line = [replica.engine, "run", "--interactive", "--rm", "--log-driver", "none", "--name", name]
    # Nothing of the image's own is ever started.
    line += ["--no-healthcheck"]
    line += ["--label", f"{LABEL}={run}", "--label", f"{EXPIRES}={int(expires)}"]
    line += _process(replica, seccomp_file)
    line += _namespaces(replica)
    for bind in replica.binds:
        line += _mount(bind)
    for node in replica.nodes:
        line += ["--device", f"{node.stand_in or node.source}:{node.target}:{node.permissions}"]
    for rule in replica.device_rules:
        line += ["--device-cgroup-rule", rule]
    for key, value in replica.sysctls:
        line += ["--sysctl", f"{key}={value}"]
    if replica.runtime:
        line += ["--runtime", replica.runtime]
    if replica.read_only:
        line += ["--read-only"]
    if secret:
        line += ["--env", f"{VARIABLE}={secret}"]
    return [*line, "--entrypoint", command[0], image, *command[1:]]


def _process(replica: Replica, seccomp_file: str) -> list[str]:
    line: list[str] = []
    if replica.user:
        line += ["--user", replica.user]
    for group in replica.groups:
        line += ["--group-add", group]
    for name in sorted(replica.capabilities_dropped):
        line += ["--cap-drop", name]
    for name in sorted(replica.capabilities_added):
        line += ["--cap-add", name]
    if replica.privileged:
        line += ["--privileged"]
    for option in _security(replica, seccomp_file):
        line += ["--security-opt", option]
    return line


def _security(replica: Replica, seccomp_file: str) -> Iterator[str]:
    if replica.seccomp == "unconfined":
        yield "seccomp=unconfined"
    elif replica.seccomp != "default" and seccomp_file:
        yield f"seccomp={seccomp_file}"
    if replica.apparmor != "default":
        yield f"apparmor={replica.apparmor}"
    for option in replica.selinux:
        yield f"label={option}"
    if replica.no_new_privileges:
        yield "no-new-privileges"
    if replica.unmasked and not replica.privileged:
        yield "unmask=ALL" if replica.engine == "podman" else "systempaths=unconfined"


def _namespaces(replica: Replica) -> list[str]:
    line = ["--network", "host" if "net" in replica.namespaces else replica.network]
    for space, option in (("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts")):
        if space in replica.namespaces:
            line += [option, "host"]
    if "cgroup" in replica.namespaces:
        line += ["--cgroupns", "host"]
    elif "cgroup" in replica.own_namespaces:
        line += ["--cgroupns", "private"]
    if "user" in replica.namespaces and replica.engine == "docker":
        line += ["--userns", "host"]
    elif replica.user_map and replica.engine == "podman":
        for inside, outside, length in replica.user_map:
            line += ["--uidmap", f"{inside}:{outside}:{length}", "--gidmap", f"{inside}:{outside}:{length}"]
    return line


def _mount(bind: Bind) -> list[str]:
    if not bind.source and not bind.stand_in:
        fields = ["type=tmpfs", f"target={bind.target}"]
    else:
        fields = ["type=bind", f"source={bind.stand_in or bind.source}", f"target={bind.target}"]
        if bind.propagation:
            fields.append(f"bind-propagation={bind.propagation}")
    if bind.read_only:
        fields.append("readonly")
    # The value is one line of CSV, so that a comma in a path stays a comma.
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return ["--mount", text.getvalue()]
