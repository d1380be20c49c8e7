"""Rules files: definitions, redefinition, append, override, exceptions, and what is wrong with them."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.alert import Priority
from holdfast.rules.ruleset import Loaded, load
from holdfast.rules.spelling import spelled
from holdfast.rules.written import substituted

RULE = """
- rule: R
  desc: d
  condition: evt.type = open and proc.name in (names)
  output: o %proc.name
  priority: NOTICE
  tags: [b, a]
- list: names
  items: [x]
"""


def loaded(*texts: str) -> Loaded:
    return load((f"{number}.yaml", dedent(text)) for number, text in enumerate(texts))


def condition(found: Loaded, name: str = "R") -> str:
    assert found.errors == []
    return next(spelled(rule.expanded.whole) for rule in found.rules if rule.name == name)


def first(found: Loaded) -> str:
    return "\n".join(f"{problem.place}: {problem.what}" for problem in found.problems)


# --- lists and macros -----------------------------------------------------------------------------------------------


def rule(text: str) -> str:
    return f"""
- rule: R
  desc: d
  condition: {text}
  output: o
  priority: debug
"""


@pytest.mark.parametrize(
    ("lists", "text", "expected"),
    [
        ("- {list: l, items: [a, b]}", "proc.name in (l)", "proc.name in (a, b)"),
        ("- {list: l, items: [a, b]}", "proc.name in (c,l,d)", "proc.name in (c, a, b, d)"),
        ("- {list: l, items: []}", "proc.name in (c, l, d)", "proc.name in (c, d)"),
        ("- {list: l, items: []}", "proc.name in (l, d)", "proc.name in (d)"),
        ("- {list: l, items: []}", "proc.name in (l)", "proc.name in ()"),
        ("- {list: l, items: [a b]}", "proc.name in (l)", 'proc.name in ("a b")'),
        ("- {list: l, items: [80, 443]}", "fd.sport in (l)", "fd.sport in (80, 443)"),
        ("- {list: my-list.1, items: [a]}", "proc.name in (my-list.1)", "proc.name in (a)"),
        ("- {list: l, items: [a]}", "proc.name in (xl, lx, l.x)", "proc.name in (xl, lx, l.x)"),
        ("- {list: l, items: [a]}", "proc.name = l", "proc.name = a"),
        ("- {list: l, items: [a]}", 'proc.name in ("l")', "proc.name in (l)"),
        # One level of other lists, from their items as they stand; deeper names stay.
        (
            "- {list: c_l, items: [x1]}\n- {list: b_l, items: [c_l]}\n- {list: a_l, items: [b_l]}",
            "proc.name in (a_l)",
            "proc.name in (c_l)",
        ),
        # A list that is defined later is written out as text.
        ("- {list: a_l, items: [b_l]}\n- {list: b_l, items: [x2]}", "proc.name in (a_l)", "proc.name in (x2)"),
        ("- {list: l, items: [a]}\n- {list: l, items: [b]}", "proc.name in (l)", "proc.name in (b)"),
        ("- {list: l, items: [a]}\n- {list: l, append: true, items: [b]}", "proc.name in (l)", "proc.name in (a, b)"),
        (
            "- {list: l, items: [a]}\n- {list: l, items: [b], override: {items: append}}",
            "proc.name in (l)",
            "proc.name in (a, b)",
        ),
        (
            "- {list: l, items: [a]}\n- {list: l, items: [b], override: {items: replace}}",
            "proc.name in (l)",
            "proc.name in (b)",
        ),
    ],
)
def test_lists_are_text(lists: str, text: str, expected: str) -> None:
    assert condition(loaded(f"{lists}\n{rule(text)}")) == expected


@pytest.mark.parametrize(
    ("macros", "text", "expected"),
    [
        ("- {macro: m, condition: fd.num = 1}", "m", "fd.num = 1"),
        ("- {macro: m, condition: fd.num = 1}", "not m and m", "(not fd.num = 1 and fd.num = 1)"),
        (
            "- {macro: m, condition: fd.num = 1}\n- {macro: n, condition: m or fd.num = 2}",
            "n",
            "(fd.num = 1 or fd.num = 2)",
        ),
        (
            "- {macro: m, condition: fd.num = 1}\n- {macro: m, condition: or fd.num = 2, append: true}",
            "m",
            "(fd.num = 1 or fd.num = 2)",
        ),
        ("- {macro: m, condition: fd.num = 1}\n- {macro: m, condition: fd.num = 2}", "m", "fd.num = 2"),
        # n may use m, which is defined later, because n is defined again behind it.
        (
            "- {macro: n, condition: fd.num = 1}\n- {macro: m, condition: fd.num = 2}\n- {macro: n, condition: m}",
            "n",
            "fd.num = 2",
        ),
    ],
)
def test_macros_are_trees(macros: str, text: str, expected: str) -> None:
    assert condition(loaded(f"{rule(text)}\n{macros}")) == expected


@pytest.mark.parametrize(
    ("macros", "what"),
    [
        ("- {macro: n, condition: m}\n- {macro: m, condition: fd.num = 2}", "it is defined later"),
        ("- {macro: n, condition: fd.num = 2}\n- {macro: n, condition: n}", "uses itself"),
        (
            "- {macro: n, condition: fd.num = 2}\n- {macro: m, condition: n}\n- {macro: n, condition: m}",
            "uses itself",
        ),
        ("- {macro: m, condition: fd.num = 2}", "no macro 'n'"),
        ("- {macro: n, condition: fd.num =}", "expected a value"),
        ("- {macro: n, condition: fd.nom = 1}", "no field 'fd.nom'"),
        ("- {macro: n, condition: fd.num = x}", "no number"),
        ("- {macro: n, condition: fd.num = 2, append: true}", "no macro of this name to append"),
    ],
)
def test_a_wrong_macro_is_named_and_spoils_only_its_users(macros: str, what: str) -> None:
    other = rule("fd.num = 3").replace("rule: R", "rule: S")
    found = loaded(f"{macros}\n{rule('n')}\n{other}")
    assert what in first(found)
    assert [one.name for one in found.rules] == ["S"]
    assert any(problem.name == "R" for problem in found.errors)


def test_macros_that_double_each_other_are_refused_in_time() -> None:
    text = "- {macro: m0, condition: fd.num = 1}\n"
    text += "".join(f"- {{macro: m{n}, condition: m{n - 1} and (fd.num = 2 or m{n - 1})}}\n" for n in range(1, 60))
    found = loaded(text + rule("m59"))
    assert "more than 50000 comparisons" in first(found)
    backwards = "".join(f"- {{macro: m{n}, condition: fd.num = 1}}\n" for n in range(60))
    backwards += "".join(f"- {{macro: m{n}, condition: m{n + 1} or m{n + 2}}}\n" for n in range(58))
    assert loaded(backwards + rule("m0")).errors


def test_lists_that_double_each_other_are_refused_in_time() -> None:
    text = "".join(f"- {{list: l{n}, items: [l{n + 1}, l{n + 1} ]}}\n" for n in range(100, 160))
    found = loaded(text + rule("proc.name in (l100)"))
    assert "longer than 1000000 characters" in first(found)


def test_a_chain_of_macros_that_is_too_deep_is_refused() -> None:
    text = "- {macro: m0, condition: fd.num = 1}\n"
    text += "".join(f"- {{macro: m{n}, condition: not (m{n - 1} or fd.num = {n})}}\n" for n in range(1, 400))
    found = loaded(text + rule("m399") + rule("m40").replace("rule: R", "rule: S"))
    assert "nested deeper than" in first(found)
    assert [one.name for one in found.rules] == ["S"]


def substituted_slowly(text: str, name: str, items: list[str]) -> str:
    """The substitution of one list step by step, as Falco's loop does it."""
    blanks, delimiters = " \t\n\r", " \t\n\r(),="
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        if (start == 0 or text[start - 1] in delimiters) and (end >= len(text) or text[end] in delimiters):
            while start > 0 and text[start - 1] in blanks:
                start -= 1
            while end < len(text) and text[end] in blanks:
                end += 1
            written = ", ".join(items)
            if not written and start > 0 and text[start - 1] == ",":
                start -= 1
            elif not written and end < len(text) and text[end] == ",":
                end += 1
            text = (f"{text[:start]} " if start > 0 else "") + f"{written} {text[end:]}"
            start += len(written) + 1
        start = text.find(name, start + 1)
    return text


