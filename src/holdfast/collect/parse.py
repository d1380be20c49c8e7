"""Bytes to trees: YAML and JSON with the line of every key and value, before any dialect gives a scalar its meaning.

Parsing is bounded: by the size of the document, by depth, by the number of nodes, and by how much aliases may expand
to. What cannot be read becomes a ``NotUnderstood`` with a line; what stands around it is still read.
"""

from __future__ import annotations

import codecs
import gc
import re

from holdfast.collect.parse_json import read_json
from holdfast.collect.parse_limits import Refused
from holdfast.model.errors import NotUnderstood
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document, Node

LIMIT_BYTES = 32 * 1024 * 1024
"""Largest document that is parsed. A list of 5,000 Pods, as kubectl prints it, is a quarter of that."""

_TEXTS = (
    ".sh", ".bash", ".zsh", ".ksh", ".env", ".service", ".mk", ".md", ".markdown", ".rst", ".txt", ".ps1", ".bat",
    ".cmd",
)  # fmt: skip
"""Endings of files that matter as text."""
_TEXT_NAMES = ("makefile", "gnumakefile", "justfile", "dockerfile", "containerfile")
"""Whole names of such files."""

_LOOKS_LIKE_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[\]{"])')

_MARKS = (
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF8, "utf-8"),
)


def parse(name: str, data: bytes) -> tuple[Document, tuple[NotUnderstood, ...]]:
    """Parse one file or answer.

    JSON is recognised by its first character and read as JSON; what is not JSON in spite of it, such as YAML in flow
    style, is read as YAML. Shell scripts, unit files, Makefiles and notes are kept as text. A document that is broken
    does not take the others of its file with it: reading goes on at the next ``---``.

    Args:
        name: Path or address, as it shall stand in every place.
        data: The whole content.

    Returns:
        The document, with one root for each YAML or JSON document that could be read, and the troubles. Never raises
        for what the data hold.

    Source:
        https://yaml.org/spec/1.2.2/#52-character-encodings
        https://www.rfc-editor.org/rfc/rfc8259
    """
    if len(data) > LIMIT_BYTES:
        return Document(name), (
            NotUnderstood(
                f"the file has {len(data)} bytes; more than {LIMIT_BYTES} are not parsed",
                name,
                "split it, or scan the part that describes containers",
            ),
        )
    if is_text(name) or data.startswith(b"#!"):
        return as_text(name, data), ()
    try:
        text = _decoded(data)
    except Refused as refusal:
        return Document(name), (refusal.trouble(name),)
    collecting = gc.isenabled()
    # Trees have no circles, so there is nothing to collect while they grow; looking for it takes a fifth of the time.
    gc.disable()
    try:
        return _parsed(name, text)
    finally:
        if collecting:
            gc.enable()


def _parsed(name: str, text: str) -> tuple[Document, tuple[NotUnderstood, ...]]:
    first = text.lstrip(" \t\r\n")[:1]
    if first not in {"{", "["}:
        return _yaml(name, text)
    roots, refusal_json = read_json(text)
    if refusal_json is None:
        return _document(name, roots), ()
    trouble = refusal_json.trouble(name)
    if refusal_json.final or name.endswith(".json"):
        return _document(name, roots), (trouble,)
    document, problems = _yaml(name, text)
    if problems and len(document.roots) <= len(roots) and _LOOKS_LIKE_JSON.match(text):
        return _document(name, roots), (trouble,)
    return document, problems


def is_text(name: str) -> bool:
    """Tell by its name whether a file matters as text."""
    lower = name.rpartition("/")[2].lower()
    return lower.endswith(_TEXTS) or lower in _TEXT_NAMES


def as_text(name: str, data: bytes) -> Document:
    """Keep a file as text. Bytes that are no text stand as U+FFFD: a shell does not mind them in a comment either."""
    encoding, body = _encoding(data)
    return Document(name, body[:LIMIT_BYTES].decode(encoding, "replace"))


def _yaml(name: str, text: str) -> tuple[Document, tuple[NotUnderstood, ...]]:
    # PyYAML takes 12 ms to import; a scan that meets no YAML does not pay for it.
    from holdfast.collect.parse_yaml import read_yaml  # noqa: PLC0415

    roots, refusals = read_yaml(text)
    return _document(name, roots), tuple(refusal.trouble(name) for refusal in refusals)


def _document(name: str, roots: list[Node]) -> Document:
    return Document(name, roots=tuple(Cursor(root, Where(name, "", root.line)) for root in roots))


def _decoded(data: bytes) -> str:
    encoding, body = _encoding(data)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(encoding, "replace")
        what = "the file is binary" if b"\0" in body[:8192] else f"the file is not valid {encoding.upper()}"
        raise Refused(what, "save it as UTF-8 text", before.count("\n") + 1) from error
    zero = text.find("\0")
    if zero >= 0:
        raise Refused("the file holds a zero byte", "if it is text, save it as UTF-8", text.count("\n", 0, zero) + 1)
    return text


def _encoding(data: bytes) -> tuple[str, bytes]:
    """Tell by the byte order mark, else by the zero bytes around the first character; UTF-8 where neither speaks."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name, data[len(mark) :]
    return _guessed(data[:4]), data


def _guessed(start: bytes) -> str:
    if start[:3] == b"\0\0\0" and len(start) == 4:
        return "utf-32-be"
    if start[1:] == b"\0\0\0":
        return "utf-32-le"
    if start[:1] == b"\0" and start[1:2] not in {b"", b"\0"}:
        return "utf-16-be"
    if start[1:2] == b"\0" and start[:1] != b"\0":
        return "utf-16-le"
    return "utf-8"
