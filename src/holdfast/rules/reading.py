"""From rules files to definitions: defining, redefining, appending, overriding.

Source:
    falcosecurity/falco, ``userspace/engine/rule_loader_{reader,collector}.cpp``
"""

from __future__ import annotations

import re
from collections.abc import Callable

from holdfast.rules.definitions import (
    ENGINE,
    SOURCE,
    Definitions,
    ListDefinition,
    MacroDefinition,
    RuleDefinition,
    RuleException,
)
from holdfast.rules.exceptions import check
from holdfast.rules.item import Item
from holdfast.rules.problems import Place, Problem, Wrong
from holdfast.rules.written import Source, Written
from holdfast.rules.yaml_tree import NotYaml, Row, Scalar, Table, read

_IDENTIFIER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_LIST_NAME = re.compile(r"[^()\"'\s=,]+")
_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].{0,60})?")
PLUGINS = frozenset(("container",))
"""Plug-ins of Falco whose fields the sensor answers itself."""

_APPENDED = frozenset(("condition", "output", "desc", "tags", "exceptions"))
_REPLACED = _APPENDED | {
    "priority", "enabled", "warn_evttypes", "skip-if-unknown-filter", "capture", "capture_duration",
}  # fmt: skip
_BY_FLAG = frozenset(("condition", "exceptions"))
_KEYS = {
    "list": frozenset(("list", "items", "append", "override")),
    "macro": frozenset(("macro", "condition", "append", "override")),
    "rule": _REPLACED | {"rule", "source", "append", "override"},
}


def read_file(name: str, text: str, into: Definitions, problems: list[Problem]) -> None:
    """Read one rules file; what it defines comes after what was defined before.

    Args:
        name: For messages.
        text: YAML.
        into: What was defined so far; it grows.
        problems: What is wrong goes here; an item that is wrong is left out, the rest is read.
    """
    source = Source(name, text)
    try:
        documents = read(text)
    except NotYaml as error:
        problems.append(Problem(error.what, Place(name, error.line, error.column)))
        return
    for document in documents:
        if isinstance(document, Scalar) and document.is_null:
            continue
        if not isinstance(document, Row):
            place = Place(name, document.line, document.column)
            problems.append(Problem("a rules file is a list of items", place, next="begin each item with '- '"))
            continue
        for node in document.items:
            if isinstance(node, Scalar) and node.is_null:
                continue
            _read_node(source, node if isinstance(node, Table) else None, node.line, into, problems)


def _read_node(source: Source, table: Table | None, line: int, into: Definitions, problems: list[Problem]) -> None:
    if table is None:
        problems.append(Problem("an item is a mapping", Place(source.name, line)))
        return
    kind = next((kind for kind in _READERS if kind in table.entries), "")
    named = table.entries.get(kind)
    name = named.text if isinstance(named, Scalar) and kind in _KEYS else ""
    item = Item(source, table, kind if kind in _KEYS else "", name, problems)
    if not kind:
        item.warn("an item of an unknown kind is left out", next="it is a list, macro, rule or required_... version")
        return
    for again in table.repeated:
        item.warn(f"the key {again.text[:40]!r} stands twice; the first counts", item.at(again))
    for key in sorted(table.keys.keys() - _KEYS.get(kind, table.keys.keys())):
        item.warn(f"the key {key[:40]!r} is unknown", item.at(table.keys[key]))
    try:
        _READERS[kind](item, into)
    except Wrong as wrong:
        problems.append(Problem(wrong.what, wrong.place, item.kind, name, wrong.next))


# --- versions -------------------------------------------------------------------------------------------------------


def _read_engine(item: Item, into: Definitions) -> None:
    node = item.scalar("required_engine_version")
    found = _VERSION.fullmatch(node.text)
    if node.text.isascii() and node.text.isdecimal() and len(node.text) < 10:
        version = (0, int(node.text), 0)
    elif found is not None:
        version = (int(found[1]), int(found[2]), int(found[3]))
    else:
        raise Wrong("the required engine version is neither a number nor x.y.z", item.at(node))
    if version[0] != ENGINE[0] or version > ENGINE:
        raise Wrong(
            f"the rules ask for engine version {_dotted(version)}; this is {_dotted(ENGINE)}",
            item.at(node),
            "take rules that were made for an older Falco",
        )
    into.engine = max(into.engine, version)


def _dotted(version: tuple[int, int, int]) -> str:
    return ".".join(str(part) for part in version)