@given(
    st.lists(st.sampled_from(["l", "l", "ll", " ", ",", "(", ")", "x", "\n", "=", ", "]), max_size=12).map("".join),
    st.lists(st.sampled_from(["a", "bc", "d e"]), max_size=2),
)
@settings(max_examples=500)
def test_a_list_is_written_out_as_falco_does_it(text: str, items: list[str]) -> None:
    made = substituted(text, {"l": items}, tracked=True)
    assert made.text == substituted_slowly(text, "l", items)
    assert made.text == substituted(text, {"l": items}).text
    assert made.origins is not None
    assert len(made.origins) == len(made.text)
    assert all(0 <= origin < max(len(text), 1) for origin in made.origins)
    assert bool(made.used) is (made.text != text or substituted_slowly(text, "l", ["q"]) != text)


# --- rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_is_read_with_all_its_keys() -> None:
    text = """
        - rule: R
          desc: what it says
          condition: evt.type = open
          output: "  opened %fd.name by %proc.name.  "
          priority: info
          source: syscall
          enabled: no
          tags: [b, a, b]
          warn_evttypes: false
          skip-if-unknown-filter: on
          capture: true
          capture_duration: 5000
    """
    found = loaded(text)
    assert found.problems == []
    (one,) = found.rules
    assert one.priority is Priority.INFORMATIONAL
    made = one.definition
    assert (made.description, made.enabled, made.tags) == ("what it says", False, ["a", "b"])
    assert (made.skip_if_unknown, made.warn_event_types, made.capture, made.capture_duration) == (
        True,
        False,
        True,
        5000,
    )
    assert [slot.name for slot in one.output.slots] == ["fd.name", "proc.name"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("{rule: R, condition: and fd.num = 1, append: true}",
         "(evt.type = open and proc.name in (x) and fd.num = 1)"),
        ("{rule: R, condition: and fd.num = 1, override: {condition: append}}",
         "(evt.type = open and proc.name in (x) and fd.num = 1)"),
        ("{rule: R, condition: fd.num = 1, override: {condition: replace}}", "fd.num = 1"),
        ("{rule: R, desc: d, condition: fd.num = 7, output: o, priority: debug}", "fd.num = 7"),
    ],
)  # fmt: skip
def test_a_later_file_changes_a_condition(change: str, expected: str) -> None:
    assert condition(loaded(RULE, f"- {change}")) == expected


