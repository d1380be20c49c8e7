import json
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Facts
from holdfast.model.logic import has, is_
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.report import Assessment, Report, Verdict
from holdfast.model.values import Members
from holdfast.model.words import container
from holdfast.model.workload import Workload
from holdfast.reports import holdfast_json
from holdfast.reports._json_proof import Proofs
from reports_made import EMPTY, database, machine, shop, web
from reports_made import cache as contained

ROOT = Path(__file__).parent.parent


@cache
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / "schema" / "report-1.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("report", [shop(), machine(), EMPTY], ids=["shop", "machine", "empty"])
def test_it_holds_to_its_schema(report):
    validator().validate(json.loads(holdfast_json.render(report)))


def test_the_schema_is_strict():
    document = json.loads(holdfast_json.render(shop()))
    for spoil in (
        lambda d: d.pop("schema_version"),
        lambda d: d["assessments"][0].update(verdict="safe"),
        lambda d: d["assessments"][2]["findings"][0]["proof"]["parts"][0].pop("place"),
        lambda d: d["assessments"][2]["findings"][0].update(more=1),
    ):
        copy = json.loads(json.dumps(document))
        spoil(copy)
        assert not validator().is_valid(copy)


def test_a_proof_names_fact_value_and_the_line_of_the_very_member():
    document = json.loads(holdfast_json.render(shop()))
    found = document["assessments"][2]["findings"][0]
    assert found["technique"] == "docker-socket"
    assert found["proof"]["join"] == "all"
    leaf = found["proof"]["parts"][0]
    assert leaf["fact"] == "container.host_paths"
    assert leaf["truth"] == "yes"
    assert leaf["through"] == ["/run/docker.sock"]
    assert leaf["place"] == {"document": "shop/compose.yaml", "pointer": "/services/web/volumes/0", "line": 14}


def test_what_nobody_saw_is_named_with_its_reason():
    document = json.loads(holdfast_json.render(shop()))
    core = document["assessments"][2]["findings"][2]
    assert core["look_at"] == ["host.coredump"]
    leaf = core["proof"]["parts"][2]
    assert leaf["truth"] == "unknown"
    assert leaf["reason"] == "no host was given"
    assert "seen" not in leaf


def test_what_hangs_on_the_host_alone_is_listed_by_id_only():
    entry = json.loads(holdfast_json.render(shop()))["assessments"][2]
    assert entry["host_only"] == ["cgroup-release-agent"]
    assert entry["assumptions"] == ["exec-race"]
    assert {found["technique"] for found in entry["findings"]}.isdisjoint({"cgroup-release-agent", "exec-race"})


def test_paths_and_summary():
    document = json.loads(holdfast_json.render(shop()))
    assert document["assessments"][2]["paths"][2] == {
        "steps": ["remount-proc-sys", "core-pattern"],
        "reaches": "host_root",
        "verdict": "unknown",
    }
    assert document["summary"] == {
        "workloads": 3,
        "escapable": 1,
        "unknown": 1,
        "contained": 1,
        "not_understood": 1,
        "baseline_left_out": 0,
        "baseline_workloads": 0,
    }
    assert document["not_understood"][0]["line"] == 7


def test_the_snapshot():
    expected = (Path(__file__).parent / "data" / "reports" / "shop.json").read_text()
    assert json.dumps(json.loads(holdfast_json.render(shop())), indent=1) + "\n" == expected


def test_equal_reports_give_equal_bytes_and_pieces_join_to_the_whole():
    pieces: list[bytes] = []
    holdfast_json.render_to(shop(), pieces.append)
    assert len(pieces) > 3
    assert b"".join(pieces) == holdfast_json.render(shop()) == holdfast_json.render(shop())


def test_a_large_set_is_answered_for_the_member_that_was_asked():
    facts = Facts().saying(container.SYSCALLS, Members.of("mount", *map(str, range(400))), Where("x"))
    leaf = json.loads(Proofs().tree(prove(has(container.SYSCALLS, "mount"), facts)))
    assert leaf["seen"] == {"asked": "mount", "has": "yes"}


def test_values_of_any_size_can_be_written():
    facts = Facts().saying(container.USER_ID, 10**6000, Where("x"))
    facts = facts.saying(container.SECCOMP, float("nan"), Where("x"))
    for fact in facts:
        leaf = json.loads(Proofs().tree(prove(has(fact, 1), facts)))
        json.loads(json.dumps(leaf, allow_nan=False))


@given(st.text(alphabet=st.characters(), max_size=30), st.text(alphabet=st.characters(), max_size=30))
def test_hostile_names_stay_data(name, note):
    report = Report(
        (Assessment(Workload(name, note, Where(name, note, 1), name), Verdict.CONTAINED),),
        (NotUnderstood(name, note, name, 1),),
        (),
        (note,),
        host=name,
    )
    out = holdfast_json.render(report)
    assert out.isascii()
    document = json.loads(out)
    validator().validate(document)
    document["notes"][0].encode("utf-8")
    if name.isascii():
        assert document["assessments"][0]["workload"]["name"] == name


def test_lone_surrogates_are_spelled_out_and_pairs_are_kept():
    for name, written in (("a\udcffb", "a\\udcffb"), ("\U0001f40b\udc80", "\U0001f40b\\udc80"), ("\U0001f40b",) * 2):
        report = replace(EMPTY, notes=(name,))
        assert json.loads(holdfast_json.render(report))["notes"] == [written]


def test_a_thousand_contained_workloads_cost_little():
    report = Report(tuple(contained(f"shop/cache-{n}", n) for n in range(1000)))
    start = time.process_time()
    out = holdfast_json.render(report)
    spent = time.process_time() - start
    assert len(out) < 500_000
    # The goal is 50 ms; the bound leaves room for a busy machine and still catches a slow way of writing.
    assert spent < 0.5


def test_the_longest_piece_is_one_assessment():
    sizes: list[int] = []
    report = Report(tuple([web(), database()] * 200))
    holdfast_json.render_to(report, lambda piece: sizes.append(len(piece)))
    assert max(sizes) < 20_000


def test_what_is_remembered_from_one_workload_does_not_leak_into_the_next():
    proofs, asked = Proofs(), is_(container.PRIVILEGED, True)
    for value, said in ((True, True), (1, 1), (False, False), (0, 0), ("0", "0")):
        facts = Facts().saying(container.PRIVILEGED, value, Where(f"{value}.yaml", "/a~1b", 3), f"note {value}")
        leaf = json.loads(proofs.tree(prove(asked, facts)))
        assert (type(leaf["seen"]), leaf["seen"]) == (type(said), said)
        assert leaf["place"] == {"document": f"{value}.yaml", "pointer": "/a~1b", "line": 3}
        assert leaf["note"] == f"note {value}"
    assert json.loads(proofs.tree(prove(asked, Facts())))["reason"] == "nobody answers this question here"
