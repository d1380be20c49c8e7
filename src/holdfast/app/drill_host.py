"""What this machine does to every container, as far as a drill must know: security module, user namespace, runtimes."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from pathlib import Path

_ANSWER_S = 20


def confines() -> bool:
    """Tell whether a security module that engines use is in force here."""
    try:
        if Path("/sys/module/apparmor/parameters/enabled").read_text(encoding="ascii").strip() == "Y":
            return True
    except OSError:
        pass
    return Path("/sys/fs/selinux/enforce").exists()


def remaps_users() -> bool:
    """Tell whether Docker puts every container into a user namespace."""
    options = _docker("{{json .SecurityOptions}}")
    return isinstance(options, list) and any("name=userns" in str(option) for option in options)


@functools.cache
def engine_runtimes(engine: str) -> frozenset[str]:
    """Return the OCI runtimes that an engine can be asked for by name."""
    if engine == "docker":
        known = _docker("{{json .Runtimes}}")
        return frozenset(map(str, known)) if isinstance(known, dict) else frozenset()
    # Podman finds a runtime by its program.
    return frozenset(name for name in ("runc", "crun", "runsc") if shutil.which(name))


def image_of(container: str) -> str:
    """Return the id of the image that a Docker container was made from; its name may mean another by now."""
    found = _docker("{{json .Image}}", "container", "inspect", container)
    return found if isinstance(found, str) else ""


def engine_labels(container: str) -> dict[str, str]:
    """Return the labels that an engine knows a container by; none where no engine knows it."""
    for engine in ("docker", "podman"):
        found = _docker("{{json .Config.Labels}}", "container", "inspect", container, engine=engine)
        if isinstance(found, dict):
            return {str(name): str(value) for name, value in found.items()}
    return {}


def has_image(name: str) -> bool:
    """Tell whether Docker has an image already; nothing is fetched."""
    return not name.startswith("-") and isinstance(_docker("{{json .Id}}", "image", "inspect", name), str)


def _docker(template: str, *words: str, engine: str = "docker") -> object:
    if shutil.which(engine) is None:
        return None
    asked = words or ("info",)
    try:
        told = subprocess.run(  # noqa: S603 - an engine by its plain name
            [engine, *asked, "--format", template],
            capture_output=True,
            timeout=_ANSWER_S,
            check=False,
        )
        return json.loads(told.stdout) if told.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
