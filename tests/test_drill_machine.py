"""The virtual machine's parts that need no machine: its recipe, its sources, what goes in and comes out."""

from __future__ import annotations

import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest

from holdfast.drill.machine import archive, boot, build, carry, command, kernel, payload, recipe, scratch
from holdfast.drill.machine.archive import Source
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.model.errors import Error, NotPermitted, NotReachable, Usage


def quiet(_line: str) -> None:
    """Take progress and say nothing."""


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("FORMAT", -1),
        ("PACKAGES", ("docker.io",)),
        ("KERNELS", ("6.1",)),
        ("SUBORDINATE", {}),
        ("SIZE_MB", 1),
        ("MASKED", ()),
        ("script", lambda name: name),
    ],
)
def test_another_recipe_has_another_digest(monkeypatch: pytest.MonkeyPatch, attribute: str, value: object) -> None:
    before = recipe.digest()
    assert re.fullmatch(r"[0-9a-f]{16}", before)
    assert recipe.digest() == before
    monkeypatch.setattr(recipe, attribute, value)
    assert recipe.digest() != before


@pytest.mark.parametrize("name", [*recipe.SCRIPTS, recipe.INITRAMFS])
def test_a_script_of_the_disk_is_a_shell_script_that_parses(name: str) -> None:
    text = recipe.script(name)
    assert text.strip()
    assert text.startswith(("#", "version = "))
    if "." not in name:
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_flavours_are_well_formed() -> None:
    wanted = {
        *("apparmor", "plain", "cgroup1", "new-kernel", "new-kernel-plain", "userns-remap", "rootless", "podman"),
        "systemd",
    }
    assert wanted <= set(FLAVOURS)
    assert len({flavour.says for flavour in FLAVOURS.values()}) == len(FLAVOURS)
    for name, flavour in FLAVOURS.items():
        assert name == flavour.name
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert flavour.says.endswith(".")
        assert flavour.kernel in recipe.KERNELS
        assert ("AppArmor" in flavour.says and "without" not in flavour.says) == (
            "apparmor" in flavour.security_modules
        )
        assert not flavour.rootless or flavour.engine == "podman"
        assert not flavour.userns_remap or flavour.engine == "docker"
        assert flavour.init == "own" or flavour.cgroup == "v2", "systemd mounts the groups itself, as Debian 12 does"
        assert b"init=" in carry.job(flavour, ["true"], 60)["flavour"].encode()


def test_the_one_line_format_is_read() -> None:
    text = (
        "# deb http://no.example/debian bookworm main\n"
        "deb-src http://no.example/debian bookworm main\n"
        "deb http://a.example/debian/ bookworm main contrib # more\n"
        "deb [ arch=amd64,arm64 signed-by=/k.gpg ] https://b.example/x stable main\n"
        "deb [arch=arm64] http://no.example/debian bookworm main\n"
        "deb [signed-by=/k.gpg]\n"
        "deb\n"
    )
    assert list(archive.read_line(text)) == [
        Source("http://a.example/debian", "bookworm", ("main", "contrib")),
        Source("https://b.example/x", "stable", ("main",), "/k.gpg"),
    ]


def test_the_deb822_format_is_read() -> None:
    text = (
        "Types: deb deb-src\n# between\nURIs: http://a.example/debian/\n http://b.example/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n\n"
        "Types: deb\nEnabled: no\nURIs: http://no.example/\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb-src\nURIs: http://no.example/\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://c.example/\nSuites: x\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n"
    )
    assert list(archive.read_deb822(text)) == [
        Source("http://a.example/debian", "bookworm", ("main",), "/k.gpg"),
        Source("http://a.example/debian", "bookworm-updates", ("main",), "/k.gpg"),
        Source("http://b.example/debian", "bookworm", ("main",), "/k.gpg"),
        Source("http://b.example/debian", "bookworm-updates", ("main",), "/k.gpg"),
        Source("http://c.example", "x", ("main",)),
    ]


