"""What a drill plants looks like the host's own, holds nothing of it, and is gone at the end."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drill_leavings import cgroup_top
from holdfast.drill import kernel_calls, kernel_state, reaper, stand_in_paths
from holdfast.drill import stage as stage_module
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.probe_file import probe as real_probe
from holdfast.drill.process_identity import started
from holdfast.drill.stage import Stage
from holdfast.model.errors import NotPermitted, NotReachable, Unsafe

HOLD = """#!/bin/sh
# Stands in for the probe: says what it would say, and waits.
echo $$ 7f00dead
exec sleep "$2"
"""


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path: the kernel takes no helper of a long one."""
    with tempfile.TemporaryDirectory(prefix="hf") as folder:
        Path(folder).chmod(0o711)
        monkeypatch.setenv("HOLDFAST_STATE", folder)
        program = Path(folder) / "probe"
        program.write_text(HOLD)
        monkeypatch.setattr(stage_module, "probe", lambda: program)
        yield Path(folder)


@pytest.fixture
def stage(state: Path) -> Iterator[Stage]:
    journal = Journal.open(new_id(), 600)
    try:
        with Stage(journal) as made:
            yield made
    finally:
        assert [entry for entry in reaper.finish(journal) if isinstance(entry, reaper.Left)] == []
        assert not any((state / "drill").iterdir())


@pytest.fixture
def host() -> Iterator[Path]:
    """A folder of the host's with one thing of each kind."""
    with tempfile.TemporaryDirectory(prefix="hf") as made:
        folder = Path(made)
        (folder / "private").mkdir(mode=0o700)
        (folder / "private" / "inner").mkdir()
        (folder / "private" / "inner" / "third").mkdir()
        (folder / "sticky").mkdir()
        (folder / "sticky").chmod(0o1777)
        (folder / "file").write_text("contents of the host")
        (folder / "file").chmod(0o640)
        (folder / "setuid").write_text("contents of the host")
        (folder / "setuid").chmod(0o4755)
        (folder / "link").symlink_to("/etc/shadow")
        os.mkfifo(folder / "pipe")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "engine"))
            (folder / "engine").chmod(0o606)
            yield folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_folder_has_the_names_kinds_and_modes_of_the_host_and_no_contents(stage: Stage, host: Path) -> None:
    made = stage.stand_in(str(host))
    assert made == stage.folder / f"tree{host}"
    assert sorted(path.name for path in made.iterdir()) == ["engine", "file", "link", "private", "setuid", "sticky"]
    assert mode(made) == mode(host)
    assert mode(made / "private") == 0o700
    assert (made / "private" / "inner").is_dir()
    assert not (made / "private" / "inner" / "third").exists(), "two levels and no more"
    assert mode(made / "sticky") == 0o1777
    assert mode(made / "file") == 0o640
    assert (made / "file").read_bytes() == b""
    assert mode(made / "setuid") == 0o755, "a setuid file that others may write would be a way up"
    assert (made / "link").readlink() == Path("/etc/shadow")
    assert stat.S_ISSOCK((made / "engine").lstat().st_mode)
    assert mode(made / "engine") == 0o606


@pytest.mark.root
def test_owners_are_those_of_the_host(stage: Stage, host: Path) -> None:
    os.chown(host / "private", 1234, 5678)
    os.chown(host / "file", 1234, 5678)
    made = stage.stand_in(str(host))
    for name in ("private", "file"):
        seen = (made / name).stat()
        assert (seen.st_uid, seen.st_gid) == (1234, 5678)


def test_a_link_is_followed_as_a_mount_follows_it(stage: Stage, host: Path) -> None:
    (host / "way").symlink_to(host / "private")
    assert stage.stand_in(str(host / "way")) == stage.folder / f"tree{host}/private"


def test_what_the_techniques_write_to_is_there_as_far_as_the_host_has_it(stage: Stage) -> None:
    made = stage.stand_in("/etc")
    for name in ("cron.d", "crontab", "shadow", "passwd", "systemd/system", "kubernetes/manifests", "ssh", "cdi"):
        there = Path("/etc", name)
        assert (made / name).is_dir() is there.is_dir(), name
        assert (made / name).is_file() is there.is_file(), name
    assert (made / "passwd").stat().st_size == 0


def test_what_techniques_use_is_there_however_deep_it_lies(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, host: Path
) -> None:
    deep = host / "private" / "inner" / "third" / "fourth"
    deep.mkdir()
    (host / "private" / "inner" / "third" / "conf").write_text("contents of the host")
    patterns = (f"{deep}/*", f"{host}/*/inner/third/conf", f"{host}/absent/*")
    monkeypatch.setattr(stand_in_paths, "well_known", lambda: patterns)
    made = stage.stand_in(str(host))
    assert (made / "private/inner/third/fourth").is_dir()
    assert (made / "private/inner/third/conf").read_bytes() == b""
    assert not (made / "absent").exists(), "what the host has not, nobody on it acts on"


