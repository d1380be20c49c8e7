"""How new values are spelled: quotes only where they are needed, in the style of what stands around them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.platforms._yaml_spans import Leaf, Value, plainly_text

_PLAIN = re.compile(r"[A-Za-z0-9_./@:+~<>*-]+\Z")


@dataclass(frozen=True, slots=True)
class Style:
    """What a document looks like.

    Attributes:
        newline: Its line ends.
        step: Spaces by which a mapping is indented below its key.
        dash: Spaces by which a dash is indented below the key of its list.
        quote: The quote it prefers.
        json: It is JSON, and stays JSON.
    """

    newline: str = "\n"
    step: int = 2
    dash: int = 2
    quote: str = '"'
    json: bool = False


def scalar(leaf: Leaf, style: Style, quote: str = "") -> str:
    """Spell a scalar.

    Args:
        leaf: What it says.
        style: Of the document.
        quote: The quote that the scalar had, or that its neighbours have; empty for none.
    """
    if not leaf.string:
        if style.json and leaf.text not in {"true", "false", "null"} and not _is_number(leaf.text):
            return json.dumps(leaf.text, ensure_ascii=False)
        return leaf.text or "null"
    if style.json:
        return json.dumps(leaf.text, ensure_ascii=False)
    if not quote and plainly_text(leaf.text):
        return leaf.text
    if (quote or style.quote) == "'" and leaf.text.isprintable():
        return "'" + leaf.text.replace("'", "''") + "'"
    return json.dumps(leaf.text, ensure_ascii=not leaf.text.isprintable())


def _is_number(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def flow(value: Value, style: Style, quote: str = "") -> str:
    """Spell a value on one line."""
    if isinstance(value, Leaf):
        return scalar(value, style, quote)
    if isinstance(value, list):
        return "[" + ", ".join(flow(item, style, quote) for item in value) + "]"
    pairs = (f"{scalar(Leaf(key), style)}: {flow(child, style, quote)}" for key, child in value.items())
    return "{" + ", ".join(pairs) + "}"


def block(value: Value, indent: int, style: Style, quote: str = "") -> list[str]:
    """Spell a value on lines of its own, or on none: the first element is what follows the key on its own line."""
    if isinstance(value, Leaf) or not value:
        return [" " + flow(value, style, quote)]
    if isinstance(value, list):
        return ["", *_items(value, indent + style.dash, style, quote)]
    return ["", *_pairs(value, indent + style.step, style, quote)]


def _items(items: list[Value], indent: int, style: Style, quote: str) -> Iterator[str]:
    for item in items:
        yield from item_lines(item, indent, style, quote)


def item_lines(item: Value, indent: int, style: Style, quote: str = "") -> list[str]:
    """Spell one element of a list, its dash included."""
    dash = " " * indent + "- "
    if isinstance(item, dict) and item:
        lines = list(_pairs(item, indent + 2, style, quote))
        return [dash + lines[0].lstrip(" "), *lines[1:]]
    return [dash + flow(item, style, quote)]


def _pairs(table: dict[str, Value], indent: int, style: Style, quote: str) -> Iterator[str]:
    for key, child in table.items():
        yield from pair_lines(key, child, indent, style, quote)


def pair_lines(key: str, value: Value, indent: int, style: Style, quote: str = "") -> list[str]:
    """Spell one key with its value."""
    first, *rest = block(value, indent, style, quote)
    return [f"{' ' * indent}{scalar(Leaf(key), style)}:{first}", *rest]
