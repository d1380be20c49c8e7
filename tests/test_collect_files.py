"""The walk over files and folders: what is brought, what is left out, and that nothing is silently lost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.collect.files import SCRIPT_BYTES, Found, Walked, may_hold_documents, walk
from holdfast.collect.reading import read_bytes, read_text
from holdfast.model.errors import Error, NotPermitted, NotReachable, NotUnderstood


def write(path: Path, text: str = "a: 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(folder: Path, *more: str) -> list[str]:
    """Walk; return the paths of the files that were brought, relative to the folder."""
    found = list(walk([str(folder), *more]))
    assert not [one for one in found if isinstance(one, Error)], found
    return [os.path.relpath(one.path, folder) for one in found if isinstance(one, Found)]


def troubles(*paths: Path) -> list[Error]:
    return [one for one in walk([str(path) for path in paths]) if isinstance(one, Error)]


def test_only_likely_names_below_a_folder_and_in_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.YAML", "c.json", "d.txt", "Dockerfile", "sub/z.yaml", "sub/run.sh", "package-lock.json"):
        write(tmp_path / name)
    assert names(tmp_path) == ["a.YAML", "b.yml", "c.json", "sub/run.sh", "sub/z.yaml"]


def test_files_that_may_hold_command_lines_are_brought(tmp_path: Path) -> None:
    for name in ("Makefile", "rules.mk", "README.md", "web.service", "start", "start.py", "LICENSE", "huge"):
        write(tmp_path / name)
    (tmp_path / "start").chmod(0o755)
    (tmp_path / "start.py").chmod(0o755)
    (tmp_path / "huge").write_bytes(b"x" * (SCRIPT_BYTES + 1))
    (tmp_path / "huge").chmod(0o755)
    assert names(tmp_path) == ["Makefile", "README.md", "rules.mk", "start", "web.service"]


@pytest.mark.parametrize(
    ("name", "data", "worth"),
    [
        ("d/start", b"#!/bin/sh\n", True),
        ("d/start", b"\x7fELF", False),
        ("d.x/start", b"x", False),
        ("d/a.yaml", b"", True),
        ("Makefile", b"x", True),
    ],
)
def test_of_executable_files_without_an_ending_only_scripts_are_read(name: str, data: bytes, worth: bool) -> None:
    assert may_hold_documents(name, data) is worth


def test_a_named_file_is_always_brought(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*\n")
    (tmp_path / ".git").mkdir()
    script = write(tmp_path / "run.sh")
    found = list(walk([str(script)]))
    assert found == [Found(str(script), 5, named=True)]
    assert names(tmp_path) == []


def test_folders_of_tools_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("node_modules/x/a.yaml", ".venv/a.yaml", ".git/a.yaml", "vendor/a.yaml"):
        write(tmp_path / name)
    count = Walked()
    assert [one.path for one in walk([str(tmp_path)], walked=count) if isinstance(one, Found)] == [
        str(tmp_path / "vendor" / "a.yaml")
    ]
    assert (count.files, count.skipped, count.ignored) == (1, 3, 0)
    assert names(tmp_path / "node_modules") == ["x/a.yaml"], "named, it is walked"


def test_progress(tmp_path: Path) -> None:
    for name in ("a.yml", "b.yml"):
        write(tmp_path / name)
    told: list[tuple[int, str]] = []
    list(walk([str(tmp_path)], lambda count, path: told.append((count, path))))
    assert told == [(1, str(tmp_path / "a.yml")), (2, str(tmp_path / "b.yml"))]


def test_the_current_folder_gives_short_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "k8s" / "a.yml")
    monkeypatch.chdir(tmp_path)
    assert [one.path for one in walk(["."]) if isinstance(one, Found)] == ["k8s/a.yml"]


# --- ignore rules -----------------------------------------------------------------------------------------------------


def test_nested_ignore_files(tmp_path: Path) -> None:
    (tmp_path / ".git" / "info").mkdir(parents=True)
    write(tmp_path / ".git" / "info" / "exclude", "secret.yml\n")
    write(tmp_path / ".gitignore", "build/\n*.gen.yml\n/top.yml\n")
    write(tmp_path / "app" / ".gitignore", "!keep.gen.yml\nlocal.yml\n")
    for name in (
        "build/a.yml", "x.gen.yml", "top.yml", "secret.yml", "app/keep.gen.yml", "app/local.yml", "app/top.yml",
        "app/deep/local.yml", "app/deep/y.gen.yml", "other/local.yml",
    ):  # fmt: skip
        write(tmp_path / name)
    count = Walked()
    found = [one.path for one in walk([str(tmp_path)], walked=count) if isinstance(one, Found)]
    assert found == [str(tmp_path / name) for name in ("app/keep.gen.yml", "app/top.yml", "other/local.yml")]
    assert count.ignored == 7


def test_rules_above_the_named_folder_hold(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".gitignore", "generated.yml\n/deploy/only-here.yml\n")
    for name in ("generated.yml", "only-here.yml", "fine.yml"):
        write(tmp_path / "deploy" / name)
    assert names(tmp_path / "deploy") == ["fine.yml"]


def test_rules_outside_of_any_repository_above_do_not_hold(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.yml\n")
    write(tmp_path / "inner" / "a.yml")
    assert names(tmp_path / "inner") == ["a.yml"]


def test_a_repository_inside_another_has_its_own_rules(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path / ".gitignore", "*.yml\n")
    (tmp_path / "inner" / ".git").mkdir(parents=True)
    write(tmp_path / "inner" / "a.yml")
    write(tmp_path / "b.yml")
    assert names(tmp_path) == ["inner/a.yml"]


_PARTS = st.sampled_from(["a", "b", "ab", "x.yml", "y.yml"])
_RULES = st.lists(
    st.sampled_from(
        [
            "a",
            "b/",
            "/a",
            "*.yml",
            "!x.yml",
            "a/**",
            "**/b",
            "!a/",
            "a/b",
            "x.yml",
            "/x.yml",
            "y*",
            "!/a/x.yml",
            "#z",
            "",
        ]
    ),
    max_size=4,
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=25, deadline=None)
@example(paths=[["a"]], outer=["a/**"], inner=["!x.yml"])
@given(paths=st.lists(st.lists(_PARTS, min_size=0, max_size=3), min_size=1, max_size=6), outer=_RULES, inner=_RULES)
def test_git_itself_would_leave_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], outer: list[str], inner: list[str]
) -> None:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True, capture_output=True)
    write(root / ".gitignore", "\n".join(outer) + "\n")
    write(root / "a" / ".gitignore", "\n".join(inner) + "\n")
    for parts in paths:
        folder = root.joinpath(*[part.removesuffix(".yml") for part in parts])
        for name in ("x.yml", "y.yml"):
            write(folder / name)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard", "-z", "*.yml"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert sorted(names(root)) == sorted(name for name in listed.split("\0") if name)


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_links(tmp_path: Path) -> None:
    real = write(tmp_path / "outside" / "real.yml")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "file.yml").symlink_to(real)
    (folder / "folder.yml").symlink_to(real.parent)
    (folder / "up").symlink_to(tmp_path)
    (folder / "gone.yml").symlink_to(tmp_path / "nowhere")
    (folder / "loop.yml").symlink_to(folder / "loop.yml")
    found = list(walk([str(folder)]))
    assert [one.path for one in found if isinstance(one, Found)] == [str(folder / "file.yml")]
    told = {Path(one.where).name: one for one in found if isinstance(one, Error)}
    assert set(told) == {"gone.yml", "loop.yml"}
    assert "leads nowhere" in told["gone.yml"].what
    assert "loop" in told["loop.yml"].what
    assert all(isinstance(one, NotUnderstood) and one.next for one in told.values())


def test_a_named_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    assert "leads nowhere" in troubles(tmp_path / "gone.yml")[0].what


def test_what_is_not_there(tmp_path: Path) -> None:
    assert isinstance(troubles(tmp_path / "nothing.yml")[0], NotReachable)


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yml")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as here:
        here.bind(str(tmp_path / "socket.json"))
        found = list(walk([str(tmp_path), str(tmp_path / "pipe.yml"), "/dev/zero"]))
    assert [one.what for one in found if isinstance(one, Error)] == [
        "This is a device, a pipe or a socket, not a file"
    ] * 4
    for path in (str(tmp_path / "pipe.yml"), "/dev/zero"):
        assert isinstance(read_bytes(path, 100), NotUnderstood)


def test_folders_that_are_too_deep(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(70):
        here = here / "d"
    write(here / "a.yml")
    (trouble,) = troubles(tmp_path)
    assert "deeper than" in trouble.what


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.yml")).write_text("a: 1\n", encoding="ascii")
    (found,) = walk([str(tmp_path)])
    assert isinstance(found, Found)
    assert read_text(found.path, 100) == "a: 1\n"


@pytest.mark.root
def test_an_ordinary_user_is_told_what_it_may_not_enter(tmp_path: Path) -> None:
    write(tmp_path / "closed" / "a.yml")
    write(tmp_path / "secret.yml").chmod(0o600)
    write(tmp_path / "open.yml")
    (tmp_path / "closed").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if str(folder) != "/tmp":
            folder.chmod(0o755)
    program = (
        "import json, os, sys\n"
        "sys.path[:0] = json.loads(sys.argv[1])\n"
        "from holdfast.collect.files import walk\n"
        "from holdfast.collect.reading import read_bytes\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for one in walk([sys.argv[2]]):\n"
        "    if hasattr(one, 'path'):\n        one = read_bytes(one.path, 100)\n"
        "    print(type(one).__name__, getattr(one, 'where', ''))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(sys.path), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False, cwd="/",
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"NotPermitted {tmp_path}/closed",
        "bytes ",
        f"NotPermitted {tmp_path}/secret.yml",
    ], done.stderr


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    tracemalloc.start()
    try:
        found = read_bytes(str(path), 32 << 20)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert isinstance(found, NotUnderstood)
    assert "33,554,432 bytes" in found.what
    assert found.next


def test_the_limit_itself_is_not_too_large(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yml", "x" * 100)
    assert read_bytes(str(path), 100) == b"x" * 100
    assert isinstance(read_bytes(str(path), 99), NotUnderstood)


def test_reading_a_folder_or_nothing(tmp_path: Path) -> None:
    assert isinstance(read_bytes(str(tmp_path), 100), NotUnderstood)
    assert isinstance(read_bytes(str(tmp_path / "none"), 100), NotReachable)
    assert isinstance(read_bytes(str(write(tmp_path / "f") / "below"), 100), NotReachable)


def test_a_walk_is_lazy(tmp_path: Path) -> None:
    for number in range(300):
        write(tmp_path / f"{number:03}" / "a.yml")
    steps = walk([str(tmp_path)])
    first = next(steps)
    shutil.rmtree(tmp_path / "200")
    rest = list(steps)
    assert isinstance(first, Found)
    gone = [one for one in rest if isinstance(one, Error)]
    assert [one.where for one in gone] == [str(tmp_path / "200")]
    assert not any(isinstance(one, NotPermitted) for one in gone)