def test_the_root_is_the_tree_of_all(stage: Stage) -> None:
    begin = time.perf_counter()
    made = stage.stand_in("/")
    assert time.perf_counter() - begin < 10
    assert made == stage.folder / "tree"
    for name in ("etc", "usr/bin", "root", "var/lib", "var/log", "proc", "sys"):
        assert (made / name).is_dir(), name
    assert not any((made / "proc").iterdir())
    assert not any((made / "sys").iterdir())
    assert not [
        path for path in made.rglob("*") if stat.S_ISBLK(path.lstat().st_mode) or stat.S_ISCHR(path.lstat().st_mode)
    ]


def test_a_file_alone(stage: Stage) -> None:
    made = stage.stand_in("/etc/shadow")
    assert made.is_file()
    assert made.stat().st_size == 0
    assert mode(made) == mode(Path("/etc/shadow"))


def test_asked_twice_it_is_the_same(stage: Stage) -> None:
    made = stage.stand_in("/etc/cron.d")
    (made / "left").write_text("x")
    assert stage.stand_in("/etc/cron.d") == made
    assert stage.stand_in("/etc") == made.parent
    assert (made / "left").read_text() == "x"


@pytest.mark.parametrize("path", ["/proc", "/sys", "/proc/sys/kernel", "/sys/fs/cgroup", "relative", "//proc"])
def test_views_of_the_kernel_have_no_stand_in(stage: Stage, path: str) -> None:
    with pytest.raises(Unsafe):
        stage.stand_in(path)


def test_a_link_that_a_container_left_leads_nowhere(stage: Stage, host: Path) -> None:
    made = stage.stand_in("/etc")
    shutil.rmtree(made / "cron.d")
    (made / "cron.d").symlink_to(host)
    with pytest.raises(NotReachable):
        stage.secret("/etc/cron.d")
    with pytest.raises(NotReachable):
        stage.stand_in("/etc/cron.d/sub")
    (made / "shadow").unlink()
    (made / "shadow").symlink_to(host / "file")
    with pytest.raises(NotReachable):
        stage.secret("/etc/shadow")
    assert (host / "file").read_text() == "contents of the host"
    assert not [path for path in host.iterdir() if path.name.startswith("holdfast")]


def test_every_host_path_of_the_catalogue_that_is_there_is_in_the_tree_of_all(stage: Stage) -> None:
    made = stage.stand_in("/")
    known = [path for pattern in stand_in_paths.well_known() for path in stand_in_paths.expanded(pattern)]
    assert len(known) > 80
    # A link of the host's may stand in the way; where it leads is in the tree then.
    real = [path for path in known if os.path.lexists(path)]
    assert len(real) > 10
    assert [path for path in real if not os.path.lexists(f"{made}{os.path.realpath(path)}")] == []


def heard(received: set[bytes], token: str) -> bool:
    until = time.monotonic() + 5
    while token.encode() not in received:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_stand_in_socket_hears_and_speaks(stage: Stage) -> None:
    made = stage.stand_in("/run/holdfast-absent/engine.sock")
    listener = stage.listeners()["/run/holdfast-absent/engine.sock"]
    assert listener.address == str(made)
    assert mode(made) == 0o600
    token = stage.token()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(made))
        client.settimeout(5)
        assert client.recv(100).decode() == listener.secret
        client.sendall(f"GET /{token[:10]}".encode())
        time.sleep(0.05)
        client.sendall(f"{token[10:]} HTTP/1.1\r\n".encode())
        assert heard(listener.received, token)


def test_tcp_and_abstract_sockets_hear(stage: Stage) -> None:
    tcp, abstract = stage.listen_tcp(), stage.listen_abstract()
    address, _, port = tcp.address.rpartition(":")
    assert address == "127.0.0.1"
    with socket.create_connection((address, int(port)), 5) as client:
        client.sendall(b"token-of-the-first-test")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + abstract.address[1:])
        client.sendall(b"short token-of-the-second-test")
    assert heard(tcp.received, "token-of-the-first-test")
    assert heard(abstract.received, "token-of-the-second-test")
    assert b"short" not in abstract.received
    assert b"token-of-the-second-test" not in tcp.received


def test_many_connections_and_much_noise_do_not_stop_a_listener(stage: Stage) -> None:
    listener = stage.listen_abstract()
    with ExitStack() as opened:
        for _ in range(100):
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(5)
            client.connect("\0" + listener.address[1:])
        client.sendall(b"\0\xff" * 100_000 + b" token-after-the-noise ")
        assert heard(listener.received, "token-after-the-noise")