def test_all_files_of_apt_are_read_and_nothing_else(tmp_path: Path) -> None:
    more = tmp_path / "sources.list.d"
    more.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (more / "b.list").write_text("deb http://b.example/debian bookworm main\n")
    (more / "c.sources").write_text("Types: deb\nURIs: http://c.example\nSuites: bookworm\nComponents: main\n")
    (more / "d.list.save").write_text("deb http://d.example/debian bookworm main\n")
    (more / "e.list").mkdir()
    assert [one.address[7] for one in archive.sources(tmp_path)] == ["a", "b", "c"]
    assert archive.sources(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("known", "lines"),
    [
        pytest.param(
            [],
            [f"deb {archive.DEBIAN} bookworm main", f"deb {archive.SECURITY} bookworm-security main"],
            id="nothing known",
        ),
        pytest.param(
            [
                Source("https://tool.example/apt", "stable", ("main",)),
                Source("http://m.example/debian", "bookworm", ("main", "contrib"), "/k.gpg"),
                Source("http://m.example/debian", "bookworm-backports", ("main",), "/k.gpg"),
                Source("http://m.example/sec", "bookworm-security", ("main",), "/k.gpg"),
            ],
            [
                "deb [signed-by=/k.gpg] http://m.example/debian bookworm main",
                "deb [signed-by=/k.gpg] http://m.example/sec bookworm-security main",
                "deb [signed-by=/k.gpg] http://m.example/debian bookworm-backports main",
            ],
            id="the release on a mirror",
        ),
        pytest.param(
            [
                Source("http://m.example/debian", "trixie", ("main",)),
                Source("http://m.example/debian-security", "trixie-security", ("main",)),
            ],
            [
                "deb http://m.example/debian bookworm main",
                "deb http://m.example/debian-security bookworm-security main",
            ],
            id="another release on a mirror",
        ),
        pytest.param(
            [Source("http://u.example/ubuntu", "noble", ("main",)), Source("cdrom:[x]/", "bookworm", ("main",))],
            [f"deb {archive.DEBIAN} bookworm main", f"deb {archive.SECURITY} bookworm-security main"],
            id="another distribution",
        ),
    ],
)
def test_the_disk_comes_from_the_machines_own_mirror(known: list[Source], lines: list[str]) -> None:
    assert [one.line() for one in archive.debian("bookworm", known)] == lines


def test_the_newest_signed_kernel_of_a_series_comes_first() -> None:
    names = [
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-56-cloud-amd64-unsigned",
        "linux-image-6.1.0-56-cloud-amd64",
        "linux-image-6.1.0-57-cloud-amd64-dbg",
        "linux-image-6.1.0-58-amd64",
        "linux-image-6.12.100+deb12-cloud-amd64",
        "linux-image-6.12.99+deb12-cloud-amd64-unsigned",
        "linux-image-cloud-amd64",
    ]
    assert kernel.newest("6.1", names) == [names[2], names[1], names[0]]
    assert kernel.newest("6.12", names) == [names[5], names[6]]
    assert kernel.newest("6.13", names) == []


def test_a_payload_goes_onto_a_disk_whole(tmp_path: Path) -> None:
    source = tmp_path / "payload"
    (source / "deep").mkdir(parents=True)
    (source / "deep/file").write_bytes(b"x" * 3000)
    (source / "link").symlink_to("deep/file")
    disk = tmp_path / "disk"
    words = ["sh", "-c", "echo 'a b'; exit 3"]
    carry.pack(source, carry.job(FLAVOURS["rootless"], words, 40), disk)
    assert disk.stat().st_size % 2**20 == 0
    with tarfile.open(disk) as tar:
        members = {member.name: member for member in tar}
        assert {member.uid for member in members.values()} == {0}
        assert members["payload/link"].issym()
        text = tar.extractfile("job/command")
        flavour = tar.extractfile("job/flavour")
        assert text is not None
        assert flavour is not None
        done = subprocess.run(["sh"], input=text.read(), capture_output=True, check=False)
        assert b"user=drill\n" in flavour.read()
    assert (done.returncode, done.stdout) == (3, b"a b\n")


