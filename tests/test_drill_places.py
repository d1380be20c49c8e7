"""What the words of a step stand for, and where a host path is seen inside."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.drill.mount_options import mounts_below, options_at
from holdfast.drill.mounts_seen import inside
from holdfast.drill.places import Place, Places
from holdfast.model.errors import NotReachable
from holdfast.model.replica import Bind
from holdfast.model.technique import ProvedBy, Way
from holdfast.model.ways import leave_file, step


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("etc/cron.d", "etc/sudoers.d", "home/a", "home/b", "run"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text("x")
    return tmp_path


def seen(binds: tuple[Bind, ...], pattern: str, *, folder: bool | None = True) -> list[str]:
    return [text for text, _ in inside(binds, pattern, folder=folder)]


def test_a_path_is_seen_through_the_mount_and_through_what_is_above_it(tree: Path) -> None:
    binds = (Bind("/", "/host", stand_in=str(tree)), Bind("/etc", "/e", stand_in=str(tree / "etc")))
    assert seen(binds, "/etc/cron.d") == ["/host/etc/cron.d", "/e/cron.d"]
    assert seen(binds, "/home/*") == ["/host/home/a", "/host/home/b"]
    assert seen(binds, "/etc/passwd", folder=False) == ["/host/etc/passwd", "/e/passwd"]
    assert seen(binds, "/etc/passwd") == []
    assert seen(binds, "/nothing") == []


def test_a_mount_over_another_hides_what_is_below(tree: Path) -> None:
    root = Bind("/", "/host", stand_in=str(tree))
    over = Bind("", "/host/etc")
    assert seen((root, over), "/etc/cron.d") == []
    assert seen((over, root), "/etc/cron.d") == []  # an engine mounts the outer one first
    assert seen((root, over), "/home/a") == ["/host/home/a"]
    assert seen((root, Bind("", "/host/et")), "/etc/cron.d") == ["/host/etc/cron.d"]
    assert seen((root, Bind("/srv", "/host", stand_in=str(tree / "run"))), "/etc/cron.d") == []


def test_every_word_is_filled_in_and_told_apart(tree: Path) -> None:
    (way,) = leave_file("/etc")
    numbers = iter(range(100))
    places = Places(
        {"in": lambda _: [Place("/a", tree / "etc"), Place("/b", real=False)]}, lambda: f"token{next(numbers)}"
    )
    one, two = places.fill(way)
    assert (one.real, one.host, one.absent) == (True, True, frozenset())
    assert (two.real, two.host, two.absent) == (False, False, frozenset({"in"}))
    assert one.outside == (tree / "etc" / one.token,)
    assert one.steps[0].args["path"] == f"/a/{one.token}"
    assert one.token != two.token


def test_a_word_without_any_place_is_not_tried() -> None:
    way = Way("x", (step("open", path="{in:/x}", mode="r"),), ProvedBy.SURFACE)
    assert list(Places({"in": lambda _: []}, lambda: "t").fill(way)) == []


TABLE = (
    "1 0 8:1 / / rw,relatime - ext4 /dev/sda rw",
    "2 1 0:2 / /run rw,nosuid,nodev - tmpfs tmpfs rw",
    "3 1 0:3 / /boot ro - vfat /dev/sdb ro",
    "4 1 0:4 / /usr rw - ext4 /dev/sdc ro",
    "5 1 0:5 / /proc rw - proc proc rw",
    "6 2 0:6 / /run/a\\040b rw,noexec - tmpfs tmpfs rw",
    "7 1 0:7 / /boot rw - ext4 /dev/sdd rw",
)


def test_the_options_are_those_of_the_uppermost_mount() -> None:
    assert options_at("/etc", TABLE) == {"rw", "relatime"}
    assert options_at("/run/x", TABLE) == {"rw", "nosuid", "nodev"}
    assert options_at("/runx", TABLE) == {"rw", "relatime"}
    assert options_at("/run/a b/c", TABLE) == {"rw", "noexec"}
    assert "ro" in options_at("/usr/bin", TABLE)
    assert "ro" not in options_at("/boot", TABLE)


def test_mounts_below_a_path_are_those_with_files() -> None:
    assert mounts_below("/", TABLE) == ["/boot", "/run", "/run/a b", "/usr"]
    assert mounts_below("/run", TABLE) == ["/run/a b"]
    assert mounts_below("/ru", TABLE) == []


def test_what_cannot_be_planted_leaves_out_the_ways_that_need_it() -> None:
    def none(_argument: str) -> list[Place]:
        raise NotReachable("There is no loop device", "/dev/loop-control", "load the module loop")

    way = Way("read a disk", (step("open", path="{disk}", mode="r"),), ProvedBy.READ)
    assert list(Places({"disk": none}, lambda: "t" * 28).fill(way)) == []
