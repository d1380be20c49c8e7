import json
import re
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from alerts_made import PLAIN, STAMP, alerts, hostile, stamps
from holdfast.model.alert import Origin, Priority, Verdict
from holdfast.reports import alert_cef, alert_ecs, alert_falco, alert_json, alert_leef, alert_ocsf, alert_syslog
from holdfast.reports._alert_text import escaped, legible, unescaped
from holdfast.reports._alert_time import rfc3339

DATA = Path(__file__).parent / "data"
FORMATS = {
    module.__name__.rpartition(".")[2]: module
    for module in (alert_json, alert_falco, alert_ocsf, alert_ecs, alert_cef, alert_leef)
}
ENDS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


@pytest.mark.parametrize("module", FORMATS.values(), ids=FORMATS)
@given(alert=alerts, stamp=stamps)
def test_whatever_an_alert_holds_it_is_one_record(module, alert, stamp):
    record = module.render(alert, stamp)
    text = record.decode("utf-8")
    assert not ENDS.search(text)
    assert module is alert_leef or "\t" not in text
    assert len(text.splitlines()) == 1
    assert record == module.render(alert, stamp)


@pytest.mark.parametrize("module", FORMATS.values(), ids=FORMATS)
def test_a_newline_in_a_command_line_forges_no_second_record(module):
    forged = module.render(replace(PLAIN, rule="forged", output="nothing"), STAMP).decode()
    evil = replace(PLAIN, output=f"x\n{forged}\r\n", process=(replace(PLAIN.process[0], command=f"sh\n{forged}"),))
    assert module.render(evil, STAMP).count(b"\n") == 0