def test_only_plain_files_come_back_and_none_leaves_its_folder(tmp_path: Path) -> None:
    disk, into = tmp_path / "disk", tmp_path / "into"
    with tarfile.open(disk, "w") as tar:
        for name in ("./good/file", "../bad", "/bad", "good/../../bad"):
            member = tarfile.TarInfo(name)
            member.size, member.mode = 3, 0o4777
            tar.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        hard = tarfile.TarInfo("hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "good/file"
        tar.addfile(hard)
        node = tarfile.TarInfo("node")
        node.type, node.devmajor, node.devminor = tarfile.CHRTYPE, 1, 3
        tar.addfile(node)
    assert carry.unpack(disk, into)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [
        "disk",
        "into/good/file",
    ]
    assert (into / "good/file").stat().st_mode & 0o7777 == 0o755


def test_a_file_does_not_replace_what_a_link_points_to(tmp_path: Path) -> None:
    disk, into, outside = tmp_path / "disk", tmp_path / "into", tmp_path / "outside"
    into.mkdir()
    outside.write_text("kept")
    (into / "name").symlink_to(outside)
    with tarfile.open(disk, "w") as tar:
        member = tarfile.TarInfo("name")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    assert carry.unpack(disk, into)
    assert outside.read_text() == "kept"
    assert (into / "name").read_text() == "abc"


@pytest.mark.parametrize("kept", [0, 512, 700])
def test_a_disk_that_was_not_written_to_its_end_is_not_whole(tmp_path: Path, kept: int) -> None:
    disk = tmp_path / "disk"
    with tarfile.open(disk, "w") as tar:
        for name in ("first", "second"):
            member = tarfile.TarInfo(name)
            member.size = 2000
            tar.addfile(member, io.BytesIO(b"a" * 2000))
    os.truncate(disk, kept)
    assert not carry.unpack(disk, tmp_path / "into")
    carry.blank(disk)
    assert not carry.unpack(disk, tmp_path / "into")


def test_what_a_killed_run_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from holdfast.drill.machine import scratch\n"
        "with scratch.folder(Path(sys.argv[1])) as made: print(made, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        with scratch.folder(tmp_path) as own:
            assert left.is_dir(), "its owner is at work"
            assert own.is_dir()
        assert not own.exists()
        child.kill()
        child.wait()
        assert left.is_dir()
        with scratch.folder(tmp_path):
            assert not left.exists()


def test_the_payload_runs_without_anything_installed(tmp_path: Path) -> None:
    folder = payload.payload(tmp_path)
    names = ", ".join(payload.MODULES)
    code = f"import holdfast.__main__, {names}; print(yaml.safe_load('a: 1'), rich.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 2), done.stderr
    code = f"import {names}; print(yaml.safe_load('a: 1'), rich.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{{'a': 1}} {folder}/rich/__init__.py\n"


def test_the_payload_has_every_dependency() -> None:
    wanted, todo = set[str](), ["holdfast"]
    while todo:
        name = todo.pop()
        wanted.add(name)
        for line in distribution(name).requires or []:
            match = re.match(r"[A-Za-z0-9._-]+", line)
            if match and "extra ==" not in line and match[0].lower() not in wanted:
                todo.append(match[0].lower())
    copied = {name.lower() for module in payload.MODULES for name in packages_distributions()[module]}
    assert wanted - {"markdown-it-py"} - payload.SOLVER <= copied | {"holdfast"}


def test_what_stays_behind_is_not_loaded_by_a_drill() -> None:
    line = "import holdfast.cli.main, holdfast.app.drill, holdfast.app.watch, sys; sys.exit('pysat' in sys.modules)"
    subprocess.run([sys.executable, "-c", line], check=True)


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.shutil, "which", lambda name, **_: None if name == "b" else name)
    command.need({"a": "package-a"})
    with pytest.raises(NotReachable) as caught:
        command.need({"a": "package-a", "b": "package-b"})
    assert caught.value.what.endswith(": b")
    assert caught.value.next == "apt-get install --no-install-recommends package-b"


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("older words\n")
    with pytest.raises(Error) as caught:
        command.run(["sh", "-c", "echo one; echo two >&2; exit 3"], log)
    assert "sh failed with 3" in caught.value.what
    assert "one" in caught.value.what
    assert "two" in caught.value.what
    assert "older" not in caught.value.what
    with pytest.raises(Error, match="The disk is full"):
        command.run(["sh", "-c", "echo 'x: No space left on device' >&2; exit 1"], log)
    assert command.run(["echo", "words"], log) == "words\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a cache of its own in which a build is possible, but for the building itself."""
    monkeypatch.setenv("HOLDFAST_VM_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "obstacle", lambda: None)
    return tmp_path


def made(work: Path, _progress: object) -> None:
    """Build a disk that is none."""
    (work / "made.json").write_text('{"kernels": {"6.1": "6.1.0"}}')


def test_a_build_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_VM_CACHE", str(tmp_path))
    monkeypatch.setattr(build, "need", lambda _: None)
    monkeypatch.setattr(build.os, "geteuid", lambda: 1000)
    with pytest.raises(NotPermitted) as caught:
        build.disk(quiet)
    assert "HOLDFAST_VM_CACHE" in caught.value.next
    assert list(tmp_path.iterdir()) == []


def test_a_disk_is_built_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = here / f"{recipe.digest()}.building/root"
    left.mkdir(parents=True)
    monkeypatch.setattr(build, "_fill", made)
    assert build.cached() is None
    disk = build.disk(quiet)
    assert (disk.folder, disk.kernels) == (here / recipe.digest(), {"6.1": "6.1.0"})
    assert not left.parent.exists()
    monkeypatch.delattr(build, "_fill")
    assert build.disk(quiet) == disk


def test_a_failed_build_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(work: Path, _progress: object) -> None:
        (work / "root").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "_fill", fill)
    with pytest.raises(Error, match="The disk is full"):
        build.disk(quiet)
    assert [path.suffix for path in here.iterdir()] == [".lock"]
    monkeypatch.setattr(build, "_fill", made)
    assert build.disk(quiet).folder.is_dir()


