"""Parsing: trees, lines, bounds, and what becomes of bytes that are no document."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from holdfast.collect import parse as parse_module
from holdfast.collect import parse_limits, parse_yaml
from holdfast.collect.parse import LIMIT_BYTES, parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.tree import Document, Mapping, Node, Scalar, Sequence


def one(text: str | bytes) -> Node:
    document, problems = parse("file", text.encode() if isinstance(text, str) else text)
    assert not problems, problems
    assert len(document.roots) == 1
    return document.roots[0].node


def plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: plain(child) for key, child in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(child) for child in node.elements]
    return node.value if node.typed else node.text


def trouble(data: str | bytes) -> NotUnderstood:
    _, problems = parse("file", data.encode() if isinstance(data, str) else data)
    assert problems
    return problems[0]


def entry(node: Node, *keys: str) -> Any:
    for key in keys:
        assert isinstance(node, Mapping)
        node = node.entries[key]
    return node


def test_lines_of_yaml_keys_and_values() -> None:
    root = one("# comment\na: 1\nb:\n  c:\n\n    - x\n    - {y: 2,\n       z: 3}\nd: |\n  text\n  more\ne: f\n")
    assert isinstance(root, Mapping)
    assert root.key_lines == {"a": 2, "b": 3, "d": 9, "e": 12}
    listed = entry(root, "b", "c")
    assert [element.line for element in listed.elements] == [6, 7]
    assert listed.elements[1].key_lines == {"y": 7, "z": 8}
    assert entry(root, "d").text == "text\nmore\n"


def test_lines_of_windows_text() -> None:
    assert entry(one("a: 1\r\nb:\r\n  c: 2\r\n"), "b").key_lines == {"c": 3}


def test_scalars_stay_as_written() -> None:
    root = one("a: on\nb: 'on'\nc: 0o0\nd: !!str yes\ne: ! 'no'\nf:\ng: !custom x\nh: |-\n  on\n")
    assert entry(root, "a") == Scalar("on", 1, True)
    assert entry(root, "b") == Scalar("on", 2, False)
    assert entry(root, "c") == Scalar("0o0", 3, True)
    assert entry(root, "d") == Scalar("yes", 4, True, "!!str")
    assert entry(root, "e") == Scalar("no", 5, True), "the non-specific tag makes a quoted scalar plain (libyaml)"
    assert entry(root, "f") == Scalar("", 6, True)
    assert entry(root, "g") == Scalar("x", 7, True, "!custom")
    assert entry(root, "h") == Scalar("on", 8, False)


def test_tags_of_collections() -> None:
    root = one("a: !reset []\nb: !override {c: 1}\n")
    assert entry(root, "a").tag == "!reset"
    assert entry(root, "b").tag == "!override"


def test_duplicates_are_told_and_the_last_wins() -> None:
    root = one("a: 1\nb: 2\na: 3\n")
    assert isinstance(root, Mapping)
    assert plain(root) == {"a": "3", "b": "2"}
    assert root.duplicates == [("a", 3)]
    assert root.key_lines["a"] == 3


def test_aliases_share_nodes() -> None:
    root = one("a: &x {k: v}\nb: *x\nc: &y scalar\n*y : as a key\n")
    assert entry(root, "a") is entry(root, "b")
    assert plain(root)["scalar"] == "as a key"
    assert root.key_lines["scalar"] == 4  # type: ignore[union-attr]


def test_an_anchor_may_be_set_anew_within_its_own_value() -> None:
    assert plain(one("- &a [&a x, *a]\n- *a\n")) == [["x", "x"], "x"]


@pytest.mark.parametrize(
    ("text", "spec", "late"),
    [
        ("x: &x {p: 1, q: 2}\ny: {<<: *x, p: 0}", {"p": "0", "q": "2"}, None),
        ("x: &x {p: 1, q: 2}\ny: {p: 0, <<: *x}", {"p": "0", "q": "2"}, {"p": "1"}),
        ("x: &x {p: 1}\ny: {p: 0, <<: *x, p: 5}", {"p": "5"}, None),
        ("x: &x {p: 1}\nz: &z {p: 2, r: 3}\ny: {<<: [*x, *z]}", {"p": "1", "r": "3"}, None),
        ("x: &x {p: 1}\nz: &z {r: 3, <<: *x}\ny: {<<: *z}", {"p": "1", "r": "3"}, None),
        ("x: &x {p: 1}\nz: &z {p: 3, <<: *x}\ny: {<<: *z}", {"p": "3"}, {"p": "1"}),
        ("y: {'<<': {p: 1}}", {"<<": {"p": "1"}}, None),
        ("y: {<<: {p: {q: 1}}, r: {<<: {s: 2}}}", {"p": {"q": "1"}, "r": {"s": "2"}}, None),
    ],
)
def test_merge_keys(text: str, spec: object, late: object) -> None:
    merged = entry(one(text), "y")
    assert plain(merged) == spec
    assert ({key: plain(node) for key, node in merged.late.items()} if merged.late else None) == late


def test_a_merged_key_keeps_the_line_where_it_is_written() -> None:
    assert entry(one("x: &x\n  p: 1\ny:\n  <<: *x\n"), "y").key_lines == {"p": 2}


@pytest.mark.parametrize("value", ["1", "[1]", "[{a: 1}, 2]", ""])
def test_a_merge_of_something_else_is_refused(value: str) -> None:
    assert "<<" in trouble(f"a:\n  <<: {value}\n").what
    assert trouble(f"a:\n  <<: {value}\n").line == 2


def test_several_documents() -> None:
    document, problems = parse("file", b"---\na: 1\n---\n# nothing\n---\nb: 2\n...\n---\n- c\n")
    assert not problems
    assert [plain(root.node) for root in document.roots] == [{"a": "1"}, {"b": "2"}, ["c"]]
    assert [root.where.line for root in document.roots] == [2, 6, 9]
    assert str(document.roots[1].get("b").where) == "file:6"  # type: ignore[union-attr]


def test_a_broken_document_leaves_the_others() -> None:
    document, problems = parse("file", b"a: 1\n---\nb: [1\n---\nc: 2\n---\nd: *none\n---\ne: 3\n")
    assert [plain(root.node) for root in document.roots] == [{"a": "1"}, {"c": "2"}, {"e": "3"}]
    assert [problem.line for problem in problems] == [4, 7]
    assert [root.where.line for root in document.roots] == [1, 5, 9]
    assert all(problem.where == f"file:{problem.line}" and problem.next for problem in problems)


def test_broken_documents_without_end() -> None:
    _, problems = parse("file", b"---\na: [\n" * 100_000)
    assert 2 < len(problems) < 50


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n\tb: 2\n", 2, "tab"),
        ("a:\n\t- x\n", 2, "spaces"),
        ("a: {{ .Values.x }}\n", 1, "template"),
        ("a: 1\nb: }\n", 2, "correct"),
        ("a: 'open\nb: 2\n", 1, "correct"),
        ("a: &x [1, *x]\n", 1, "contains itself"),
        ("a: *nobody\n", 1, "no anchor"),
        ("a: 1\n? [x]\n: 2\n", 2, "key is a list"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("a: 1\nb: \x00\n", 2, "zero byte"),
        ('{"a": 1,\n "b": }', 2, "not JSON"),
        ('{"a": "line\nbreak"}', 1, "not JSON"),
        ('{"a": 1}\n{"b": ', 2, "not JSON"),
    ],
)
def test_troubles_name_the_line_and_what_to_do(text: str, line: int, words: str) -> None:
    _, problems = parse("file.json" if text.startswith("{") else "file", text.encode())
    assert len(problems) == 1
    assert problems[0].line == line
    assert words in f"{problems[0].what} {problems[0].next}"
    assert problems[0].next


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("text", ["a: 1\nb: ä€😀\n", '{"a": "1",\n"b": "ä€😀"}'])
def test_encodings(encoding: str, text: str) -> None:
    root = one(text.encode(encoding))
    assert plain(root) == {"a": "1", "b": "ä€😀"}
    assert root.key_lines == {"a": 1, "b": 2}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01\0\0\0\0" * 9,
        b"PK\x03\x04\x14\0\x08\0",
        b"a: \xff\xfe",
        bytes(range(256)),
        b"\xff\xfea",
        b"\x1f\x8b\x08\0\xff\xfe\xfd",
    ],
)
def test_binary_files(data: bytes) -> None:
    document, problems = parse("file", data)
    assert not document.roots
    assert problems[0].line
    assert problems[0].next


def test_invalid_utf8_names_its_line() -> None:
    assert trouble(b"a: 1\nb: 2\nc: \xe4\n").line == 3


def test_nothing_in_it() -> None:
    for data in (b"", b"\n\n", b"# comment\n", b"---\n", b"\xef\xbb\xbf"):
        assert parse("file", data) == (Document("file"), ())


def test_scripts_stay_text() -> None:
    assert parse("run.sh", b"docker run -v /:/host busybox\n")[0] == Document(
        "run.sh", "docker run -v /:/host busybox\n"
    )
    assert parse("run", b"#!/bin/sh\ndocker run x: [\n")[0].text.startswith("#!/bin/sh")


# --- JSON --------------------------------------------------------------------------------------------------------


def test_json_lines_and_types() -> None:
    root = one('\n{\n "a": [1, -2.5e1,\n  true, null],\n\n "b": {"c": "x\\ny"}}\n')
    assert root.line == 2
    assert root.key_lines == {"a": 3, "b": 6}  # type: ignore[union-attr]
    assert [(element.value, element.line) for element in entry(root, "a").elements] == [
        (1, 3), (-25.0, 3), (True, 4), (None, 4),
    ]  # fmt: skip
    assert entry(root, "b", "c") == Scalar("x\ny", 6, False, "", "x\ny", True)


def test_json_streams_and_flow_yaml() -> None:
    document, problems = parse("file", b'{"a": 1}\n{"b": 2}\n')
    assert not problems
    assert [root.where.line for root in document.roots] == [1, 2]
    assert plain(one("{a: 1, b: [c]}")) == {"a": "1", "b": ["c"]}
    document, problems = parse("file.yaml", b'{"a": 1}\n---\nb: 2\n')
    assert not problems
    assert len(document.roots) == 2


def test_json_duplicates_and_half_characters() -> None:
    root = one('{"a": 1,\n"a": "\\ud800"}')
    assert root.duplicates == [("a", 2)]  # type: ignore[union-attr]
    assert plain(root)["a"].encode()


def test_json_numbers_without_end() -> None:
    assert plain(one("[" + "9" * 5000 + "]")) == [float("inf")]


# --- bounds ------------------------------------------------------------------------------------------------------


def test_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LIMIT_BYTES >= 16 * 1024 * 1024
    monkeypatch.setattr(parse_module, "LIMIT_BYTES", 10)
    assert "not parsed" in trouble("a: 0123456789").what
    assert one("a: 01234") is not None


@pytest.mark.parametrize("text", ["[", "{a: ", "- ", '{"a":', "? "])
def test_depth(text: str) -> None:
    started = time.process_time()
    assert "deeper" in trouble(text * 100_000).what
    assert time.process_time() - started < 10


def test_depth_that_is_still_read() -> None:
    assert one("[" * 150 + "]" * 150) is not None
    assert one("[" * 150 + "1" + "]" * 150 + " # not JSON") is not None


@pytest.mark.parametrize("text", ["- x\n" * 200, json.dumps(list(range(200)))])
def test_number_of_nodes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.collect import parse_json

    monkeypatch.setattr(parse_yaml, "NODES", 100)
    monkeypatch.setattr(parse_json, "NODES", 100)
    assert "values in one file" in trouble(text).what


def _bomb(levels: int) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_alias_bombs() -> None:
    assert "aliases" in trouble(_bomb(30)).what
    assert plain(one(_bomb(2)))["l1"][8] == ["x"] * 9


def test_a_merge_bomb() -> None:
    keys = ", ".join(f"k{n}: v" for n in range(3000))
    text = f"a: &a {{{keys}}}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(3000))
    assert "aliases" in trouble(text).what


def test_the_rule_of_go_yaml_for_aliases() -> None:
    assert not parse_limits.aliases_explode(1000, 999)
    assert not parse_limits.aliases_explode(400_000, 395_000)
    assert parse_limits.aliases_explode(400_000, 397_000)
    assert parse_limits.aliases_explode(4_000_000, 500_000)
    assert not parse_limits.aliases_explode(4_000_000, 300_000)


# --- laws --------------------------------------------------------------------------------------------------------

_keys = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_keys, _json, max_size=5), st.sampled_from([None, 1, 3]))
def test_json_means_what_the_json_module_says(value: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert plain(one(text)) == json.loads(text)


@given(st.dictionaries(_keys.filter(str.isprintable), _json, min_size=1, max_size=5), st.booleans())
def test_yaml_trees_and_lines_are_those_of_pyyaml(value: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    document, problems = parse("file.yaml", b"# first line\n" + text.encode())
    assert not problems
    _same(document.roots[0].node, yaml.compose(text))


def _same(node: Node, other: yaml.Node | None) -> None:
    assert other is not None
    assert node.line == other.start_mark.line + 2
    if isinstance(other, yaml.MappingNode):
        assert isinstance(node, Mapping)
        for key, child in other.value:
            assert node.key_lines[key.value] == key.start_mark.line + 2
            _same(node.entries[key.value], child)
    elif isinstance(other, yaml.SequenceNode):
        assert isinstance(node, Sequence)
        for element, child in zip(node.elements, other.value, strict=True):
            _same(element, child)
    else:
        assert isinstance(node, Scalar)
        assert node.text == other.value


_pieces = st.sampled_from(
    [
        *(piece.encode() for piece in ("a", ": ", "- ", "  ", "[", "]", "{", "}", ",", '"', "'", "&a ", "*a", "<<: ")),
        *(
            piece.encode()
            for piece in ("!!x ", "|\n", ">", "#", "? ", "1", "null", "\\u", "\t", "\n", "---\n", "...\n")
        ),
        *(b"%YAML 1.1\n", b"\xff", b"\0", b"\xef\xbb\xbf", b"\xc2\x85"),
    ]
)


@settings(max_examples=400)
@given(st.binary(max_size=200) | st.lists(_pieces, max_size=40).map(b"".join))
@example(b"\xff\xfe\x00\x00")
@example(b"\x00a")
@example(b"&a *a : 1")
def test_no_bytes_make_it_fail(data: bytes) -> None:
    for name in ("file", "file.json", "file.yaml"):
        document, problems = parse(name, data)
        assert isinstance(document, Document)
        lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\x85") + 2
        for problem in problems:
            assert isinstance(problem, NotUnderstood)
            assert problem.what
            assert problem.next
            assert 1 <= problem.line <= lines


@given(st.lists(_pieces, max_size=30).map(b"".join))
def test_the_slow_parser_agrees_where_both_read(data: bytes) -> None:
    # A byte order mark within the text, and U+0085 beside it, are read differently by the two.
    assume(b"\xef\xbb\xbf" not in data)
    fast = parse("file.yaml", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "yaml._yaml", None)
        slow = parse("file.yaml", data)
    if not fast[1] and not slow[1]:
        assert [plain(root.node) for root in fast[0].roots] == [plain(root.node) for root in slow[0].roots]


def test_the_slow_parser_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml._yaml", None)
    assert plain(one("a: &x [1, 'b']\nc: *x\n")) == {"a": ["1", "b"], "c": ["1", "b"]}
    assert "U+0007" in trouble("a: \x07").what
    assert "libyaml" in trouble("a: b\n" * 300_000).what
