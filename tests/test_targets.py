"""What a person names, sorted into files, engine containers and processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.app.targets import sort_targets
from holdfast.model.errors import Usage


@pytest.mark.parametrize(
    ("words", "engine", "optional"),
    [
        ((), True, True),
        (("machine",), True, True),
        (("docker://",), True, False),
        (("docker://web",), True, False),
        (("machine", "docker://web"), True, False),
        (("proc://",), False, True),
    ],
)
def test_only_an_engine_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], engine: bool, optional: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    targets = sort_targets(words)
    assert (targets.engine, targets.optional) == (engine, optional)


def test_one_for_all_takes_in_single_ones() -> None:
    targets = sort_targets(("docker://web", "docker://", "proc://7", "machine"))
    assert (targets.containers, targets.pids) == (frozenset(), frozenset())
    single = sort_targets(("docker://web", "proc://7"))
    assert (single.containers, single.pids) == ({"web"}, {7})


@pytest.mark.parametrize("word", ["proc://x", "no-such-file", "docker:/web", "ssh://host"])
def test_what_is_no_target(word: str) -> None:
    with pytest.raises(Usage):
        sort_targets((word,))