def test_what_another_recipes_build_left_is_removed_and_a_build_at_work_is_not(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("left", "busy"):
        (here / f"{name}.building/root").mkdir(parents=True)
    monkeypatch.setattr(build, "_fill", made)
    with (here / "busy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build.disk(quiet)
    assert sorted(path.name for path in here.glob("*.building")) == ["busy.building"]


def test_a_build_without_room_does_not_begin(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FREE_MB", 1 << 40)
    monkeypatch.setattr(build, "_fill", made)
    with pytest.raises(Error, match="The disk is full"):
        build.disk(quiet)
    assert [path.suffix for path in here.iterdir()] == [".lock"]


def test_a_second_build_waits_for_the_first(here: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from holdfast.drill.machine import build\n"
        "def fill(work, progress):\n"
        "    print('building', flush=True); sys.stdin.readline()\n"
        "    (work / 'made.json').write_text('{\"kernels\": {}}')\n"
        "build.obstacle = lambda: None; build._fill = fill\n"
        "print(build.disk(lambda line: print(line, flush=True)).folder.name, flush=True)\n"
    )
    env = {**os.environ, "HOLDFAST_VM_CACHE": str(here)}
    children = []
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        children.append(child)
        assert child.stdout is not None
        assert "building" in (line := child.stdout.readline()) or "waiting for another build" in line
    outs = [child.communicate("\n", timeout=30)[0] for child in children]
    assert outs == [f"{recipe.digest()}\n"] * 2


def test_a_run_without_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Usage):
        boot.run(
            build.Disk(tmp_path, {}), FLAVOURS["plain"], tmp_path, ["true"], into=tmp_path, timeout_s=5, progress=quiet
        )
    assert list(tmp_path.iterdir()) == []


def test_a_payload_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_VM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(boot, "need", lambda _: None)
    missing = tmp_path / "missing"
    with pytest.raises(Error) as caught:
        boot.run(
            build.Disk(tmp_path, {}),
            FLAVOURS["plain"],
            missing,
            ["x"],
            into=tmp_path / "o",
            timeout_s=99,
            progress=quiet,
        )
    assert caught.value.where == str(missing)
    assert list(boot.runs().glob("run-*")) == []


def test_a_command_dies_with_its_parent(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        "import sys; from pathlib import Path; from holdfast.drill.machine import command\n"
        "command.run(['sh', '-c', 'echo $$ > \"$1\"; exec sleep 60', 'sh', sys.argv[1]], Path(sys.argv[1] + '.log'))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(mark)]) as child:
        end = time.monotonic() + 20
        while not (mark.exists() and mark.read_text().strip()):
            assert time.monotonic() < end
            time.sleep(0.05)
        pid = int(mark.read_text())
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert gone(pid)


@pytest.mark.root
def test_all_that_a_contained_command_started_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from holdfast.drill.machine import command\n"
        'script = \'mount -t tmpfs none "$1" || exit; setsid sh -c "sleep 60; : $1" & echo > "$1.up"; wait\'\n'
        "command.run(['sh', '-c', script, 'sh', sys.argv[1]], Path(sys.argv[1] + '.log'), contained=True)"
    )
    folder = tmp_path / "mounted"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", code, str(folder)]) as child:
        end = time.monotonic() + 20
        while not (tmp_path / "mounted.up").exists() or len(started(folder)) < 2:
            assert time.monotonic() < end, (tmp_path / "mounted.log").read_text()
            time.sleep(0.05)
        assert not folder.is_mount(), "it is mounted for the command only"
        pids = started(folder)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert all(map(gone, pids))


def started(folder: Path) -> list[int]:
    """List the shells that bear a folder in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words.startswith(b"sh\0") and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def gone(pid: int) -> bool:
    """Wait up to 10 seconds for a process to end; a zombie has ended."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False
