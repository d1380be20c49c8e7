"""The use case ``rules``: read files in Falco's rule language, and say what is in them and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model.errors import Error, ExitCode, NotReachable, Usage
from holdfast.reason.kernel_filter import KernelFilter, kernel_filter
from holdfast.reason.pushdown import demand
from holdfast.reports._plain import one_line
from holdfast.rules.field_table import Row, rows
from holdfast.rules.fields import Field, field
from holdfast.rules.problems import Problem
from holdfast.rules.ruleset import Loaded, Rule, fields_asked, load
from holdfast.rules.spelling import fields_in, operators_in, spelled
from holdfast.sensor.answers import answer_for

LARGEST = 16 * 1024 * 1024
"""Largest rules file, bytes; the stock files have 100,000."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        files: Rules files, or folders with some, in the order in which later ones change earlier ones.
        expand: Names of rules to print with everything written out.
        listing: List the rules.
        pushdown: Say for each rule what the kernel can check and what is judged outside it.
        as_json: JSON instead of text.
    """

    files: tuple[str, ...]
    expand: tuple[str, ...] = ()
    listing: bool = False
    pushdown: bool = False
    as_json: bool = False


def tell(wanted: Wanted, write: Callable[[bytes], None]) -> ExitCode:
    """Read the files and print what was asked for.

    Returns:
        CLEAN, or NOT_UNDERSTOOD where something in the files is wrong. Warnings are not wrong.

    Raises:
        NotReachable: A file is not there or cannot be read.
        Usage: There is no rule of a name to expand.
    """
    loaded = load(texts(wanted.files), _answered)
    rules = {rule.name: rule for rule in loaded.rules}
    for name in wanted.expand:
        if name not in loaded.definitions.rules:
            raise Usage(f"there is no rule {one_line(name)!r}", ", ".join(wanted.files), "holdfast rules list FILE")
    chosen = [rules[name] for name in wanted.expand if name in rules]
    if wanted.as_json:
        write((json.dumps(_record(loaded, chosen, wanted), indent=2) + "\n").encode())
    else:
        lines = [line for rule in chosen for line in (*_expanded(rule), "")]
        if wanted.pushdown:
            lines += [line for rule in loaded.rules for line in _pushed(rule)]
        if wanted.listing:
            lines += [_listed(rule) for rule in loaded.rules]
        lines += [_problem(problem) for problem in loaded.problems if not (wanted.listing and problem.warning)]
        write("".join(f"{line}\n" for line in (*lines, _summary(loaded))).encode("utf-8", "backslashreplace"))
    return ExitCode.NOT_UNDERSTOOD if loaded.errors else ExitCode.CLEAN


def _answered(one: Field) -> bool:
    return answer_for(one.name) is not None


def texts(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Read rules files.

    Args:
        paths: Files; a folder stands for its ``.yaml`` and ``.yml`` files, by name.

    Returns:
        Name and text of each. Bytes that are no UTF-8 become a character that YAML forbids, so that they are reported
        with their place.

    Raises:
        NotReachable: One is not there or cannot be read.
        Error: One is too large.
    """
    found: list[tuple[str, str]] = []
    for path in paths:
        here = Path(path)
        files = sorted(one for one in here.iterdir() if one.suffix in {".yaml", ".yml"}) if here.is_dir() else [here]
        if not files:
            raise NotReachable("there is no rules file in the folder", path, "name a .yaml file")
        found += [(str(file), _text(file)) for file in files]
    return found


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotReachable(f"the rules file cannot be read: {reason}", str(file), "check its name") from error
    if len(data) > LARGEST:
        raise Error(f"the rules file has more than {LARGEST} bytes", str(file), "split it")
    return data.decode("utf-8-sig", "surrogateescape")


def fields(*, as_json: bool) -> bytes:
    """Return the list of every field."""
    table = sorted(rows().values(), key=lambda row: row.name)
    if as_json:
        records = [
            {
                "name": row.name,
                "type": row.kind.value,
                "argument": "required" if row.required else "allowed" if row.index or row.key or row.dotted else None,
                "list": row.listed,
                "deprecated": row.deprecated,
            }
            for row in table
        ]
        return (json.dumps(records, indent=2) + "\n").encode()
    lines = [
        f"{row.name}{_argument(row)}  ({row.kind.value}{', deprecated' if row.deprecated else ''})" for row in table
    ]
    return ("\n".join(lines) + "\n").encode()


def _argument(row: Row) -> str:
    if not (row.index or row.key or row.dotted):
        return ""
    shape = "[ARGUMENT]" if row.index or row.key else ".NAME"
    return shape if row.required else f"{shape}?"


# --- text -----------------------------------------------------------------------------------------------------------


def _problem(problem: Problem) -> str:
    subject = f"{problem.subject} {problem.name!r}: " if problem.name else ""
    hint = f" (next: {problem.next})" if problem.next else ""
    kind = "warning" if problem.warning else "error"
    return one_line(f"{problem.place}: {kind}: {subject}{problem.what}{hint}", 0)


