"""Ways to spell one edit of a YAML text. Each is a whole new text; whoever asks checks which of them is right."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.platforms import _yaml_render as render
from holdfast.platforms._yaml_render import Style
from holdfast.platforms._yaml_spans import Leaf, Node, Value

_SPACE = " \t\r\n"


def style_of(text: str, root: Node, *, json_text: bool) -> Style:
    """Tell how a document is laid out, by the first places that show it."""
    end = text.find("\n")
    newline = "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"
    step = dash = -1
    singles = doubles = 0
    waiting = [root]
    for here in waiting:
        if here.quote:
            singles, doubles = singles + (here.quote == "'"), doubles + (here.quote == '"')
        for key, child in here.entries:
            if not here.flow and not child.flow and child.kind == "mapping" and step < 0 and child.entries:
                step = _column(text, child.entries[0][0].start) - _column(text, key.start)
            if not here.flow and not child.flow and child.kind == "sequence" and dash < 0 and child.items:
                at = _dash(text, child.items[0])
                dash = _column(text, at) - _column(text, key.start) if at >= 0 else dash
            waiting.append(child)
        waiting += here.items
    quote = "'" if singles > doubles else '"'
    step = step if step > 0 else 2
    return Style(newline, step, dash if dash >= 0 else 2, quote, json_text)


# --- replacing --------------------------------------------------------------------------------------------------------


def replaced(text: str, node: Node, value: Value, style: Style, key: Node | None) -> Iterator[str]:
    """Put a value in the place of a node."""
    if isinstance(value, Leaf):
        spelled = render.scalar(value, style, node.quote)
        if node.kind == "scalar" or node.flow or node.kind == "alias":
            yield _over(text, node, spelled)
        else:
            yield from _over_block(text, node, spelled)
        return
    quote = _quote_of(node)
    if node.kind in {"mapping", "sequence"} and not node.flow:
        if not value:
            yield from _over_block(text, node, "[]" if isinstance(value, list) else "{}")
            if key is not None:
                yield _behind_key(text, node, "[]" if isinstance(value, list) else "{}", key)
        return
    if value and key is not None and not node.flow and not style.json:
        yield from _as_block(text, node, value, style, key)
    yield _over(text, node, render.flow(value, style, quote))


def over_alias(text: str, node: Node, key: str, part: Value, style: Style) -> Iterator[str]:
    """Put in the place of an alias to a mapping one that merges it and says one key itself."""
    merged = f"<<: *{node.anchor}, {render.scalar(Leaf(key), style)}: {render.flow(part, style)}"
    yield _over(text, node, "{" + merged + "}")


def _over(text: str, node: Node, spelled: str) -> str:
    lead = " " if text[node.start - 1 : node.start] in {":", "-"} and node.start == node.end else ""
    return text[: node.start] + lead + spelled + text[node.end :]


def _as_block(text: str, node: Node, value: Value, style: Style, key: Node) -> Iterator[str]:
    """Put lines below the key in the place of a scalar or an alias behind it; a comment there stays."""
    _, *lines = render.block(value, _column(text, key.start), style)
    end = _line_end(text, node.end)
    kept = text[node.end : end].strip(_SPACE)
    begin = _back(text, node.start)
    kept = f"  {kept}" if kept else ""
    body = style.newline.join(lines)
    yield text[:begin] + kept + style.newline + body + text[_content_end(text, end) :]


def _over_block(text: str, node: Node, spelled: str) -> Iterator[str]:
    """Put one word behind the key in the place of the lines below it."""
    first = node.entries[0][0].start if node.entries else _dash(text, node.items[0]) if node.items else node.start
    begin = _back(text, first)
    if begin <= 0 or text[begin - 1] not in ":-":
        return
    line = _line_start(text, first)
    if line < begin:
        yield text[:begin] + " " + spelled + text[node.end :]
        return
    end = _line_end(text, node.end)
    yield text[:begin] + " " + spelled + text[begin:line] + text[_after(text, end) :]


def _behind_key(text: str, node: Node, spelled: str, key: Node) -> str:
    """Put one word behind the key in the place of the lines below it; a comment behind the key stays."""
    colon = text.find(":", key.end) + 1
    end = _line_end(text, colon)
    below = _content_end(text, _line_end(text, node.end))
    return text[:colon] + " " + spelled + text[colon : _content_end(text, end)] + text[below:]


# --- adding -----------------------------------------------------------------------------------------------------------


def key_added(text: str, node: Node, key: str, value: Value, style: Style) -> Iterator[str]:
    """Add a key to a mapping, behind its last one where that can be."""
    if node.flow:
        pair = f"{render.scalar(Leaf(key), style)}: {render.flow(value, style)}"
        yield from _into_flow(text, node, [(name.start, child.end) for name, child in node.entries], pair, style)
        return
    indent = _column(text, node.entries[0][0].start)
    lines = render.pair_lines(key, value, indent, style)
    for _, child in reversed(node.entries):
        yield _lines_after(text, child.end, lines, style)
    start = _line_start(text, node.entries[0][0].start)
    if not text[start : node.entries[0][0].start].strip(" "):
        yield text[:start] + style.newline.join(lines) + style.newline + text[start:]


def item_added(text: str, node: Node, value: Value, style: Style) -> Iterator[str]:
    """Add an element to a list, behind its last one."""
    quote = _quote_of(node)
    if node.flow:
        spans = [(item.start, item.end) for item in node.items]
        yield from _into_flow(text, node, spans, render.flow(value, style, quote), style)
        return
    dash = _dash(text, node.items[0])
    if dash >= 0:
        lines = render.item_lines(value, _column(text, dash), style, quote)
        yield _lines_after(text, node.items[-1].end, lines, style)


def _lines_after(text: str, at: int, lines: list[str], style: Style) -> str:
    end = _line_end(text, at)
    body = style.newline.join(lines)
    if end == len(text):
        return text + style.newline + body
    after = _after(text, end)
    return text[:after] + body + style.newline + text[after:]


def _into_flow(text: str, node: Node, spans: list[tuple[int, int]], spelled: str, style: Style) -> Iterator[str]:
    if not spans:
        inner = node.end - 1
        opening = max(text.rfind("[", node.start, inner), text.rfind("{", node.start, inner))
        if not text[opening + 1 : inner].strip(_SPACE):
            yield text[: opening + 1] + spelled + text[inner:]
        yield text[:inner] + spelled + text[inner:]
        return
    start, at = spans[-1]
    at = max(start, at)
    line = _line_start(text, start)
    lead = text[line:start]
    end = _content_end(text, _line_end(text, at))
    if (len(spans) > 1 or line > node.start) and not lead.strip(" \t"):
        if end < node.end:
            # A comment behind the last element stays with it; a comma behind it stays a habit of this list.
            comma = text[at:end].lstrip(" \t").startswith(",")
            head = text[:end] if comma else text[:at] + "," + text[at:end]
            yield head + style.newline + lead + spelled + ("," if comma else "") + text[end:]
        yield text[:at] + "," + style.newline + lead + spelled + text[at:]
    yield text[:at] + ", " + spelled + text[at:]


# --- removing ---------------------------------------------------------------------------------------------------------


def removed(text: str, node: Node, index: int) -> Iterator[str]:
    """Take an entry or an element out, with its line where it has lines of its own."""
    if node.kind == "mapping":
        spans = [(key.start, max(key.end, child.end)) for key, child in node.entries]
    elif node.flow:
        spans = [(item.start, item.end) for item in node.items]
    else:
        spans = [(_dash(text, item), max(item.end, _dash(text, item) + 1)) for item in node.items]
    start, end = spans[index]
    if start < 0:
        return
    if node.flow:
        yield from _from_flow(text, node, spans, index)
        return
    line = _line_start(text, start)
    if not text[line:start].strip(" "):
        if len(spans) == 1:
            yield from _over_block(text, node, "{}" if node.kind == "mapping" else "[]")
            return
        yield text[:line] + text[_after(text, _line_end(text, end)) :]
        return
    if index + 1 < len(spans):
        following = spans[index + 1][0]
        if "#" not in text[end:following]:
            yield text[:start] + text[following:]
    yield text[:start].rstrip(" ") + text[_content_end(text, _line_end(text, end)) :]
    yield text[:start] + ("{}" if node.kind == "mapping" else "[]") + text[end:]


def _from_flow(text: str, node: Node, spans: list[tuple[int, int]], index: int) -> Iterator[str]:
    start, end = spans[index]
    if len(spans) == 1:
        close = node.end - 1
        opening = node.start + min(at for at in (text[node.start :].find("["), text[node.start :].find("{")) if at >= 0)
        yield text[: opening + 1] + text[close:]
        yield text[:start] + text[end:]
        return
    if index + 1 < len(spans):
        yield text[:start] + text[spans[index + 1][0] :]
        return
    before = spans[index - 1][1]
    if "#" not in text[before:start]:
        yield text[:before] + text[end:]
    line = _line_start(text, start)
    yield text[:line] + text[_after(text, _line_end(text, end)) :]


# --- offsets ----------------------------------------------------------------------------------------------------------


def _quote_of(node: Node) -> str:
    quotes = {item.quote for item in node.items if item.kind == "scalar"}
    return quotes.pop() if len(quotes) == 1 else ""


def _dash(text: str, item: Node) -> int:
    """Return the offset of the dash of an element; -1 where it cannot be told."""
    at = item.start
    while at > 0 and text[at - 1] in _SPACE:
        at -= 1
    if at > 0 and text[at - 1] == "-":
        return at - 1
    line = _line_start(text, at)
    lead = text[line:at].lstrip(" ")
    return at - len(lead) if lead.startswith("- ") and "#" in lead else -1


def _column(text: str, at: int) -> int:
    return at - _line_start(text, at)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """Return the offset of the line end at or behind an offset; the end of the text where there is none."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _content_end(text: str, end: int) -> int:
    return end - 1 if end > 0 and end < len(text) and text[end - 1] == "\r" else end


def _after(text: str, end: int) -> int:
    return min(end + 1, len(text))


def _back(text: str, at: int) -> int:
    """Return the offset behind the last character before this one that is no space."""
    while at > 0 and text[at - 1] in _SPACE:
        at -= 1
    return at
