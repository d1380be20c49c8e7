"""Every technique of the catalogue, in every situation it knows, rendered in every format."""

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.report import Assessment, Bearing, EscapePath, Finding, Report, Verdict
from holdfast.model.truth import NO, YES
from holdfast.model.workload import Workload
from holdfast.reports import holdfast_json, html, terminal
from holdfast.techniques import load
from test_reports_html import Page
from test_reports_sarif import rendered

SCHEMA = json.loads((Path(__file__).parent.parent / "schema" / "report-1.json").read_text())


@cache
def everything() -> Report:
    assessments = []
    for technique in load().values():
        for number, example in enumerate(technique.examples):
            if example.verdict is NO:
                continue
            where = Where(f"{technique.id}.yaml", f"/{number}", number + 1)
            facts = Facts({fact: Seen(value, where.below(fact.name)) for fact, value in example.facts.items()})
            proof = prove(technique.exposed_when, facts)
            goals = [gain.fact for gain in technique.gives if gain.fact.subject == "reach"]
            finding = Finding(technique, proof.truth, proof, Bearing.PATH if goals else Bearing.SURFACE)
            paths = tuple(EscapePath((finding,), goal, proof.truth) for goal in goals)
            verdict = Verdict.CONTAINED
            if goals:
                verdict = Verdict.ESCAPABLE if proof.truth is YES else Verdict.UNKNOWN
            workload = Workload(f"{technique.id}-{number}", "Pod", where)
            assessments.append(Assessment(workload, verdict, paths, (finding,)))
    assert assessments
    return Report(tuple(assessments))


def test_json_holds_to_its_schema():
    Draft202012Validator(SCHEMA).validate(json.loads(holdfast_json.render(everything())))


def test_sarif_holds_to_its_schema():
    run = rendered(everything())
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(load())


@pytest.mark.parametrize("verbose", [False, True])
def test_the_terminal_names_every_technique(verbose):
    out = terminal.render(everything(), colour=False, width=100, verbose=verbose).decode()
    for name in load():
        assert name in out


def test_html_explains_every_technique():
    page = Page(html.render(everything()).decode())
    ids = {attrs.get("id") for _, attrs in page.elements}
    assert {f"t-{name}" for name in load()} <= ids
