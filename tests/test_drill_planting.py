"""What the runner writes where a replica can write too goes where it belongs, whatever links were left there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.drill import planting, reaper
from holdfast.drill.ground import Ground
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.stage import Stage
from holdfast.drill.staging import staged
from holdfast.model.errors import Unsafe
from holdfast.model.replica import Bind, Replica


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("host")
    return folder


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    journal = Journal.open(new_id(), 60)
    try:
        with Stage(journal) as stage:
            yield Ground(stage, journal, real=False, image=lambda _engine: "none")
    finally:
        reaper.finish(journal)


def test_a_file_is_made_once_with_its_mode(tree: Path) -> None:
    place = tree / "deep" / "canary"
    planting.written(tree, place, "token", 0o640)
    assert place.read_text() == "token"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    with pytest.raises(FileExistsError):
        planting.written(tree, place, "other", 0o600)
    planting.overwritten(tree, place, "t")
    assert place.read_text() == "t"
    planting.removed(tree, place)
    planting.removed(tree, place)
    assert not place.exists()


def test_no_link_is_followed_on_the_way_or_at_the_end(tree: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    (tree / "way").symlink_to(host)
    (tree / "deep" / "end").symlink_to(host / "file")
    for place in (tree / "way" / "new", tree / "way" / "deeper" / "new"):
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            planting.written(tree, place, "token", 0o644)
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"), planting.opened(tree, place, make=True):
            pass
    with pytest.raises(OSError, match="Too many levels"):
        planting.overwritten(tree, tree / "deep" / "end", "token")
    planting.removed(tree, tree / "way" / "file")
    assert planting.kind(tree, tree / "way" / "file") == 0
    assert planting.kind(tree, tree / "deep" / "end") == stat.S_IFLNK
    assert [(each.name, each.read_text()) for each in host.iterdir()] == [("file", "host")]


def test_a_second_name_and_a_pipe_are_not_overwritten(tree: Path, tmp_path: Path) -> None:
    os.link(tmp_path / "host" / "file", tree / "same")
    os.mkfifo(tree / "pipe")
    for name in ("same", "pipe"):
        with pytest.raises(OSError):  # noqa: PT011 - ENXIO from the pipe, our own from the other
            planting.overwritten(tree, tree / name, "token")
    assert (tmp_path / "host" / "file").read_text() == "host"


def test_what_lies_elsewhere_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subpath"):
        planting.written(tree, tmp_path / "host" / "new", "token", 0o600)


def test_a_canary_is_not_planted_through_a_link_that_a_replica_left(ground: Ground, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    place = ground.stand_in("/etc")
    planted = ground.plant(place, 0o600)
    assert planted is not None
    name, token = planted
    assert (place / name).read_text() == token
    (place / "mine").symlink_to(host)
    (place / "mine-too").symlink_to(host / "file")
    assert ground.plant(place / "mine", 0o600) is None
    assert ground.plant(place / "mine-too", 0o600) is None
    ground.forget_files()
    assert not (place / name).exists()
    assert list(host.iterdir()) == []


def test_a_token_behind_a_link_or_in_a_pipe_proves_nothing(ground: Ground, tmp_path: Path) -> None:
    place = ground.stand_in("/etc")
    (tmp_path / "file").write_text("token")
    (place / "link").symlink_to(tmp_path / "file")
    os.mkfifo(place / "pipe")
    assert not ground.written("token", [place / "link", place / "pipe"])
    assert ground.written("token", [tmp_path / "file"])


@pytest.mark.root
def test_the_kernels_trees_are_not_shown_through_a_link(ground: Ground, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    root = ground.stage.stand_in("/")
    (root / "sys").rmdir()
    (root / "sys").symlink_to(host)
    with pytest.raises(Unsafe, match="Something else stands"):
        ground.stand_in("/")
    assert not host.is_mount()


@pytest.mark.root
@pytest.mark.parametrize("door", ["/proc/1/root", "/proc/self/root/proc/1/root", "//proc/1/./root/"])
def test_another_name_of_the_hosts_root_gets_a_stand_in(ground: Ground, door: str) -> None:
    replica, _ = staged(Replica(binds=(Bind(f"{door}/etc", "/x"),)), ground)
    assert replica.binds[0].source == "/etc"
    assert Path(replica.binds[0].stand_in).is_relative_to(ground.stage.folder)
