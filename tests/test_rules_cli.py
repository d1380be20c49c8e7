"""``holdfast rules``, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_program import holdfast
from rules_stock import FOLDER, NAMES, needs_stock

GOOD = """\
- list: shells
  items: [bash, sh]
- macro: started
  condition: evt.type in (execve, execveat)
- rule: Shell started
  desc: A shell.
  condition: started and proc.name in (shells)
  output: shell %proc.cmdline
  priority: notice
- rule: Off
  desc: Off.
  condition: evt.type = dup
  output: dup
  priority: debug
  enabled: false
"""
BAD = """\
- rule: From the cloud
  desc: d
  condition: ct.name = x
  output: o
  priority: info
  source: aws_cloudtrail
- rule: Misspelt \u202e name
  desc: d
  condition: >
    evt.type = open
    and fd.nome = /etc
  output: o
  priority: info
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_a_good_file_has_one_line(folder: Path) -> None:
    ended = holdfast("rules", "check", "good.yaml", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "2 rules, 1 enabled; 1 macro, 1 list; 0 errors, 0 warnings\n"


def test_errors_have_their_places_and_the_rest_loads(folder: Path) -> None:
    ended = holdfast("rules", "check", "good.yaml", "bad.yaml", folder=folder)
    lines = ended.out.splitlines()
    assert ended.code == 13
    assert len(lines) == 3
    assert lines[0].startswith("bad.yaml:1:3: error: rule 'From the cloud': the source 'aws_cloudtrail' is a plug-in")
    assert lines[1].startswith("bad.yaml:11:9: error: rule 'Misspelt \\u202e name': there is no field 'fd.nome'")
    assert lines[2].startswith("2 rules, 1 enabled; ")


def test_json_says_the_same(folder: Path) -> None:
    ended = holdfast("rules", "check", "--json", "--expand", "Shell started", "good.yaml", "bad.yaml", folder=folder)
    found = json.loads(ended.out)
    assert ended.code == 13
    assert (found["rules"], found["errors"], found["warnings"]) == (2, 2, 0)
    assert [(one["file"], one["line"], one["column"]) for one in found["problems"]] == [
        ("bad.yaml", 1, 3),
        ("bad.yaml", 11, 9),
    ]
    (rule,) = found["expanded"]
    assert rule["condition"] == "(evt.type in (execve, execveat) and proc.name in (bash, sh))"
    assert rule["events"] == {"names": ["execve", "execveat"], "others": False}


def test_a_rule_is_written_out(folder: Path) -> None:
    ended = holdfast("rules", "check", "--expand", "Shell started", "good.yaml", folder=folder)
    assert ended.code == 0
    assert "condition: (evt.type in (execve, execveat) and proc.name in (bash, sh))\n" in ended.out
    assert "output:    proc.cmdline\n" in ended.out
    ended = holdfast("rules", "check", "--expand", "Nix", "good.yaml", folder=folder)
    assert (ended.code, ended.err.splitlines()[0]) == (2, "holdfast: there is no rule 'Nix'")


def test_rules_are_listed(folder: Path) -> None:
    ended = holdfast("rules", "list", "good.yaml", folder=folder)
    assert ended.out.splitlines()[:2] == [
        "Notice        Shell started: execve, execveat",
        "Debug         Off [disabled]: dup",
    ]


def test_what_the_kernel_checks_is_told(folder: Path) -> None:
    text = """
- rule: Shadow
  desc: d
  condition: >
    (evt.type in (open, openat) and evt.is_open_write = true and fd.name startswith /etc/ and container.id != host
    and proc.name = sh) or (evt.type = dup and fd.num = 1)
  output: o
  priority: info
"""
    (folder / "p.yaml").write_text(text)
    ended = holdfast("rules", "check", "--pushdown", "p.yaml", folder=folder)
    assert ended.code == 0
    assert ended.out.splitlines()[:7] == [
        "Shadow",
        "  events:      dup",
        "  pushed down: nothing but the type of event",
        "  user space:  container.id, evt.is_open_write, fd.name, fd.num, proc.name",
        "  events:      open, openat",
        "  pushed down: processes of containers; opened for writing; path /etc/*",
        "  user space:  fd.num, proc.name",
    ]
    (rule,) = json.loads(holdfast("rules", "check", "--pushdown", "--json", "p.yaml", folder=folder).out)["pushdown"]
    assert [(one["events"], one["scope"], one["paths"]) for one in rule["filters"]] == [
        (["dup"], "any", None),
        (["open", "openat"], "container", ["/etc/*"]),
    ]


def test_fields_are_listed(folder: Path) -> None:
    ended = holdfast("rules", "fields", folder=folder)
    assert "proc.aname[ARGUMENT]?  (text)\n" in ended.out
    assert "evt.arg[ARGUMENT]  (text)\n" in ended.out
    found = {one["name"]: one for one in json.loads(holdfast("rules", "fields", "--json", folder=folder).out)}
    assert found["fd.types"]["list"] is True
    assert len(found) == 275


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["check"], 2, ""),
        (["nix"], 2, ""),
        (["check", "absent.yaml"], 11, "cannot be read"),
        (["check", "empty"], 11, "no rules file in the folder"),
    ],
)
def test_a_wrong_call_is_told(words: list[str], code: int, what: str, folder: Path) -> None:
    (folder / "empty").mkdir()
    ended = holdfast("rules", *words, folder=folder)
    assert ended.code == code
    assert what in ended.err


def test_a_folder_stands_for_its_files_in_order(folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "d" / "1.yaml").write_text(GOOD)
    (folder / "d" / "2.yml").write_text("- {rule: Off, enabled: true, override: {enabled: replace}}\n")
    (folder / "d" / "readme.txt").write_text("- [")
    assert holdfast("rules", "check", "d", folder=folder).out.startswith("2 rules, 2 enabled; ")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xff\xfe\x00", "may not stand in YAML"),
        (b"- [", "no YAML"),
        (b"\x1b]0;title\x07", "U+001B"),
        (b"", "0 rules"),
        (b"[" * 100_000, "nested deeper"),
        (b"- {rule: 'a\\nb: error: forged', desc: d, condition: x.y = 1, output: o, priority: info}", "no field"),
    ],
)
def test_a_hostile_file_forges_no_line_and_crashes_nothing(data: bytes, what: str, folder: Path) -> None:
    (folder / "h.yaml").write_bytes(data)
    ended = holdfast("rules", "check", "h.yaml", folder=folder)
    assert ended.code in {0, 13}
    assert what in ended.out
    assert "Traceback" not in ended.err
    assert len(ended.out.splitlines()) <= 2


@needs_stock
def test_the_stock_files_are_fine() -> None:
    ended = holdfast("rules", "check", *NAMES, folder=FOLDER)
    assert ended.code == 0
    assert ended.out.splitlines()[-1].startswith("93 rules, 81 enabled; 315 macros, 118 lists; 0 errors, ")
    warnings = ended.out.splitlines()[:-1]
    assert all("the sensor never answers fd." in line for line in warnings), "names of domains are not looked up"
