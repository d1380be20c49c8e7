import json
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from alerts_made import PLAIN, STAMP, alerts, stamps
from holdfast.model.alert import Alert
from holdfast.model.errors import NotUnderstood
from holdfast.reports.alert_json import read, render, stamped

ROOT = Path(__file__).parent.parent


@cache
def validator():
    schema = json.loads((ROOT / "schema" / "alert-1.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def strict(record):
    """Read JSON as a reader does that refuses half of a surrogate pair and doubled keys."""

    def once(pairs):
        assert len({key for key, _ in pairs}) == len(pairs)
        return dict(pairs)

    value = json.loads(record, object_pairs_hook=once)
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


@given(alerts, stamps)
def test_whatever_an_alert_holds_it_is_one_line_and_comes_back_whole(alert, stamp):
    record = render(alert, stamp)
    assert record.isascii()
    assert not set(record) & set(range(0x20))
    validator().validate(strict(record))
    assert read(record) == replace(alert, fields=dict(alert.fields), container=dict(alert.container))
    if stamp is not None:
        assert record == stamped(render(alert), stamp)


def test_the_stamp_stands_in_the_record():
    value = strict(render(PLAIN, STAMP))
    assert (value["stream"], value["sequence"], value["chain"]) == (STAMP.stream, 42, STAMP.chain)
    assert value["time"] == "2026-09-21T14:13:20.123456789Z"


def test_every_attribute_of_an_alert_has_a_key():
    assert {field.name for field in fields(Alert)} <= strict(render(PLAIN)).keys()


def test_a_byte_that_is_not_utf8_is_told_from_the_same_text():
    byte, text = replace(PLAIN, output="a\udcffb"), replace(PLAIN, output=r"a\xffb")
    assert strict(render(byte))["output"] == r"a\xffb"
    assert strict(render(byte))["escaped"] is True
    assert "escaped" not in strict(render(text))
    assert read(render(byte)) == byte
    assert read(render(text)) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"\xff\0", {1, 2}, object(), {3: (1,)}])
def test_what_json_cannot_hold_costs_no_alert(value):
    validator().validate(strict(render(replace(PLAIN, fields={"x": value}))))


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists).map(json.dumps))
def test_what_is_no_alert_is_refused_in_the_words_of_the_house(record):
    with pytest.raises(NotUnderstood):
        read(record)


@given(st.sampled_from(sorted(json.loads(render(PLAIN)))), st.none() | st.integers() | st.lists(st.integers()))
def test_a_key_that_lacks_or_holds_another_type_is_refused_or_read(key, wrong):
    whole = json.loads(render(PLAIN))
    without = {name: entry for name, entry in whole.items() if name != key}
    if key != "time":
        with pytest.raises(NotUnderstood):
            read(json.dumps(without).encode())
    with suppress(NotUnderstood):
        assert isinstance(read(json.dumps({**whole, key: wrong}).encode()), Alert)


def test_a_later_major_version_is_refused():
    with pytest.raises(NotUnderstood, match=r"version '2\.0'"):
        read(render(PLAIN).replace(b'"schema_version":"1.0"', b'"schema_version":"2.0"'))
