"""Conditions written out as Falco writes them, and what they use."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.rules.escapes import quoted_if_needed
from holdfast.rules.nodes import And, Changed, Check, Condition, Exists, FieldUse, Given, Name, Not, Number, Or, Value


def spelled(condition: Condition) -> str:
    """Write a condition as ``falco -L`` prints it."""
    pieces: list[str] = []
    _write(condition, pieces)
    return "".join(pieces)


def _write(condition: Condition, pieces: list[str]) -> None:
    if isinstance(condition, And | Or):
        word = " and " if isinstance(condition, And) else " or "
        for number, part in enumerate(condition.parts):
            pieces.append(word if number else "(")
            _write(part, pieces)
        pieces.append(")")
    elif isinstance(condition, Not):
        pieces.append("not ")
        _write(condition.part, pieces)
    elif isinstance(condition, Exists):
        pieces.append(f"{operand(condition.left)} exists")
    elif isinstance(condition, Name):
        pieces.append(condition.name)
    else:
        how = f"{condition.how} " if condition.how else ""
        pieces.append(f"{operand(condition.left)} {condition.op} {how}{_value(condition.value)}")


def operand(given: Given) -> str:
    """Write a field, or a transformer with what it is given."""
    if isinstance(given, FieldUse):
        return given.name if given.argument is None else f"{given.name}[{quoted_if_needed(given.argument)}]"
    if isinstance(given, Changed):
        argument = "" if given.argument is None else f"[{quoted_if_needed(given.argument)}]"
        return f"{given.name}({', '.join(operand(one) for one in given.given)}){argument}"
    if isinstance(given, Number):
        return given.text
    if isinstance(given, tuple):
        return f"({', '.join(quoted_if_needed(one) for one in given)})"
    written = quoted_if_needed(given)
    return written if written.startswith('"') else f'"{written}"'


def _value(value: Value) -> str:
    if isinstance(value, str):
        return quoted_if_needed(value)
    if isinstance(value, FieldUse):
        return f"val({operand(value)})"
    return operand(value)


def leaves(condition: Condition) -> Iterator[Check | Exists | Name]:
    """Iterate over the comparisons and macros, left to right."""
    open_ = [condition]
    while open_:
        one = open_.pop()
        if isinstance(one, And | Or):
            open_.extend(reversed(one.parts))
        elif isinstance(one, Not):
            open_.append(one.part)
        else:
            yield one


def fields_in(condition: Condition) -> frozenset[str]:
    """Return the fields that a condition asks, with their arguments, as Falco lists them."""
    found: set[str] = set()
    for leaf in leaves(condition):
        if not isinstance(leaf, Name):
            found.update(_fields_of(leaf.left))
        if isinstance(leaf, Check) and isinstance(leaf.value, FieldUse | Changed):
            found.update(_fields_of(leaf.value))
    return frozenset(found)


def _fields_of(given: Given) -> Iterator[str]:
    if isinstance(given, FieldUse):
        yield given.name if given.argument is None else f"{given.name}[{given.argument}]"
    elif isinstance(given, Changed):
        for one in given.given:
            yield from _fields_of(one)


def operators_in(condition: Condition) -> frozenset[str]:
    """Return the operators that a condition uses."""
    found = leaves(condition)
    return frozenset("exists" if isinstance(leaf, Exists) else leaf.op for leaf in found if not isinstance(leaf, Name))