@given(hostile)
def test_escapes_are_undone(text):
    assert unescaped(escaped(text)) == text
    escaped(text).encode("utf-8")
    legible(text).encode("utf-8")


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-5, "1970-01-01T00:00:00.000000000Z"),
        (1_790_000_000_999_999_999, "2026-09-21T14:13:20.999999999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (10**30, "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_any_clock_is_written(at_ns, text):
    assert rfc3339(at_ns) == text


@given(st.integers(0, 253402300799_999_999_999))
def test_time_agrees_with_the_standard_library(at_ns):
    assert datetime.fromisoformat(rfc3339(at_ns, 6)).timestamp() * 10**6 == pytest.approx(at_ns // 1000, abs=40)


# --- a decoder of our own for each text format, written from the format's description --------------------------------


def undo(text, special):
    """Undo escapes from left to right; ``special`` are the characters that a backslash stands before."""
    out = []
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        mark = text[at + 1]
        if mark in special or mark == "\\":
            out.append(mark)
            at += 2
        elif mark in "nrt":
            out.append({"n": "\n", "r": "\r", "t": "\t"}[mark])
            at += 2
        else:
            digits = {"x": 2, "u": 4}[mark]
            code = int(text[at + 2 : at + 2 + digits], 16)
            out.append(chr(code + 0xDC00 if mark == "x" and code >= 0x80 else code))
            at += 2 + digits
    return "".join(out)


def split(text, mark, most=-1):
    """Split where a mark stands that no backslash stands before."""
    parts, start, at = [], 0, 0
    while at < len(text) and most != 0:
        if text[at] == "\\":
            at += 2
        elif text[at] == mark:
            parts.append(text[start:at])
            start = at = at + 1
            most -= 1
        else:
            at += 1
    return [*parts, text[start:]]


def cef(record):
    *head, extension = split(record.decode("utf-8"), "|", 7)
    assert head[0] == "CEF:0"
    ends = [found.start() for found in re.finditer(r"(?:^| )[A-Za-z0-9]+=", extension)]
    pairs = {}
    for start, end in zip(ends, [*ends[1:], len(extension)], strict=True):
        key, value = extension[start:end].lstrip(" ").split("=", 1)
        assert key not in pairs
        pairs[key] = undo(value, "=")
    return [undo(each, "|") for each in head[1:]], pairs


def leef(record):
    *head, delimiter, attributes = split(record.decode("utf-8"), "|", 6)
    assert (head[0], delimiter) == ("LEEF:2.0", "x09")
    pairs = [attribute.split("=", 1) for attribute in attributes.split("\t")]
    assert len(dict(pairs)) == len(pairs)
    return [undo(each, "|") for each in head[1:]], {key: undo(value, "") for key, value in pairs}


@given(alerts, stamps)
def test_cef_can_be_taken_apart(alert, stamp):
    head, pairs = cef(alert_cef.render(alert, stamp))
    assert head[:2] == ["Holdfast", "Holdfast"]
    assert head[3:5] == [alert.rule, alert.title or alert.rule]
    assert head[5].isdigit()
    assert pairs.get("msg", "") == alert.output
    assert pairs.get("dvchost", "") == alert.node
    assert pairs.get("cs3", "") == alert.container.get("name", "")
    if alert.process:
        assert pairs.get("cs5", "") == alert.process[0].command
        assert pairs.get("filePath", "") == alert.process[0].path
    if stamp is not None:
        assert (pairs["cn1"], pairs["deviceExternalId"]) == (str(stamp.sequence), stamp.stream)
    for key in pairs:
        if key.endswith("Label"):
            assert key.removesuffix("Label") in pairs


@given(alerts, stamps)
def test_leef_can_be_taken_apart(alert, stamp):
    head, pairs = leef(alert_leef.render(alert, stamp))
    assert head[3] == alert.rule
    assert pairs.get("msg", "") == alert.output
    assert pairs.get("name", "") == alert.title
    assert 1 <= int(pairs["sev"]) <= 10
    if alert.process:
        assert pairs.get("commandLine", "") == alert.process[0].command
    if stamp is not None:
        assert (pairs["sequence"], pairs["chain"]) == (str(stamp.sequence), stamp.chain)


MESSAGE = re.compile(
    r"<(?P<pri>[1-9]?[0-9]|1[0-9][0-9])>1 "
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (?P<host>[!-~]{1,255}) holdfast - (?P<kind>[!-~]{1,32}) "
)
PARAMETER = re.compile(r' ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\.)*)"', re.DOTALL)


@given(alerts, stamps, st.binary(max_size=20), st.integers(0, 23))
def test_a_syslog_message_can_be_taken_apart(alert, stamp, record, facility):
    text = alert_syslog.render(alert, stamp, record, facility).decode("utf-8", "surrogateescape")
    head = MESSAGE.match(text)
    assert head
    assert divmod(int(head["pri"]), 8) == (facility, alert.priority.value)
    at = head.end()
    elements = {}
    while text[at] == "[":
        name = re.compile(r"[!#-<>-\\^-~]{1,32}").match(text, at + 1)
        assert name
        at = name.end()
        parameters = elements.setdefault(name[0], {})
        while found := PARAMETER.match(text, at):
            parameters[found[1]] = re.sub(r'\\(["\\\]])', r"\1", found[2])
            at = found.end()
        assert text[at] == "]"
        at += 1
    assert text[at:].encode("utf-8", "surrogateescape") == b" " + record
    own = elements["holdfast@32473"]
    assert undo(own["id"], "") == alert.id
    assert undo(own["rule"], "") == alert.rule
    if stamp is not None:
        assert own["sequence"] == str(stamp.sequence)
        assert 1 <= int(elements["meta"]["sequenceId"]) < 2**31


# --- JSON formats ----------------------------------------------------------------------------------------------------


@cache
def ocsf():
    schema = json.loads((DATA / "ocsf-1.8-detection-finding.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@given(alerts, stamps)
def test_ocsf_holds_to_its_schema(alert, stamp):
    finding = json.loads(alert_ocsf.render(alert, stamp))
    ocsf().validate(finding)
    assert finding["type_uid"] == finding["class_uid"] * 100 + finding["activity_id"]
    assert finding["finding_info"].get("attacks") == finding.get("attacks")


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(("succeeded", "error"), [(True, ""), (None, ""), (False, "EPERM"), (False, "ENOENT")])
def test_ocsf_says_what_was_done(verdict, priority, origin, succeeded, error):
    alert = replace(PLAIN, verdict=verdict, priority=priority, origin=origin, succeeded=succeeded, error=error)
    finding = json.loads(alert_ocsf.render(alert, STAMP))
    ocsf().validate(finding)
    assert (finding["action"] == "Denied") == (
        verdict is Verdict.DENIED or (verdict in {Verdict.ALERTED, Verdict.OBSERVED} and succeeded is False)
    )
    assert finding["metadata"]["sequence"] == 42
    assert finding["unmapped"]["holdfast"]["verdict"] == verdict.value


CAPTIONS = {1: "Allowed", 2: "Blocked", 4: "Isolated", 17: "Logged", 19: "Alert", 26: "Unauthorized", 27: "Error"}
"""Of ``disposition_id``; https://github.com/ocsf/ocsf-schema, dictionary.json at 10fd6b38."""
ANALYTICS = {1: "Rule", 2: "Behavioral"}
"""Of ``analytic.type_id``; the same, objects/analytic.json at ebbface4. 99 takes the source's own word."""


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(("succeeded", "error"), [(True, ""), (False, "EPERM"), (False, "ENOENT")])
def test_ocsf_numbers_bear_their_official_captions(verdict, origin, succeeded, error):
    alert = replace(PLAIN, verdict=verdict, origin=origin, succeeded=succeeded, error=error)
    finding = json.loads(alert_ocsf.render(alert, STAMP))
    assert finding["class_uid"] == 2004
    assert finding["disposition"] == CAPTIONS.get(finding["disposition_id"], finding["disposition"])
    assert finding["disposition_id"] in CAPTIONS or finding["disposition_id"] == 99
    assert finding["action"] == {0: "Unknown", 1: "Allowed", 2: "Denied"}[finding["action_id"]]
    analytic = finding["finding_info"]["analytic"]
    assert analytic["type"] == ANALYTICS.get(analytic["type_id"], "Sensor")
    assert finding["attacks"] == finding["finding_info"]["attacks"], "a security control says them twice"


def test_the_ocsf_schema_can_refuse():
    finding = json.loads(alert_ocsf.render(PLAIN, STAMP))
    for wrong in (
        finding | {"severity": "Low"},
        finding | {"type_uid": 200402},
        finding | {"invented": 1},
        {key: value for key, value in finding.items() if key != "finding_info"},
        finding | {"evidences": [{"name": "alone"}]},
        finding | {"time": "2026"},
    ):
        assert not ocsf().is_valid(wrong)


@cache
def ecs():
    return json.loads((DATA / "ecs-8-fields.json").read_text())


def flat(value, name=""):
    for key, entry in value.items():
        path = f"{name}.{key}" if name else key
        if isinstance(entry, dict):
            yield from flat(entry, path)
        else:
            yield path, entry


def check_ecs(document):
    fields = dict(flat({key: value for key, value in document.items() if key != "holdfast"}))
    assert set(ecs()["required"]) <= fields.keys()
    for name, value in fields.items():
        rule = ecs()["fields"][name]
        if rule.get("array"):
            assert isinstance(value, list), name
        values = value if isinstance(value, list) else [value]
        for each in values:
            if rule["type"] == "long":
                assert isinstance(each, int), name
            elif rule["type"] == "date":
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", each), name
            else:
                assert isinstance(each, str), name
            assert each in rule.get("allowed", [each]), name
    (category,) = fields["event.category"]
    assert set(fields["event.type"]) <= set(ecs()["categories_types"][category])


@given(alerts, stamps)
def test_ecs_uses_its_fields_as_they_are_meant(alert, stamp):
    check_ecs(json.loads(alert_ecs.render(alert, stamp)))


def test_ecs_of_a_plain_alert():
    document = json.loads(alert_ecs.render(replace(PLAIN, container={"image": "h:5000/a/b:1.2"}), STAMP))
    assert document["container"]["image"] == {"name": "h:5000/a/b", "tag": ["1.2"]}
    assert document["event"]["type"] == ["denied"]
    assert document["threat"]["technique"] == {"id": ["T1611", "T1059"], "subtechnique": {"id": ["T1059.004"]}}
    assert document["process"]["parent"]["name"] == "tini"
    assert json.loads(document["holdfast"]["fields"]) == PLAIN.fields


@given(alerts, stamps)
def test_falco_has_its_keys_and_scalars(alert, stamp):
    payload = json.loads(alert_falco.render(alert, stamp))
    assert payload.keys() == {"hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", payload["time"])
    assert payload["priority"] in {each.title for each in Priority}
    assert all(value is None or isinstance(value, str | int | float) for value in payload["output_fields"].values())
    assert all(isinstance(tag, str) for tag in payload["tags"])
    assert payload["rule"] == legible(alert.rule)
    if stamp is not None:
        assert payload["output_fields"]["holdfast.sequence"] == stamp.sequence


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("succeeded", [True, False, None])
def test_ecs_says_what_was_done(verdict, origin, succeeded):
    document = json.loads(alert_ecs.render(replace(PLAIN, verdict=verdict, origin=origin, succeeded=succeeded), STAMP))
    check_ecs(document)
    assert document["event"]["kind"] == ("event" if origin is Origin.SENSOR else "alert")


@given(alerts)
def test_only_what_is_empty_is_left_out(alert):
    from holdfast.reports._alert_text import filled

    left = filled({"n": 0, "f": False, "e": "", "l": [], "d": {"x": ""}, "none": None, "deep": [{"a": ""}], "z": 0.0})
    assert left == {"n": 0, "f": False, "deep": [{}], "z": 0.0}
    assert json.loads(alert_ocsf.render(alert))["is_alert"] in {True, False}