def test_override_appends_and_replaces_each_key() -> None:
    found = loaded(
        RULE,
        """
        - rule: R
          desc: more
          output: and %fd.name
          priority: error
          tags: [c]
          enabled: false
          override: {desc: append, output: append, priority: replace, tags: append, enabled: replace}
        """,
    )
    (one,) = found.rules
    made = one.definition
    assert (made.description, made.output.text) == ("d more", "o %proc.name and %fd.name")
    assert (made.priority, made.tags, made.enabled) == (Priority.ERROR, ["a", "b", "c"], False)


def test_enabled_alone_switches_a_rule_and_is_deprecated() -> None:
    found = loaded(RULE, "- {rule: R, enabled: false}")
    assert not found.rules[0].definition.enabled
    assert "deprecated" in first(found)


def test_a_rule_that_is_defined_again_keeps_its_position() -> None:
    second = rule("fd.num = 2").replace("rule: R", "rule: S")
    found = loaded(RULE + second + rule("fd.num = 3"))
    assert [one.name for one in found.rules] == ["R", "S"]
    assert condition(found) == "fd.num = 3"


@pytest.mark.parametrize(
    ("change", "line", "what"),
    [
        ("- {rule: Q, enabled: false}", 1, "no rule of this name"),
        ("- {rule: Q, condition: x, append: true}", 1, "no rule of this name"),
        ("- {rule: R}", 1, "no condition, output, desc and priority"),
        ("- {rule: R, condition: a.b, output: o, desc: d}", 1, "'priority' is missing"),
        ("- {rule: R, condition: a.b, output: o, desc: d, priority: high}", 1, "no priority 'high'"),
        ("- {rule: R, condition: '', output: o, desc: d, priority: info}", 1, "'condition' is empty"),
        ("- {rule: R, condition: [a], output: o, desc: d, priority: info}", 1, "must be a text"),
        ("- {rule: R, condition: x, output: o, desc: d, priority: info, enabled: maybe}", 1, "must be true or false"),
        ("- {rule: R, condition: x, output: o, desc: d, priority: info, tags: t}", 1, "must be a list"),
        ("- {rule: R, condition: x, output: o, desc: d, priority: info, capture_duration: -1}", 1, "must be a number"),
        ("- rule: R\n  condition: x\n  override: {condition: add}", 3, "neither append nor replace"),
        ("- rule: R\n  priority: info\n  override: {priority: append}", 3, "it can be replaced"),
        ("- rule: R\n  condition: x\n  override: {source: replace}", 3, "cannot be overridden"),
        ("- rule: R\n  override: {condition: append}", 2, "no 'condition'"),
        ("- rule: R\n  condition: x\n  desc: d\n  override: {condition: append}", 3, "not named under override"),
        ("- rule: R\n  condition: x\n  append: true\n  override: {condition: append}", 1, "stand together"),
        ("- {list: 'a b', items: [x]}", 1, "the name of a list"),
        ("- {list: q, items: [x], append: true}", 1, "no list of this name"),
        ("- {list: q}", 1, "'items' is missing"),
        ("- {list: q, items: [[x]]}", 1, "no text"),
        ("- {macro: m}", 1, "'condition' is missing"),
        ("- required_engine_version: 63", 1, "engine version 0.63.0"),
        ("- required_engine_version: 1.0.0", 1, "engine version 1.0.0"),
        ("- required_engine_version: new", 1, "neither a number nor"),
        ("- required_plugin_versions: [{name: json, version: 0.7.0}]", 1, "plug-in json"),
        ("- required_plugin_versions: [{name: container, version: latest}]", 1, "is not x.y.z"),
        ("- just text", 1, "an item is a mapping"),
        ("rule: R", 1, "a list of items"),
        ("- {rule: R, desc: d, condition: x, output: o, priority: info, source: k8s_audit}", 1, "another source"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_loads(change: str, line: int, what: str) -> None:
    found = loaded(RULE, change)
    assert any(what in problem.what and problem.place.line == line for problem in found.errors), first(found)
    assert [one.name for one in found.rules] == ["R"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "- {rule: Q, desc: d, condition: x, output: o, priority: info, source: aws_cloudtrail}",
            "is a plug-in of Falco",
        ),
        ("- {rule: Q, desc: d, condition: ct.name = x, output: o, priority: info}", "no field 'ct.name'"),
        ("- {rule: Q, desc: d, condition: fd.num = 1, output: '%ct.name', priority: info}", "is no field"),
        ("- {rule: Q, desc: d, condition: fd.num = 1, output: '100%% sure', priority: info}", "is no field"),
        ("- {rule: Q, desc: d, condition: evt.type = opened, output: o, priority: info}", "no event 'opened'"),
    ],
)
def test_a_rule_that_cannot_be_judged_is_named(text: str, what: str) -> None:
    found = loaded(RULE, text)
    (problem,) = found.errors
    assert (problem.subject, problem.name, problem.place.document) == ("rule", "Q", "1.yaml")
    assert what in problem.what
    assert [one.name for one in found.rules] == ["R"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- {rule: Q, desc: d, condition: fd.num = 1, output: o, priority: info, extra: 1}", "'extra' is unknown"),
        ("- {rule: Q, desc: d, condition: fd.num = 1, output: o, priority: info}", "more than 100 types"),
        ("- {rule: Q, desc: d, condition: evt.type=open and evt.type=dup, output: o, priority: info}", "no event can"),
        (
            "- {rule: Q, desc: d, condition: ct.x = 1, output: o, priority: info, skip-if-unknown-filter: true}",
            "left out",
        ),
        ("- {extra: 1}", "unknown kind"),
        ("- {macro: unused, condition: fd.num = 1}", "nothing uses the macro"),
        ("- {list: unused, items: []}", "nothing uses the list"),
        ("- {macro: a-b, condition: fd.num = 1}", "the name of a macro"),
        ("- {list: names, items: [y], append: true}", "append is deprecated"),
        ("- {list: names, items: [y], items: [z]}", "stands twice"),
    ],
)
def test_a_warning_does_not_stop_a_rule(text: str, what: str) -> None:
    found = loaded(RULE, text)
    assert found.errors == []
    assert any(what in problem.what for problem in found.problems), first(found)


