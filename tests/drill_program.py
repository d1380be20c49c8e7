"""A drill as a person starts it, its report, and containers to be drilled."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from cli_program import Ended, environment

OPEN_ETC = 'services:\n  open:\n    image: example\n    user: "0:0"\n    volumes: ["/etc:/host/etc"]\n'
NEVER = "services:\n  shut: {image: example, labels: {holdfast.drill: never}}\n"


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads((Path(__file__).parents[1] / "schema" / "drill-1.json").read_text())
    return Draft202012Validator(schema)


class Drilled(Ended):
    """What a drill left behind."""

    @property
    def drill(self) -> dict[str, Any]:
        """The JSON report, which holds to its schema."""
        found: dict[str, Any] = json.loads(self.out)
        _validator().validate(found)
        return found

    def attempts(self, target: str) -> dict[str, dict[str, Any]]:
        """The attempts on a target, by technique."""
        found = next(each for each in self.drill["exercises"] if each["name"] == target)
        return {each["technique"]: each for each in found["attempts"]}


def line(*words: str, form: str = "json") -> list[str]:
    return [sys.executable, "-m", "holdfast", "drill", "--yes", "--format", form, *words]


def drilled(*words: str, folder: Path, form: str = "json", **env: str) -> Drilled:
    """Drill to the end, with the run folder below ``folder``; nothing may be there afterwards."""
    state = folder / "state"
    variables = environment(**{"HOLDFAST_STATE": str(state), **env})
    ended = Drilled(
        subprocess.run(
            line(*words, form=form), cwd=folder, capture_output=True, timeout=240, check=False, env=variables
        )
    )
    assert runs(state) == [], ended.err
    return ended


def runs(state: Path) -> list[str]:
    """Return the ids of the runs that have a folder."""
    place = state / "drill"
    return sorted(each.name for each in place.iterdir()) if place.exists() else []


def docker(*words: str, data: bytes | None = None, check: bool = True) -> str:
    ran = subprocess.run(["docker", *words], input=data, capture_output=True, timeout=120, check=False)
    assert not check or ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode().strip()


@contextmanager
def image(*changes: str, busybox: bool = True) -> Iterator[str]:
    """Make an image that holds one static program and the user ``app``, or one that holds a single file."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        if busybox:
            archive.add("/bin/busybox", "bin/busybox")
            entry = tarfile.TarInfo("etc/passwd")
            text = b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/:/bin/sh\n"
        else:
            entry = tarfile.TarInfo("README")
            text = b"nothing\n"
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    name = f"holdfast-test:{secrets.token_hex(6)}"
    words = [word for change in changes for word in ("--change", change)]
    docker("import", *words, "-", name, data=made.getvalue())
    try:
        yield name
    finally:
        docker("rmi", "--force", name, check=False)


@contextmanager
def container(base: str, *options: str, started: bool = True) -> Iterator[str]:
    """Make a container that sleeps, or one that was never started."""
    name = f"holdfast-test-{secrets.token_hex(6)}"
    command = ["/bin/busybox", "sleep", "600"]
    start = ["run", "--detach"] if started else ["create"]
    docker(*start, "--network", "none", "--name", name, *options, base, *command)
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, check=False)


def children(pid: int) -> Iterator[tuple[int, list[str]]]:
    """Yield number and command line of a process's children."""
    for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{text}/cmdline").read_bytes().split(b"\0")
        yield int(text), [os.fsdecode(word) for word in words]
