"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from holdfast import techniques
from holdfast.model import words
from holdfast.model.logic import atoms

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "holdfast"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 500
EXCEPTIONS: dict[str, str] = {}
"""Modules that may be longer, with the reason. An exception that is no longer needed fails."""
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "service", "core"}
PURE = ("model", "techniques", "platforms", "reports", "reason", "policies")


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_not_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    if name(path) in EXCEPTIONS:
        assert lines > LONGEST, "take it off the list of exceptions"
    else:
        assert lines <= LONGEST


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_name_says_what_the_thing_is(path: Path) -> None:
    assert path.stem.strip("_") not in EMPTY_NAMES


@pytest.mark.parametrize("path", [p for p in MODULES if p.relative_to(SOURCE).parts[0] in PURE], ids=name)
def test_the_lower_floors_open_no_file_and_no_address(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "input", "print"}, node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not {"urllib.request", "urllib.error"} & set(names), node.lineno


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("__init__.py")), ids=name)
def test_an_init_holds_a_docstring_and_a_load_at_most(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert set(functions) <= {"load"}
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert set(classes) <= {"Platform"}, "only the protocol that a scanned folder's files satisfy"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_left_unfinished(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|pragma: no cover", text)


def test_every_word_is_named_subject_dot_question() -> None:
    for word in words.load().values():
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", word.name), word
        assert word.subject in words.SUBJECTS
        assert word.doc.endswith("."), word


def answered() -> set[str]:
    """Return the attribute names of words that some platform, or the effective facts, mention."""
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("platforms", "reason")
        for path in (SOURCE / folder).rglob("*.py")
        if path.name != "reference.py"
    )
    return set(re.findall(r"\b[A-Z][A-Z0-9_]{2,}\b", text))


UNANSWERED = {"network", "cluster", "assumed", "reach", "event"}
"""Subjects that no platform reads yet: they are answered by --assume, by drills and by the sensor."""


def test_every_word_that_a_technique_asks_can_be_answered() -> None:
    mentioned = answered()
    constants = {
        id(value): attribute
        for subject in words.SUBJECTS
        for attribute, value in vars(__import__(f"{words.__name__}.{subject}", fromlist=[subject])).items()
    }
    for technique in techniques.load().values():
        for atom in atoms(technique.exposed_when):
            if atom.fact.subject not in UNANSWERED:
                assert constants[id(atom.fact)] in mentioned, f"{technique.id} asks {atom.fact.name}; nobody answers"


def test_no_file_names_a_machine_or_an_address_of_a_registry() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text(encoding="utf-8"), path
