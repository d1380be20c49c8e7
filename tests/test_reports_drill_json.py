import json
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from drill_made import ALL, TECHNIQUES, WEB, shop
from holdfast.model.drill import Attempt, DrillReport, Exercise, Layer, Outcome, StepAnswer
from holdfast.model.errors import NotUnderstood
from holdfast.model.replica import Bind, Neighbour, Node, Replica
from holdfast.model.technique import DrillClass, ProvedBy
from holdfast.model.truth import Truth
from holdfast.reports.drill_json import read, render

ROOT = Path(__file__).parent.parent


@cache
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / "schema" / "drill-1.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("report", ALL.values(), ids=ALL)
def test_it_holds_to_its_schema_and_comes_back_whole(report):
    document = render(report)
    validator().validate(json.loads(document))
    assert read(document) == report
    assert document.isascii()
    assert document.endswith(b"\n")
    assert render(read(document)) == document


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
finite = st.floats(allow_nan=False, allow_infinity=False)


def few(part):
    return st.lists(part, max_size=2).map(tuple)


def anything(kind, **parts):
    """Fill a record: what is not given by name, by its field's type."""
    simple = {"str": text, "float": finite, "bool": st.booleans(), "tuple[str, ...]": few(text)}
    simple["tuple[str, ...] | None"] = st.none() | few(text)
    simple["frozenset[str]"] = st.frozensets(text, max_size=2)
    return st.builds(kind, **{each.name: simple.get(each.type) for each in fields(kind)} | parts)


bits = st.integers(0, 2**32)
replicas = anything(
    Replica,
    neighbour=st.sampled_from(Neighbour),
    binds=few(anything(Bind)),
    nodes=few(anything(Node)),
    sysctls=few(st.tuples(text, text)),
    user_map=few(st.tuples(bits, bits, bits)),
)
attempts = anything(
    Attempt,
    drill_class=st.sampled_from(DrillClass),
    predicted=st.none() | st.sampled_from(Truth),
    outcome=st.sampled_from(Outcome),
    proved_by=st.none() | st.sampled_from(ProvedBy),
    steps=few(anything(StepAnswer)),
    blocked_by=few(st.sampled_from(Layer)),
)
exercises = few(anything(Exercise, replica=replicas, attempts=few(attempts)))


@settings(max_examples=60, deadline=None)
@given(anything(DrillReport, exercises=exercises, controls=exercises))
def test_whatever_a_drill_found_comes_back_whole(report):
    document = render(report)
    validator().validate(json.loads(document))
    assert read(document) == report


def test_half_a_surrogate_pair_is_spelled_out_and_every_reader_can_read_it():
    report = replace(shop(), place="caf\udce9", exercises=(replace(WEB, name="\ud83d"),))
    document = render(report)
    document.decode("ascii")
    json.loads(document)["place"].encode("utf-8")
    back = read(document)
    assert (back.place, back.exercises[0].name) == ("caf\\udce9", "\\ud83d")
    assert render(back) == document


def test_the_catalogue_changes_the_summary_and_nothing_else():
    document = render(shop(), techniques=TECHNIQUES)
    validator().validate(json.loads(document))
    assert read(document) == shop()


def test_the_words_of_enums_are_stable():
    document = json.loads(render(shop()))
    attempts = {each["technique"]: each for each in document["exercises"][0]["attempts"]}
    assert attempts["docker-socket"]["proved_by"] == "heard"
    assert attempts["docker-socket"]["outcome"] == "escaped"
    assert attempts["core-pattern"]["outcome"] == "not_attempted"
    assert attempts["core-pattern"]["drill_class"] == "d2"
    assert attempts["cgroup-release-agent"]["blocked_by"] == ["seccomp", "lsm"]
    assert attempts["packet-socket"]["predicted"] == "unknown"
    assert attempts["keyring-search"]["predicted"] is None
    schema = validator().schema["$defs"]["attempt"]["properties"]["blocked_by"]["items"]["enum"]
    assert schema == [layer.name.lower() for layer in Layer]
    schema = validator().schema["$defs"]["replica"]["properties"]["neighbour"]["enum"]
    assert schema == [neighbour.name.lower() for neighbour in Neighbour]