def test_the_sensors_silence_is_a_warning() -> None:
    found = load([("r.yaml", RULE)], lambda one: one.name != "proc.name")
    assert ["proc.name" in problem.what for problem in found.problems] == [True]
    assert len(found.rules) == 1


# --- exceptions -----------------------------------------------------------------------------------------------------

BEFORE = "evt.type = open and not "


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ("{name: e, fields: [proc.name, fd.name], values: [[a, /b], [c, d e]]}",
         '((proc.name = a and fd.name = /b) or (proc.name = c and fd.name = "d e"))'),
        ("{name: e, fields: [proc.name, fd.name], comps: [in, startswith], values: [[[a, b], /c]]}",
         "(proc.name in (a, b) and fd.name startswith /c)"),
        ("{name: e, fields: [proc.name, fd.name], comps: [in, pmatch], values: [[a, (/c)]]}",
         "(proc.name in (a) and fd.name pmatch (/c))"),
        ("{name: e, fields: proc.name, values: [a, b c]}", 'proc.name in (a, "b c")'),
        ("{name: e, fields: fd.name, comps: pmatch, values: [/a]}", "fd.name pmatch (/a)"),
        ("{name: e, fields: fd.name, comps: startswith anyof, values: [/a, /b]}", "fd.name startswith anyof (/a, /b)"),
        ("{name: e, fields: proc.name, values: [names]}", "proc.name in (x)"),
    ],
)  # fmt: skip
def test_exceptions_become_a_part_of_the_condition(exception: str, expected: str) -> None:
    text = rule("evt.type = open") + f"  exceptions: [{exception}]\n- {{list: names, items: [x]}}\n"
    assert condition(loaded(text)) == f"({BEFORE}{expected})"