def _read_plugins(item: Item, into: Definitions) -> None:
    row = item.table.entries["required_plugin_versions"]
    if not isinstance(row, Row):
        raise Wrong("the required plug-in versions must be a list", item.at(row))
    for node in row.items:
        if not isinstance(node, Table):
            raise Wrong("a required plug-in version must be a mapping", item.at(node))
        part = Item(item.source, node, "", "", item.problems)
        wanted = [_plugin(part)]
        others = node.entries.get("alternatives")
        if others is not None:
            if not isinstance(others, Row):
                raise Wrong("the alternatives of a plug-in must be a list", item.at(others))
            for other in others.items:
                if not isinstance(other, Table):
                    raise Wrong("an alternative of a plug-in must be a mapping", item.at(other))
                wanted.append(_plugin(Item(item.source, other, "", "", item.problems)))
        into.plugins.append(tuple(wanted))
        if not any(name in PLUGINS for name, _ in wanted):
            names = " or ".join(name for name, _ in wanted)
            raise Wrong(
                f"the rules need the plug-in {names[:60]}, which is a part of Falco", part.place,
                "the rules of its source are left out; remove the requirement to be rid of this message",
            )  # fmt: skip


def _plugin(item: Item) -> tuple[str, str]:
    name, version = item.scalar("name"), item.scalar("version")
    if not _VERSION.fullmatch(version.text):
        raise Wrong(f"the version of the plug-in {name.text[:40]!r} is not x.y.z", item.at(version))
    return name.text, version.text


# --- lists and macros -----------------------------------------------------------------------------------------------


