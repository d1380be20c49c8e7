"""The program as a person starts it: a process of its own, in a folder of its own. And documents for it to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from jsonschema import Draft202012Validator

import holdfast as holdfast_package

SOCKET_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: open}
spec:
  containers:
  - name: app
    image: registry.example/app:1
    volumeMounts:
    - {name: sock, mountPath: /var/run/docker.sock}
  volumes:
  - name: sock
    hostPath: {path: /var/run/docker.sock}
"""
"""Escapable: root, and the engine's socket."""

RESTRICTED_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: shut}
spec:
  automountServiceAccountToken: false
  containers:
  - name: app
    image: registry.example/app:1
    securityContext:
      runAsNonRoot: true
      runAsUser: 1000
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
"""
"""Contained, as far as a manifest shows."""

MODULE_POD = """\
apiVersion: v1
kind: Pod
metadata: {name: modules}
spec:
  containers:
  - name: app
    image: registry.example/app:1
    securityContext:
      capabilities: {add: [SYS_MODULE]}
"""
"""Unknown: whether the host loads modules is not seen."""

COMPOSE = """\
name: shop
services:
  web:
    image: registry.example/web:1
    user: "1000"
"""
COMPOSE_OVER = """\
services:
  web:
    user: "0"
    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
"""

_COMPILED = TemporaryDirectory(prefix="holdfast-tests-")
"""Where the program's modules are kept compiled while the tests run; without it every run would compile all anew."""


@cache
def _validator() -> Draft202012Validator:
    schema = Path(__file__).parents[1] / "schema" / "report-1.json"
    return Draft202012Validator(json.loads(schema.read_text()))


class Ended:
    """What a run of the program left behind."""

    def __init__(self, answer: subprocess.CompletedProcess[bytes]) -> None:
        self.code = answer.returncode
        self.raw = answer.stdout
        self.out = answer.stdout.decode()
        self.err = answer.stderr.decode()

    @property
    def report(self):
        """The JSON report; every one that a test reads must have the shape that the schema promises."""
        report = json.loads(self.out)
        _validator().validate(report)
        return report

    @property
    def verdicts(self) -> dict[str, str]:
        return {each["workload"]["name"]: each["verdict"] for each in self.report["assessments"]}


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of the person who runs the tests; ``before`` comes first in the path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "DOCKER_", "COMPOSE_"))}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "PYTHONDONTWRITEBYTECODE"):
        kept.pop(name, None)
    # The program under test is the one that this process tests, wherever it was started.
    path = os.pathsep.join(filter(None, [more.pop("before", ""), str(Path(holdfast_package.__path__[0]).parent)]))
    return {**kept, "PYTHONPYCACHEPREFIX": _COMPILED.name, "PYTHONPATH": path, **more}


def holdfast(*words: str, folder: Path, stdin: bytes = b"", **env: str) -> Ended:
    """Run the program to its end."""
    return Ended(
        subprocess.run(
            [sys.executable, "-m", "holdfast", *words],
            cwd=folder,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
            env=environment(**env),
        )
    )


def scanned(*words: str, folder: Path, stdin: bytes = b"", **env: str) -> Ended:
    """Scan to JSON."""
    return holdfast("scan", *words, "--format", "json", folder=folder, stdin=stdin, **env)