def test_exceptions_without_values_vanish_and_values_are_appended() -> None:
    text = rule("evt.type = open") + "  exceptions: [{name: e, fields: [proc.name]}]\n"
    assert condition(loaded(text)) == "evt.type = open"
    more = "- {rule: R, exceptions: [{name: e, values: [[a]]}, {name: f, fields: fd.name, values: [b]}], append: true}"
    assert condition(loaded(text, more)) == f"({BEFORE}proc.name = a and not fd.name in (b))"
    replaced = "- {rule: R, exceptions: [{name: g, fields: fd.name, values: [c]}], override: {exceptions: replace}}"
    assert condition(loaded(text, more, replaced)) == f"({BEFORE}fd.name in (c))"


@pytest.mark.parametrize(
    ("exception", "what"),
    [
        ("{fields: [proc.name]}", "'name' is missing"),
        ("{name: e}", "has no fields"),
        ("{name: e, fields: [proc.nome]}", "no field 'proc.nome'"),
        ("{name: e, fields: [proc.name], comps: [is]}", "is no operator"),
        ("{name: e, fields: [proc.name], comps: [in, in]}", "as many comps"),
        ("{name: e, fields: proc.name, comps: '='}", "one of in, pmatch"),
        ("{name: e, fields: [proc.name, fd.name], values: [[a]]}", "another length"),
        ("{name: e, fields: proc.name, values: [[a]]}", "no lists"),
        ("{name: e, fields: proc.name, values: a}", "must be a list"),
        ("{name: e, fields: [proc.name], values: [['']]}", "is empty"),
        ("a", "must be a mapping"),
    ],
)
def test_a_wrong_exception_is_named(exception: str, what: str) -> None:
    found = loaded(rule("evt.type = open") + f"  exceptions: [{exception}]\n")
    assert found.rules == []
    assert what in first(found)
    assert found.errors[0].name == "R"