def _override(item: Item, appended: frozenset[str], replaced: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the keys that are appended to and those that are replaced."""
    node = item.table.entries.get("override")
    if node is None:
        return frozenset(), frozenset()
    if not isinstance(node, Table):
        raise Wrong("override must be a mapping from keys to append or replace", item.at(node))
    found: dict[str, set[str]] = {"append": set(), "replace": set()}
    for key, value in node.entries.items():
        word = value.text if isinstance(value, Scalar) else ""
        if word not in found:
            raise Wrong(f"the override of {key[:40]!r} is neither append nor replace", item.at(value))
        if key not in (appended if word == "append" else replaced):
            other = "; it can be replaced" if key in replaced and word == "append" else ""
            raise Wrong(f"{key[:40]!r} cannot be overridden with {word}{other}", item.at(node.keys[key]))
        if not item.has(key):
            raise Wrong(f"an override of {key!r} is given, but no {key!r}", item.at(node.keys[key]))
        found[word].add(key)
    if item.flag("append", otherwise=False):
        raise Wrong("append and override stand together", item.place, "keep override; append is deprecated")
    return frozenset(found["append"]), frozenset(found["replace"])


def _appends(item: Item, key: str) -> bool:
    appended, _ = _override(item, frozenset((key,)), frozenset((key,)))
    if item.flag("append", otherwise=False):
        item.warn("append is deprecated", next=f"write: override: {{{key}: append}}")
        return True
    return key in appended


def _read_list(item: Item, into: Definitions) -> None:
    name = item.scalar("list").text
    if not _LIST_NAME.fullmatch(name):
        raise Wrong("the name of a list holds a blank, a quote, or one of ()=,", item.place)
    items = item.texts("items")
    before = into.lists.get(name)
    if _appends(item, "items"):
        if before is None:
            raise Wrong("there is no list of this name to append to", item.place, "load the file that defines it first")
        before.items.extend(items)
        before.visible = into.count
    else:
        index = into.count if before is None else before.index
        into.lists[name] = ListDefinition(name, items, item.place, index, into.count)
    into.count += 1


def _read_macro(item: Item, into: Definitions) -> None:
    name = item.scalar("macro").text
    if not _IDENTIFIER.fullmatch(name):
        item.warn("the name of a macro is made of letters, digits and _, and begins with a letter; no rule can use it")
    condition = item.written("condition")
    before = into.macros.get(name)
    if _appends(item, "condition"):
        if before is None:
            raise Wrong(
                "there is no macro of this name to append to", item.place, "load the file that defines it first"
            )
        before.condition = Written((*before.condition.parts, *condition.parts))
        before.visible = into.count
    else:
        index = into.count if before is None else before.index
        into.macros[name] = MacroDefinition(name, condition, item.place, index, into.count)
    into.count += 1


# --- rules ----------------------------------------------------------------------------------------------------------


def _read_rule(item: Item, into: Definitions) -> None:
    name = item.scalar("rule").text
    appended, replaced = _override(item, _APPENDED, _REPLACED)
    if appended or replaced:
        for key in sorted(item.table.keys.keys() & _REPLACED - appended - replaced):
            raise Wrong(f"the key {key!r} is not named under override", item.at(item.table.keys[key]))
        _change(item, _earlier(item, into, name), appended, replaced)
        into.count += 1
    elif item.flag("append", otherwise=False):
        item.warn("append is deprecated", next="write: override: {condition: append}")
        for key in sorted(item.table.keys.keys() & _REPLACED - _BY_FLAG):
            item.warn(f"the key {key!r} is left out: append: true is for condition and exceptions only")
        _change(item, _earlier(item, into, name), frozenset(item.table.keys) & _BY_FLAG, frozenset())
        into.count += 1
    elif not any(item.has(key) for key in ("condition", "output", "desc", "priority")):
        enabled = item.flag("enabled", otherwise=True)
        if not item.has("enabled"):
            raise Wrong("the rule has no condition, output, desc and priority", item.place)
        item.warn("a rule with nothing but enabled is deprecated", next="write: override: {enabled: replace}")
        _earlier(item, into, name).enabled = enabled
    else:
        _define(item, into, name)


def _earlier(item: Item, into: Definitions, name: str) -> RuleDefinition:
    rule = into.rules.get(name)
    if rule is None:
        raise Wrong("there is no rule of this name to change", item.place, "load the file that defines it first")
    return rule


def _define(item: Item, into: Definitions, name: str) -> None:
    made = RuleDefinition(
        name,
        item.written("condition"),
        item.written("output"),
        item.scalar("desc").text,
        item.priority(),
        item.place,
        item.scalar("source").text if item.has("source") else SOURCE,
        enabled=item.flag("enabled", otherwise=True),
        tags=sorted(set(item.texts("tags"))) if item.has("tags") else [],
        exceptions=item.exceptions(),
        warn_event_types=item.flag("warn_evttypes", otherwise=True),
        skip_if_unknown=item.flag("skip-if-unknown-filter", otherwise=False),
        capture=item.flag("capture", otherwise=False),
        capture_duration=item.count("capture_duration", otherwise=0),
        index=into.count,
    )
    for one in made.exceptions:
        check(one, known_source=made.source == SOURCE)
    before = into.rules.get(name)
    if before is not None:
        if before.source != made.source:
            raise Wrong("the rule is defined again with another source", item.place)
        made.index = before.index
    into.rules[name] = made
    into.count += 1


def _change(item: Item, rule: RuleDefinition, appended: frozenset[str], replaced: frozenset[str]) -> None:
    """Append and replace; nothing is changed where one of them is wrong."""
    exceptions = [RuleException(o.name, o.fields, o.comps, list(o.values), o.place) for o in rule.exceptions]
    if "exceptions" in replaced:
        exceptions = item.exceptions()
        for one in exceptions:
            check(one, known_source=rule.source == SOURCE)
    elif "exceptions" in appended:
        _append_exceptions(item, rule, exceptions)
    texts: dict[str, Written] = {
        key: item.written(key) for key in ("condition", "output", "desc") if key in appended | replaced
    }
    tags = item.texts("tags") if "tags" in appended | replaced else []
    priority = item.priority() if "priority" in replaced else rule.priority

    def flag(key: str, before: bool) -> bool:
        return item.flag(key, otherwise=before) if key in replaced else before

    flags = (
        flag("enabled", rule.enabled),
        flag("warn_evttypes", rule.warn_event_types),
        flag("skip-if-unknown-filter", rule.skip_if_unknown),
        flag("capture", rule.capture),
    )
    duration = item.count("capture_duration", otherwise=0) if "capture_duration" in replaced else rule.capture_duration

    def joined(key: str, before: Written) -> Written:
        after = texts.get(key)
        if after is None:
            return before
        return after if key in replaced else Written((*before.parts, *after.parts))

    rule.condition = joined("condition", rule.condition)
    rule.output = joined("output", rule.output)
    if "desc" in texts:
        rule.description = " ".join([*([] if "desc" in replaced else [rule.description]), texts["desc"].text])
    if tags or "tags" in replaced:
        rule.tags = sorted({*([] if "tags" in replaced else rule.tags), *tags})
    rule.exceptions = exceptions
    rule.priority = priority
    rule.enabled, rule.warn_event_types, rule.skip_if_unknown, rule.capture = flags
    rule.capture_duration = duration


def _append_exceptions(item: Item, rule: RuleDefinition, exceptions: list[RuleException]) -> None:
    for one in item.exceptions():
        before = next((other for other in exceptions if other.name == one.name), None)
        if not one.values:
            item.warn(f"the exception {one.name!r} is appended without values", one.place)
        if before is None:
            if not one.values:
                raise Wrong(f"the new exception {one.name!r} has no values", one.place)
            check(one, known_source=rule.source == SOURCE)
            exceptions.append(one)
        elif one.fields is not None or one.comps is not None:
            raise Wrong(f"the exception {one.name!r} exists; only values can be appended", one.place)
        else:
            before.values.extend(one.values)


_READERS: dict[str, Callable[[Item, Definitions], None]] = {
    "required_engine_version": _read_engine,
    "required_plugin_versions": _read_plugins,
    "list": _read_list,
    "macro": _read_macro,
    "rule": _read_rule,
}
