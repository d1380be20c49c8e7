"""Outputs: text and values, missing ones, widths, transformers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rules.fields import field
from holdfast.rules.output import BadOutput, compile_output


def rendered(text: str, **answers: Any) -> str:
    table = {field(name.replace("__", ".")): value for name, value in answers.items()}
    return compile_output(text).render(table.get)


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("plain", {}, "plain"),
        ("by %proc.name", {"proc__name": "sh"}, "by sh"),
        ("by %proc.name", {}, "by <NA>"),
        ("by %proc.name.", {"proc__name": "sh"}, "by sh."),
        ("%proc.name,%fd.name|%fd.num", {"proc__name": "sh", "fd__num": 3}, "sh,<NA>|3"),
        ("(%proc.name)", {"proc__name": "sh"}, "(sh)"),
        ("%proc.namex", {}, "<NA>x"),
        ("%proc.pid.ts!", {}, "<NA>!"),
        ("[%5proc.name]", {"proc__name": "sh"}, "[sh   ]"),
        ("[%2proc.name]", {"proc__name": "bash"}, "[ba]"),
        ("%tolower(proc.name)", {"proc__name": "SH"}, "sh"),
        ("%concat(proc.name, ':', fd.name)!", {"proc__name": "SH", "fd__name": "/x"}, "SH:/x!"),
        ("%tolower(proc.name)", {}, "<NA>"),
        ("%evt.arg.flags.", {}, "<NA>."),
        ("w=%evt.is_open_write", {"evt__is_open_write": True}, "w=true"),
        ("a=%proc.aname", {"proc__aname": ("sh", "systemd")}, "a=sh systemd"),
        ("t=%fd.types", {"fd__types": ("file", "pipe")}, "t=(file,pipe)"),
        ("b=%evt.buffer", {"evt__buffer": b"GET"}, "b=GET"),
        ("d=%evt.dir", {}, "d=<"),
        ("c=%container.info.", {}, "c=."),
        ("c=%container.id", {"container__id": "host"}, "c=host"),
    ],
)
def test_an_output_is_filled_in(text: str, answers: dict[str, Any], expected: str) -> None:
    assert rendered(text, **answers) == expected


def test_an_argument_in_brackets_belongs_to_the_field() -> None:
    output = compile_output(
        "%proc.aname[2] %container.mount.dest[/run/*], %k8s.pod.label.app.kubernetes.io/name. %proc.env[A]"
    )
    assert [slot.name for slot in output.slots] == [
        "proc.aname[2]", "container.mount.dest[/run/*]", "k8s.pod.label[app.kubernetes.io/name]", "proc.env[A]",
    ]  # fmt: skip


def test_values_are_json_and_none_where_missing() -> None:
    output = compile_output("%proc.name %fd.num %fd.types %proc.aname %evt.buffer %proc.name %fd.name")
    table: dict[str, Any] = {
        "fd.num": 3, "fd.types": ("file",), "proc.aname": ("a", "b"), "evt.buffer": b"\xff", "proc.name": "x",
    }  # fmt: skip
    values = output.values({field(name): value for name, value in table.items()}.get)
    assert values == {
        "proc.name": "x", "fd.num": 3, "fd.types": ["file"], "proc.aname": "a b", "evt.buffer": "\udcff",
        "fd.name": None,
    }  # fmt: skip
    assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("100%% sure", 3, "is no field"),
        ("100% sure", 3, "is no field"),
        ("%", 0, "is no field"),
        ("x %proc.nix", 2, "is no field"),
        ("%evt.arg", 0, "is no field"),
        ("%fd.net", 0, "only be asked in conditions"),
        ("%tolower(proc.nix)", 1, "no field"),
        ("%tolower(", 9, "expected"),
        ("%tolower(fd.num)", 1, "takes text"),
        ("%9999proc.name", 0, "width"),
        ("%container.infos", 0, None),
    ],
)
def test_what_is_no_output_is_refused(text: str, at: int, what: str | None) -> None:
    if what is None:
        assert rendered(text) == "s"
        return
    with pytest.raises(BadOutput, match=what) as caught:
        compile_output(text)
    assert caught.value.at == at


@given(st.text("%proc.name[]()0123tolowerfd. ,'\"kubs/", max_size=40) | st.text())
def test_no_output_crashes(text: str) -> None:
    with suppress(BadOutput):
        assert isinstance(compile_output(text).render(lambda _: None), str)


@given(st.text(), st.text())
def test_an_answer_is_never_read_as_an_output(name: str, path: str) -> None:
    assert rendered("<%proc.name|%fd.name>", proc__name=name, fd__name=path) == f"<{name}|{path}>"
