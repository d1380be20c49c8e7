"""Exceptions of rules: what they must look like, and the condition that they add.

Source:
    falcosecurity/falco, ``userspace/engine/rule_loader_{collector,compiler}.cpp``
"""

from __future__ import annotations

from holdfast.rules.condition import LIST_OPERATORS, OPERATORS
from holdfast.rules.definitions import Entry, RuleException
from holdfast.rules.fields import UnknownField, field
from holdfast.rules.problems import Wrong

_MODIFIERS = ("oneof", "anyof", "allof")
_LISTED = frozenset(LIST_OPERATORS)


def check(given: RuleException, *, known_source: bool) -> None:
    """Check an exception that brings its fields, and fill its operators in where it names none.

    Raises:
        Wrong: It cannot become a condition.
    """
    if given.fields is None:
        raise Wrong(f"the exception {given.name!r} has no fields", given.place, "give it: fields: [...]")
    if isinstance(given.fields, tuple):
        _check_several(given, given.fields)
    else:
        _check_one(given)
    if known_source:
        for name in given.fields if isinstance(given.fields, tuple) else (given.fields,):
            _check_field(given, name)


def _check_several(given: RuleException, fields: tuple[Entry, ...]) -> None:
    if given.comps is None:
        given.comps = ("=",) * len(fields)
    if not isinstance(given.comps, tuple) or len(given.comps) != len(fields):
        raise Wrong(f"the exception {given.name!r} has as many comps as fields or none", given.place)
    for comp in given.comps:
        if not isinstance(comp, str) or _plain(comp) not in OPERATORS:
            raise Wrong(f"the exception {given.name!r} compares with {comp!r}, which is no operator", given.place)


def _check_one(given: RuleException) -> None:
    comp = "in" if given.comps is None else given.comps
    several = isinstance(comp, str) and (comp in _LISTED or (_plain(comp) in OPERATORS and _plain(comp) != comp))
    if not several:
        raise Wrong(
            f"the exception {given.name!r} has one field, so comps is one of in, pmatch, intersects", given.place
        )
    given.comps = comp


def _plain(comp: str) -> str:
    """Return the operator without ``oneof``, ``anyof`` or ``allof`` behind it."""
    op, _, how = comp.rpartition(" ")
    return op.strip() if how in _MODIFIERS else comp


def _check_field(given: RuleException, name: Entry) -> None:
    if not isinstance(name, str):
        raise Wrong(f"the exception {given.name!r} has a list in place of a field", given.place)
    if "(" in name:
        return  # a transformer; the condition that comes of it is checked
    try:
        field(name)
    except UnknownField as error:
        raise Wrong(f"the exception {given.name!r}: {error.what}", given.place) from error


def condition_of(exceptions: list[RuleException]) -> str:
    """Return what exceptions add to a condition: nothing, or " and not ..." for each that has values.

    Raises:
        Wrong: A row of values does not fit the fields.
    """
    return "".join(f" and not {one}" for one in (_one(given) for given in exceptions) if one)


def _one(given: RuleException) -> str:
    if isinstance(given.fields, tuple) and isinstance(given.comps, tuple):
        rows = [_row(given, given.fields, given.comps, row) for row in given.values]
        return f"({' or '.join(rows)})" if rows else ""
    values: list[str] = []
    for value in given.values:
        if not isinstance(value, str):
            raise Wrong(f"the exception {given.name!r} has one field, so its values are no lists", given.place)
        values.append(quoted_item(value))
    return f"({given.fields} {given.comps} ({', '.join(values)}))" if values else ""


def _row(given: RuleException, fields: tuple[Entry, ...], comps: tuple[Entry, ...], row: Entry) -> str:
    if not isinstance(row, tuple) or len(row) != len(fields):
        raise Wrong(
            f"the exception {given.name!r} has {len(fields)} fields and a row of values of another length",
            given.place,
            "give each row as many values as there are fields",
        )
    parts: list[str] = []
    for name, comp, value in zip(fields, comps, row, strict=True):
        if isinstance(value, tuple):
            if not all(isinstance(one, str) for one in value):
                raise Wrong(f"the exception {given.name!r} has lists in lists of values", given.place)
            written = f"({', '.join(quoted_item(str(one)) for one in value)})"
        elif comp in _LISTED or (isinstance(comp, str) and _plain(comp) != comp):
            written = value if value.startswith("(") else f"({value})"
        else:
            written = quoted_item(value)
        parts.append(f"{name} {comp} {written}")
    return f"({' and '.join(parts)})"


def quoted_item(value: str) -> str:
    """Put an item with a blank into double quotes, where it has none."""
    return f'"{value}"' if " " in value and value[0] not in {'"', "'"} else value
