from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.reports import page
from holdfast.techniques import load
from reports_made import CORE_PATTERN, REMOUNT, SOCKET

DATA = Path(__file__).parent / "data" / "reports"


def test_the_snapshots():
    assert page.render(SOCKET).decode() == (DATA / "docker-socket.txt").read_text()
    assert page.render(SOCKET, form="markdown").decode() == (DATA / "docker-socket.md").read_text()


@pytest.mark.parametrize("technique", load().values(), ids=lambda technique: technique.id)
def test_every_technique_has_a_page(technique):
    text = page.render(technique, width=80).decode()
    assert text.startswith(technique.title)
    assert technique.id in text
    assert max(map(len, text.splitlines())) <= 80
    for source in technique.sources:
        assert source in text.replace("\n    ", "")
    for change in technique.closed_by:
        assert change.why.split()[0] in text
    markdown = page.render(technique, form="markdown").decode()
    assert markdown.startswith("# ")
    assert "``" not in markdown
    for example in technique.examples:
        assert f"| {example.verdict.word} |" in markdown


def test_the_condition_is_a_tree_in_words():
    lines = page.render(SOCKET).decode().splitlines()
    start = lines.index("Open when")
    assert lines[start + 1 : start + 7] == [
        "  all of",
        "    container.host_paths covers /run/docker.sock",
        "    any of",
        "      container.host_user_id is 0",
        "      container.privileged is yes",
        "    engine.rootless is not yes",
    ]


def test_evidence_and_confirmation_are_said():
    assert "read in a source; confirmed by a drill" in page.render(SOCKET).decode()
    assert "common knowledge; confirmed by no drill yet" in page.render(CORE_PATTERN).decode()


def test_what_it_opens_is_said_beside_what_it_reaches():
    text = page.render(REMOUNT).decode()
    assert "container.masked becomes no: the masks are gone" in text


def test_the_list_shows_every_technique_once():
    lines = page.listing((SOCKET, CORE_PATTERN)).decode().splitlines()
    assert lines[0] == "docker-socket  Ask the engine for a container that owns the host"
    assert lines[1].startswith("core-pattern   Name a program")
    assert lines[1].endswith("[confirmed by no drill yet]")


@given(st.text(alphabet=st.characters(), max_size=60))
def test_a_hostile_page_of_a_plug_in_forges_nothing(text):
    technique = replace(SOCKET, page=text, title=text, sources=(text,))
    for width in (0, 60):
        out = page.render(technique, width=width).decode()
        assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in out)
    page.render(technique, form="markdown").decode()