def test_the_summary_counts_what_the_reports_for_people_say():
    assert json.loads(render(shop(), techniques=TECHNIQUES))["summary"] == {
        "verdict": "escaped",
        "targets": 3,
        "attempts": 48,
        "escaped": 1,
        "surface_only": 0,
        "worked_only": 1,
        "not_attempted": 2,
        "predicted_untried": 1,
        "predictions": {"right_yes": 2, "right_no": 103, "false_yes": 1, "missed": 1, "unknown": 1, "none": 1},
        "controls_held": True,
        "clean": True,
    }
    bare = json.loads(render(shop()))["summary"]
    assert (bare["escaped"], bare["surface_only"], bare["worked_only"]) == (2, 1, 0)
    summaries = {name: json.loads(render(report))["summary"] for name, report in ALL.items()}
    verdicts = {name: (each["verdict"], each["controls_held"], each["clean"]) for name, each in summaries.items()}
    assert verdicts == {
        "shop": ("escaped", True, True),
        "held": ("held", True, True),
        "broken": ("escaped", False, False),
        "empty": ("nothing", None, True),
        "untried": ("nothing", None, True),
    }


def test_the_schema_is_strict():
    document = json.loads(render(shop()))
    for spoil in (
        lambda d: d.pop("summary"),
        lambda d: d["exercises"][0].update(more=1),
        lambda d: d["exercises"][0]["attempts"][0].update(outcome="safe"),
        lambda d: d["exercises"][0]["replica"]["sysctls"][0].append("third"),
    ):
        copy = json.loads(json.dumps(document))
        spoil(copy)
        assert not validator().is_valid(copy)


def test_a_key_of_a_later_minor_version_is_left_alone():
    document = json.loads(render(shop()))
    document["schema_version"] = "1.9"
    document["weather"] = "fine"
    document["exercises"][0]["attempts"][0]["weather"] = "fine"
    assert read(json.dumps(document).encode()) == shop()


def spoiled(path, value):
    document = json.loads(render(shop()))
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document).encode()


ATTEMPT = ("exercises", 0, "attempts", 0)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ((*ATTEMPT, "outcome"), KeyError, "the key 'outcome' is missing"),
        ((*ATTEMPT, "outcome"), "safe", "expected one of escaped, blocked, not_attempted, found 'safe'"),
        ((*ATTEMPT, "outcome"), ["escaped"], "expected one of"),
        ((*ATTEMPT, "repeated"), 1, "expected true or false, found 1"),
        ((*ATTEMPT, "seconds"), True, "expected a number, found True"),
        ((*ATTEMPT, "seconds"), 10**400, "expected a number"),
        ((*ATTEMPT, "title"), None, "expected text, found None"),
        ((*ATTEMPT, "steps"), {}, "expected a list, found {}"),
        (("exercises", 0, "replica"), None, "expected an object, found None"),
        (("exercises", 0, "replica", "sysctls"), [["a"]], "expected a list of 2, found ['a']"),
        (("exercises", 0, "replica", "user_map"), [[0, 1.5, 2]], "expected a whole number, found 1.5"),
        (("exercises", 0, "replica", "user_map"), [[True, 0, 1]], "expected a whole number, found True"),
        (("exercises", 0, "replica", "namespaces"), [["pid"]], "expected text"),
        (("tool",), "holdfast", "expected text, found None"),
        (("schema_version",), "2.0", "these results have version '2.0', and this program reads 1"),
        (("schema_version",), 1, "these are not the results of a drill"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(path, value, told):
    with pytest.raises(NotUnderstood) as caught:
        read(spoiled(path, value), "out.json")
    assert caught.value.what.startswith(told)
    assert caught.value.where.startswith("out.json")
    if path[:2] == ATTEMPT[:2] and path[-1] == "outcome":
        assert caught.value.where.startswith("out.json: $.exercises[0].attempts[0]")


@pytest.mark.parametrize(
    "document",
    [b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"1" * 5000, b"null", b"{} {}"],
    ids=lambda document: document[:8].hex(),
)
def test_what_is_no_result_is_refused(document):
    with pytest.raises(NotUnderstood):
        read(document)


def test_a_number_without_end_is_refused():
    for number in (b"1e999", b"Infinity", b"-Infinity", b"NaN"):
        document = render(shop()).replace(b'"seconds":83.4', b'"seconds":' + number)
        assert number in document
        with pytest.raises(NotUnderstood):
            read(document)
    with pytest.raises(ValueError, match="JSON"):
        render(replace(shop(), seconds=float("inf")))


@given(st.data())
def test_a_spoiled_file_is_a_report_or_an_error(data):
    document = bytearray(render(ALL["untried"]))
    for _ in range(data.draw(st.integers(1, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(document))
    except NotUnderstood:
        return
    assert read(render(found)) == found
