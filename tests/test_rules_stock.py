"""Falco's three stock files expand to exactly what Falco makes of them."""

from __future__ import annotations

from typing import Any

from holdfast.rules.event_names import EVENT_NAMES
from holdfast.rules.event_types import Events, events_of
from holdfast.rules.spelling import fields_in, operators_in, spelled
from rules_stock import described, needs_stock, stock

pytestmark = needs_stock
INFERRED = {"asyncevent"}
"""Falco lists it for every rule; no rule names it."""


def events(found: Events) -> set[str]:
    return set(EVENT_NAMES - found.names if found.others else found.names)


def test_the_stock_files_load_without_a_word() -> None:
    assert stock().problems == []
    assert len(stock().rules) == len(described()["rules"]) == 93
    assert [rule.name for rule in stock().rules if not rule.definition.enabled] == [
        rule["info"]["name"] for rule in by_load_order(described()["rules"]) if not rule["info"]["enabled"]
    ]
    assert stock().definitions.engine == (0, 57, 0)
    assert stock().definitions.plugins == [(("container", "0.4.0"),)] * 3


def by_load_order(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {rule.name: number for number, rule in enumerate(stock().rules)}
    return sorted(rules, key=lambda rule: order[rule["info"]["name"]])


def test_every_rule_expands_to_what_falco_says() -> None:
    rules = {rule.name: rule for rule in stock().rules}
    for each in described()["rules"]:
        info, details = each["info"], each["details"]
        rule = rules[info["name"]]
        assert rule.definition.condition.text == info["condition"]
        assert spelled(rule.expanded.whole) == details["condition_compiled"], rule.name
        assert fields_in(rule.expanded.whole) == set(details["condition_fields"]), rule.name
        assert operators_in(rule.expanded.whole) == set(details["condition_operators"]), rule.name
        assert events(rule.events) == set(details["events"]) - INFERRED, rule.name
        assert [slot.name for slot in rule.output.slots] == list(dict.fromkeys(details["output_fields"])), rule.name
        assert rule.definition.output.text.strip() == details["output_compiled"]
        assert set(rule.expanded.macros) == set(details["macros"]), rule.name
        assert set(rule.expanded.lists) == set(details["lists"]), rule.name
        assert rule.definition.description == info["description"]
        assert rule.priority.title == info["priority"]
        assert rule.definition.tags == info["tags"]
        assert rule.definition.enabled == info["enabled"]
        assert rule.definition.source == info["source"]


def test_every_macro_expands_to_what_falco_says() -> None:
    macros = stock().expander.macros
    assert set(macros) == {each["info"]["name"] for each in described()["macros"]}
    for each in described()["macros"]:
        details = each["details"]
        macro = macros[each["info"]["name"]]
        assert macro.written.text == each["info"]["condition"]
        assert spelled(macro.whole) == details["condition_compiled"]
        assert fields_in(macro.whole) == set(details["condition_fields"])
        assert operators_in(macro.whole) == set(details["condition_operators"])
        assert events(events_of(macro.whole)) - INFERRED == set(details["events"]) - INFERRED
        assert set(macro.macros) == set(details["macros"])
        assert set(macro.lists) == set(details["lists"])
        assert details["used"] is (("macro", each["info"]["name"]) in stock().expander.used)


def test_every_list_expands_to_what_falco_says() -> None:
    expander = stock().expander
    assert set(expander.lists) == {each["info"]["name"] for each in described()["lists"]}
    for each in described()["lists"]:
        name, details = each["info"]["name"], each["details"]
        own = [item for item in stock().definitions.lists[name].items if item not in details["lists"]]
        assert own == each["info"]["items"]
        assert expander.lists[name] == details["items_compiled"]
        assert set(expander.list_names[name]) == set(details["lists"])
        assert details["used"] is (("list", name) in expander.used)