def _summary(loaded: Loaded) -> str:
    enabled = sum(rule.definition.enabled for rule in loaded.rules)
    errors = len(loaded.errors)
    return (
        f"{_counted(len(loaded.rules), 'rule')}, {enabled} enabled; {_counted(len(loaded.expander.macros), 'macro')}, "
        f"{_counted(len(loaded.expander.lists), 'list')}; {_counted(errors, 'error')}, "
        f"{_counted(len(loaded.problems) - errors, 'warning')}"
    )


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _events(rule: Rule) -> str:
    names = ", ".join(sorted(rule.events.names))
    if rule.events.others:
        return f"all but {names}" if names else "all"
    return names or "none"


def _listed(rule: Rule) -> str:
    state = "" if rule.definition.enabled else " [disabled]"
    return one_line(f"{rule.priority.title:<13} {rule.name}{state}: {_events(rule)}", 0)


def _expanded(rule: Rule) -> list[str]:
    lines = [
        f"rule:      {rule.name}",
        f"where:     {rule.definition.place}",
        f"priority:  {rule.priority.title}{'' if rule.definition.enabled else ', disabled'}",
        f"events:    {_events(rule)}",
        f"operators: {', '.join(sorted(operators_in(rule.expanded.whole)))}",
        f"fields:    {', '.join(sorted(fields_in(rule.expanded.whole)))}",
        f"output:    {', '.join(slot.name for slot in rule.output.slots)}",
        f"condition: {spelled(rule.expanded.whole)}",
    ]
    return [one_line(line, 0) for line in lines]


# --- what the kernel can check ---------------------------------------------------------------------------------------


def filters(rule: Rule) -> list[tuple[list[str], KernelFilter]]:
    """Return what of a rule a kernel program can check, with the types of events for which it is the same.

    A rule that names no type has one filter for all types, under ``*``.
    """
    found: dict[KernelFilter, list[str]] = {}
    for name in sorted(rule.events.names) if not rule.events.others else ["*"]:
        made = kernel_filter(demand(rule.condition, field("evt.type"), name), name)
        if not made.never:
            found.setdefault(made, []).append(name)
    return [(names, made) for made, names in found.items()]


def _judged_outside(rule: Rule, checked: KernelFilter) -> list[str]:
    return sorted({one.name for one in fields_asked(rule.condition)} - checked.facts - {"evt.type", "evt.num"})


def _pushed(rule: Rule) -> list[str]:
    lines = [f"{rule.name}{'' if rule.definition.enabled else ' [disabled]'}"]
    for names, made in filters(rule):
        lines.append(f"  events:      {', '.join(names) if names != ['*'] else 'all'}")
        lines.append(f"  pushed down: {'; '.join(made.told()) or 'nothing but the type of event'}")
        lines.append(f"  user space:  {', '.join(_judged_outside(rule, made)) or 'nothing'}")
    return [one_line(line, 0) for line in lines]


def _pushed_record(rule: Rule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "enabled": rule.definition.enabled,
        "filters": [
            {
                "events": names,
                "scope": made.scope.name.lower(),
                "reads": made.reads,
                "writes": made.writes,
                "paths": None if made.paths is None else sorted(str(pattern) for pattern in made.paths),
                "families": None if made.families is None else sorted(made.families),
                "ports": None if made.ports is None else sorted(made.ports),
                "result": made.result.name.lower(),
                "user_space": _judged_outside(rule, made),
            }
            for names, made in filters(rule)
        ],
    }


# --- JSON -----------------------------------------------------------------------------------------------------------


def _record(loaded: Loaded, chosen: list[Rule], wanted: Wanted) -> dict[str, Any]:
    record: dict[str, Any] = {
        "rules": len(loaded.rules),
        "enabled": sum(rule.definition.enabled for rule in loaded.rules),
        "macros": len(loaded.expander.macros),
        "lists": len(loaded.expander.lists),
        "errors": len(loaded.errors),
        "warnings": len(loaded.problems) - len(loaded.errors),
        "problems": [
            {
                "severity": "warning" if problem.warning else "error",
                "what": problem.what,
                "file": problem.place.document,
                "line": problem.place.line,
                "column": problem.place.column,
                "subject": problem.subject or None,
                "name": problem.name or None,
                "next": problem.next or None,
            }
            for problem in loaded.problems
        ],
    }
    if wanted.listing:
        record["list"] = [_rule_record(rule) for rule in loaded.rules]
    if wanted.pushdown:
        record["pushdown"] = [_pushed_record(rule) for rule in loaded.rules]
    if chosen:
        record["expanded"] = [_rule_record(rule) | _expanded_record(rule) for rule in chosen]
    return record


def _rule_record(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "priority": rule.priority.title,
        "enabled": rule.definition.enabled,
        "tags": rule.definition.tags,
        "file": rule.definition.place.document,
        "line": rule.definition.place.line,
        "events": {"names": sorted(rule.events.names), "others": rule.events.others},
    }


def _expanded_record(rule: Rule) -> dict[str, Any]:
    return {
        "condition": spelled(rule.expanded.whole),
        "operators": sorted(operators_in(rule.expanded.whole)),
        "fields": sorted(fields_in(rule.expanded.whole)),
        "asked": sorted(one.name for one in fields_asked(rule.condition)),
        "output": rule.definition.output.text,
        "output_fields": [slot.name for slot in rule.output.slots],
    }