def test_a_console_hears(stage: Stage) -> None:
    console = stage.console()
    assert str(console.path).startswith("/dev/pts/")
    handle = os.open(console.path, os.O_WRONLY | os.O_NOCTTY)
    os.write(handle, b"token-on-the-console\n")
    os.close(handle)
    assert heard(console.received, "token-on-the-console")


def test_a_canary_is_for_its_owner_alone_and_is_found(stage: Stage) -> None:
    token = stage.secret("/etc/kubernetes/pki")
    (found,) = stage.token_written(token)
    assert found.parent == stage.stand_in("/etc/kubernetes/pki")
    assert mode(found) == 0o600
    assert found.read_text() == token
    assert stage.secret("/etc/shadow") in stage.stand_in("/etc/shadow").read_text()


def test_a_token_is_found_in_names_contents_and_links_and_nothing_is_waited_for(stage: Stage) -> None:
    made, token = stage.stand_in("/etc/cron.d"), stage.token()
    assert stage.token_written(token) == []
    (made / token).mkdir()
    (made / "content").write_bytes(b"x" * ((1 << 20) - 5) + token.encode())
    (made / "link").symlink_to(f"/{token}")
    os.mkfifo(made / "pipe")
    assert {path.name for path in stage.token_written(token)} == {token, "content", "link"}


