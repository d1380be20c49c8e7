"""Predictions against what was done to containers in virtual machines: AppArmor, cgroup versions, kernels, remapping.

``tests/data/virtual_machines`` holds, for each machine, its host as ``facts --host`` recorded it and each container as
``docker inspect`` told it, with the techniques whose attempt inside succeeded (``seen``) and those whose every attempt
was refused (``refused``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.app import scan
from holdfast.app.settings import Settings
from holdfast.model.report import Assessment, Verdict
from holdfast.model.truth import NO, YES, Truth

DATA = Path(__file__).parent / "data" / "virtual_machines"
MACHINES: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(DATA.glob("*.json"))
}
CASES = [(machine, name) for machine, found in MACHINES.items() for name in found["containers"]]
# the whole host is mounted inside: what was looked for at one place lies at another
ELSEWHERE = {"root-bind", "root-bind-1000", "root-bind-ro", "dev-bind", "sock-run"}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Assessment]]:
    """Scan the containers of every machine, as its engine told of them, against its host."""
    judged: dict[str, dict[str, Assessment]] = {}
    for machine, found in MACHINES.items():
        folder = tmp_path_factory.mktemp(machine)
        (folder / "host.json").write_text(json.dumps(found["host"]), encoding="utf-8")
        told = [container["inspect"] for container in found["containers"].values()]
        (folder / "inspect.json").write_text(json.dumps(told), encoding="utf-8")
        report = scan.scan((str(folder / "inspect.json"),), Settings(quiet=True, host=str(folder / "host.json")))
        assert not report.not_understood
        judged[machine] = {one.workload.name: one for one in report.assessments}
    return judged


def predicted(assessment: Assessment) -> dict[str, Truth]:
    """Return what each technique was predicted to do where it is tried first, before any other."""
    steps = {path.steps[-1].technique.id for path in assessment.paths if len(path.steps) > 1}
    return {one.technique.id: one.verdict for one in assessment.findings if one.technique.id not in steps}


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_what_was_done_was_predicted(machines: Any, machine: str, name: str) -> None:
    found = {one.technique.id: one.verdict for one in machines[machine][name].findings}
    done = MACHINES[machine]["containers"][name]["seen"]
    assert {technique for technique in done if found.get(technique, NO) is NO} == set()


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_what_was_refused_was_not_predicted(machines: Any, machine: str, name: str) -> None:
    found = predicted(machines[machine][name])
    refused = set() if name in ELSEWHERE else set(MACHINES[machine]["containers"][name]["refused"])
    assert {technique for technique in refused if found.get(technique) is YES} == set()


@pytest.mark.parametrize("machine", MACHINES)
def test_the_ordinary_container_is_contained(machines: Any, machine: str) -> None:
    assert machines[machine]["default"].verdict is Verdict.CONTAINED
