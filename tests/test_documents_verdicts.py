"""Documents of every dialect against the verdicts that a person gave them beforehand.

``tests/data/documents`` holds them: files by name, and for each workload ``VERDICT [or VERDICT] [by TECHNIQUE ...]``,
judged alone and, where it makes a difference, on a recorded Ubuntu host with Docker and AppArmor.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.app import scan
from holdfast.app.settings import Settings
from holdfast.model.errors import Error, NotPermitted, NotReachable
from holdfast.model.report import Report
from holdfast.platforms.linux_host import read_host
from holdfast.reports.facts_record import render

DATA = Path(__file__).parent / "data"
CASES: list[dict[str, Any]] = [
    case
    for file in sorted((DATA / "documents").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="session")
def ubuntu(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the file of a recorded host."""
    raw = json.loads((DATA / "host" / "ubuntu-24.04-docker.json").read_text(encoding="utf-8"))
    records: dict[str, str | Error] = {}
    for name, entry in raw.items():
        absent = NotPermitted("refused", name) if "refused" in entry else NotReachable("not there", name)
        records[name] = entry if isinstance(entry, str) else absent
    file = tmp_path_factory.mktemp("host") / "ubuntu.json"
    file.write_bytes(render(read_host(records), "ubuntu"))
    return str(file)


def judged(case: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch, host: str = "") -> Report:
    """Write the files of a case and scan them as a person would."""
    for name, text in case["files"].items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    for name in case.get("executable", ()):
        (folder / name).chmod(0o755)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", "/home/kim")
    merged = tuple(case.get("merged", ()))
    targets = tuple(case.get("targets", () if merged else (".",)))
    return scan.scan(targets, Settings(quiet=True, host=host), merged)


def compare(report: Report, labels: dict[str, str]) -> None:
    """Hold a report against the labels."""
    found = {assessment.workload.name: assessment for assessment in report.assessments}
    assert set(found) == set(labels)
    for name, label in labels.items():
        verdicts, *techniques = label.split(" by ")
        assessment = found[name]
        told = {step.technique.id: path.verdict.name for path in assessment.paths for step in path.steps}
        assert assessment.verdict.value in verdicts.split(" or "), (name, told)
        assert set(techniques) <= set(told), (name, told)


def test_names_are_unique_and_every_verdict_occurs() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) > 300
    labels = " ".join(label for case in CASES for label in case["alone"].values())
    assert all(labels.count(verdict) > 20 for verdict in ("escapable", "unknown", "contained"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_alone(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = judged(case, tmp_path, monkeypatch)
    compare(report, case["alone"])
    assert bool(report.not_understood) is case.get("not_understood", False), report.not_understood


@pytest.mark.parametrize("case", [case for case in CASES if "on_ubuntu" in case], ids=lambda case: case["name"])
def test_on_a_recorded_host(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ubuntu: str) -> None:
    compare(judged(case, tmp_path, monkeypatch, ubuntu), case["on_ubuntu"])