@pytest.mark.root
def test_views_of_the_kernel_that_are_mounted_below_are_not_searched(stage: Stage) -> None:
    made, token = stage.stand_in("/etc"), stage.token()
    for name in ("view", "disk"):
        (made / name).mkdir()
    subprocess.run(["mount", "-t", "proc", "proc", made / "view"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", made / "disk"], check=True)
    (made / "disk" / token).write_text("x")
    # The view has a process that names the token, which is no proof of anything.
    with subprocess.Popen(["sleep", "60", "0"], env={"TOKEN": token}) as process:
        try:
            environ = made / f"view/{process.pid}/environ"
            until = time.monotonic() + 10
            while token not in environ.read_text() and time.monotonic() < until:
                time.sleep(0.02)  # the kernel shows it a moment after the program was started
            assert token in environ.read_text()
            assert stage.token_written(token) == [made / "disk" / token]
        finally:
            process.kill()


@pytest.mark.root
def test_a_shared_stand_in_hands_mounts_on_and_only_there(stage: Stage, host: Path) -> None:
    made = stage.shared(str(host))
    assert stage.shared(str(host)) == made
    before = kernel_state.look().sets["mounts"]
    (line,) = [line for line in before if line.startswith(f"{made} ")]
    assert line.endswith(" shared")
    code = "import sys; from holdfast.drill import kernel_calls as k; k.mount(sys.argv[1], sys.argv[1], k.MS_BIND)"
    words = ["unshare", "--mount", "--propagation", "unchanged", sys.executable, "-c", code, made / "sticky"]
    subprocess.run(words, check=True, timeout=30)
    come = kernel_state.look().sets["mounts"] - before
    assert [line.split()[0] for line in come] == [str(made / "sticky")]
    # The end of the test shows that the reaper finds it, though no journal names it.


@pytest.mark.root
def test_a_disk_has_its_secrets_and_shows_what_was_written(stage: Stage, tmp_path: Path) -> None:
    disk = stage.disk()
    assert stage.disk() is disk
    assert disk.device.read_bytes()[:64].rstrip(b"\0").decode() == disk.raw_secret
    assert disk.fstype == "ext4"
    subprocess.run(["mount", "-o", "ro,noload", disk.device, tmp_path], check=True)
    try:
        assert (tmp_path / "secret").read_text() == disk.file_secret
        assert mode(tmp_path / "secret") == 0o600
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    token = stage.token()
    with disk.device.open("r+b") as file:
        file.seek(512)
        file.write(token.encode())
        file.flush()
        assert stage.token_written(token) == [disk.image]
    device = disk.device
    stage.close()
    until = time.monotonic() + 5
    while Path(f"/sys/block/{device.name}/loop/backing_file").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/sys/block/{device.name}/loop/backing_file").exists(), "it goes when nobody has it open"


@pytest.mark.root
def test_without_mke2fs_the_disk_is_raw(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.drill.loop_disk.shutil.which", lambda *_, **__: None)
    disk = stage.disk()
    assert (disk.fstype, disk.file_secret) == ("", "")
    assert disk.device.read_bytes()[: len(disk.raw_secret)].decode() == disk.raw_secret


@pytest.mark.parametrize(("error", "kind"), [(2, NotReachable), (1, NotPermitted)])
def test_without_loop_devices_it_says_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: int, kind: type[Exception]
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(error, "refused", "/dev/loop-control")

    monkeypatch.setattr(kernel_calls, "attach_loop", refuse)
    with pytest.raises(kind):
        stage.disk()


def fields(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.root
@pytest.mark.parametrize(("user", "capabilities"), [(0, True), (0, False), (4321, False), (4321, True)])
def test_a_planted_process_has_the_user_and_the_capabilities(stage: Stage, user: int, capabilities: bool) -> None:
    planted = stage.process(user, capabilities=capabilities)
    seen = fields(planted.pid)
    assert set(seen["Uid"].split()) == {str(user)}
    assert set(seen["Gid"].split()) == {str(user)}
    assert (int(seen["CapEff"], 16) != 0) is (capabilities and user == 0)
    assert (int(seen["CapBnd"], 16) != 0) is capabilities
    assert planted.address == 0x7F00DEAD
    until = time.monotonic() + 5
    # Between two programs of one process there is no environment for a moment.
    while planted.secret.encode() not in Path(f"/proc/{planted.pid}/environ").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.01)
    stage.close()
    assert started(planted.pid) == 0


@pytest.mark.root
@pytest.mark.parametrize(("user", "capabilities"), [(0, True), (0, False), (4321, False)])
def test_the_real_probe_keeps_the_secret_where_it_says(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, user: int, capabilities: bool
) -> None:
    monkeypatch.setattr(stage_module, "probe", real_probe)
    planted = stage.process(user, capabilities=capabilities)
    assert Path(f"/proc/{planted.pid}/exe").readlink() == stage.helper()
    with Path(f"/proc/{planted.pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(planted.address)
        assert memory.read(len(planted.secret)).decode() == planted.secret
    assert planted.secret.encode() not in Path(f"/proc/{planted.pid}/cmdline").read_bytes(), "no proof of ptrace then"


def test_a_process_that_does_not_answer_is_ended(stage: Stage, state: Path) -> None:
    (state / "probe").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(NotReachable, match="does not answer"):
        stage.process(os.geteuid())


def test_a_helper_is_short_and_can_be_started_by_everybody(stage: Stage) -> None:
    helper = stage.helper()
    assert len(str(helper)) < 100
    assert mode(helper) == 0o755
    assert stage.helper() == helper


@pytest.mark.parametrize("name", ["with space", "x" * 90])
def test_a_path_that_the_kernel_does_not_take_is_refused(
    state: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE", str(state / name))
    with Journal.open(new_id(), 60) as journal, Stage(journal) as stage, pytest.raises(Unsafe, match="HOLDFAST_STATE"):
        stage.helper()


@pytest.mark.root
@pytest.mark.usefixtures("state")
def test_shared_memory_is_there_and_goes() -> None:
    journal = Journal.open(new_id(), 60)
    with Stage(journal) as stage:
        key, secret = stage.shared_memory()
        path, other = stage.shm_file()
        assert key in {found for found, _, _ in kernel_calls.segments()}
        assert path.read_text() == other != secret
        assert mode(path) == 0o600
    reaper.finish(journal)
    assert key not in {found for found, _, _ in kernel_calls.segments()}
    assert not path.exists()


KILLED = """
import os, signal, sys
from holdfast.drill import stage as stage_module
from holdfast.drill.journal import Journal
from pathlib import Path
stage_module.probe = lambda: Path(os.environ["HOLDFAST_STATE"]) / "probe"
left = int(sys.argv[2])
def hook(name):
    global left
    left -= 1
    if left == 0: os.kill(os.getpid(), signal.SIGKILL)
stage = stage_module.Stage(Journal.open(sys.argv[1], 600, hook))
stage.stand_in("/etc"); stage.shared("/opt"); stage.secret("/etc/shadow")
stage.process(0); stage.process(1234, capabilities=False)
stage.shared_memory(); stage.shm_file(); stage.disk()
print(left)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.root
@pytest.mark.parametrize("stop_at", range(1, 18))
def test_killed_at_any_point_the_stage_leaves_nothing(state: Path, stop_at: int) -> None:
    before, run = kernel_state.look(), new_id()
    words = [sys.executable, "-c", KILLED, run, str(stop_at)]
    with tempfile.TemporaryFile() as told:
        process = subprocess.run(words, stdout=told, stderr=told, timeout=60, check=False)
        told.seek(0)
        text = told.read().decode()
    assert process.returncode == -9, text
    assert "Error" not in text
    assert [entry for entry in reaper.reap(time.time(), engines=()) if isinstance(entry, reaper.Left)] == []
    changed = [str(entry) for entry in kernel_state.differences(before, kernel_state.look()) if run in str(entry)]
    assert changed == []
    assert not any((state / "drill").iterdir())
    assert not (cgroup_top() / f"holdfast-{run}").exists()