def test_fields_cannot_be_appended_to_an_exception() -> None:
    text = rule("evt.type = open") + "  exceptions: [{name: e, fields: [proc.name], values: [[a]]}]\n"
    change = "- {rule: R, exceptions: [{name: e, fields: [fd.name], values: [[b]]}], override: {exceptions: append}}"
    found = loaded(text, change)
    assert "only values" in first(found)
    assert condition(load([("0.yaml", text)])) == f"({BEFORE}proc.name = a)"


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ("condition: evt.type = open and fd.nix = 1", 3, 34),
        ("condition: 'evt.type = open and fd.nix = 1'", 3, 35),
        ("condition: >\n    evt.type = open\n    and fd.nix = 1", 5, 9),
        ("condition: |-\n    evt.type = open\n\n    and\n      fd.nix = 1", 7, 7),
        ("condition: evt.type = open\n    and fd.nix = 1", 4, 9),
        ("condition: evt.type in (names) and fd.nix = 1", 3, 38),
    ],
)
def test_an_error_in_a_condition_has_line_and_column(written: str, line: int, column: int) -> None:
    text = f"- rule: R\n  desc: d\n  {written}\n  output: o\n  priority: info\n"
    text += "- {list: names, items: [open, openat, dup]}\n"
    (problem,) = load([("r.yaml", text)]).errors
    assert str(problem.place) == f"r.yaml:{line}:{column}"
    assert "fd.nix" in problem.what


def test_an_error_in_an_appended_part_is_found_in_its_own_file() -> None:
    change = "- rule: R\n  condition: and fd.nix = 1\n  override: {condition: append}\n"
    (problem,) = load([("a.yaml", RULE), ("b.yaml", change)]).errors
    assert str(problem.place) == "b.yaml:2:18"


# --- hostile files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 5000, "nested deeper"),
        ("&a [" + "*a," * 3 + "]", "no anchor before"),
        ("- &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"- &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n"
         for n in range(9)), "more than 500000 values"),
        ("a: [", "no YAML"),
        ("- \x00", "U+0000"),
        ("- \udcff", "U+DCFF"),
        ("- {? [a] : b}", "a key is a list"),
        ("\t- a", "no YAML"),
        ("%YAML 9.9\n---\n", ""),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_with_its_place(text: str, what: str) -> None:
    found = load([("h.yaml", text), ("r.yaml", RULE)])
    assert len(found.rules) == 1
    if what:
        assert what in first(found)
        assert found.errors[0].place.document == "h.yaml"


KEYS = st.sampled_from(
    ["rule", "macro", "list", "items", "condition", "output", "desc", "priority", "exceptions", "override", "append",
     "name", "fields", "comps", "values", "tags", "enabled", "source", "required_engine_version",
     "required_plugin_versions"]
)  # fmt: skip
SCALARS = st.sampled_from(
    ["R", "m", "l", "evt.type = open", "m and l", "proc.name in (l)", "m", "%proc.name", "%%", "info", "true", "append",
     "replace", "in", "=", "proc.name", "", "~", "0.57.0", "9" * 400, "(", "'", "\U0001f600", "not m", "fd.name"]
)  # fmt: skip
TREES = st.recursive(
    SCALARS, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=6), max_leaves=20
)


@given(st.lists(st.dictionaries(KEYS, TREES, max_size=7), max_size=6))
@settings(max_examples=300)
def test_no_tree_crashes(items: object) -> None:
    import json

    found = load([("f.yaml", json.dumps(items))])
    assert all(problem.what for problem in found.problems)


@given(st.text("-:[]{}'\"&*!|>%@`#,?~ \n\tabrule0", max_size=60))
def test_no_text_crashes(text: str) -> None:
    assert load([("f.yaml", text)]).rules == []
