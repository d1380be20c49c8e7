"""The probe's acts, each performed for real: what the kernel grants, what it refuses, and that it is taken back."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill_speech import NOBODY, copied, do, raw, speaking
from holdfast.drill.acts import ACTS, Answer, decode, encode
from holdfast.drill.probe_file import probe
from holdfast.drill.session import Session
from holdfast.model.errors import NotReachable, NotUnderstood, Unsafe

NEWNS = 0x20000
NEWUSER = 0x10000000
PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")
root = pytest.mark.root


@pytest.fixture(scope="module")
def program() -> Iterator[str]:
    with copied() as path:
        yield path


def test_the_probe_and_the_runner_know_the_same_acts(program: str) -> None:
    said = subprocess.run([program, "acts"], capture_output=True, text=True, check=True).stdout
    assert {line.split()[0]: tuple(line.split()[1:]) for line in said.splitlines()} == dict(ACTS)


def test_every_byte_arrives(program: str, tmp_path: Path) -> None:
    with speaking(program) as attempt:
        do(attempt, "open", tmp_path / "f", "rwc")
        text = bytes(range(256)).decode(errors="surrogateescape")
        assert do(attempt, "write", 0, text).result == 256
        assert do(attempt, "read_at", 0, 0, 4096).data == bytes(range(256))


def test_the_lines_are_held_to_the_closed_set() -> None:
    assert encode("open", {"path": "/a|b%\n", "mode": "r"}) == "open|/a%7cb%25%0a|r"
    for act, args in (("exec", {"path": "/bin/sh"}), ("open", {"path": "/"}), ("crash", {"x": "1"})):
        with pytest.raises(Unsafe):
            encode(act, args)
    with pytest.raises(Unsafe):
        encode("write", {"slot": "0", "text": "x" * 70_000})
    assert decode("-1 13 -") == Answer(-1, 13)
    assert decode("3 0 616200") == Answer(3, 0, b"ab\0")
    for wrong in ("", "1 2", "a 0 -", "1 0 zz", "1 0 - -"):
        with pytest.raises(NotUnderstood):
            decode(wrong)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"nothing|x", "-1 38 -"),
        (b"open|/etc", "-1 38 -"),
        (b"open|/etc|r|x", "-1 38 -"),
        (b"open|/etc%zz|r", "-1 38 -"),
        (b"open|/etc\0|r", "-1 38 -"),
        (b"", "-1 38 -"),
        (b"begin again", "-1 38 -"),
        (b"begun", "-1 38 -"),
        (b"open|/etc%00x|r", "-1 22 -"),
        (b"open|/etc|x", "-1 22 -"),
        (b"open|/etc|", "-1 22 -"),
        (b"read|.|1", "-1 22 -"),
        (b"read|-1|1", "-1 9 -"),
        (b"read|256|1", "-1 9 -"),
        (b"read|99999999999999999999|1", "-1 22 -"),
        (b"read|7|1", "-1 9 -"),
        (b"setns|0|zero", "-1 9 -"),
        (b"signal_check|zero", "-1 22 -"),
        (b"x" * (10 << 20), "-1 7 -"),
        (b"inherited|0", "-1 9 -"),
        (b"inherited|70000", "-1 9 -"),
    ],
)
def test_a_hostile_line_is_refused_and_the_speech_goes_on(program: str, line: bytes, answer: str) -> None:
    said = raw(program, b"begin a\n" + line + b"\nsleep_ms|0\nend\n")
    assert said == ["begun a", answer, "0 0 -", "ended 0 0"]


def test_no_attempt_takes_more_steps_than_there_are_slots(program: str) -> None:
    said = raw(program, b"end\nsleep_ms|0\nbegin \nbegin a\n" + b"sleep_ms|0\n" * 300 + b"end\nbegin b\nsleep_ms|0\n")
    assert said[:4] == ["-1 38 -", "-1 38 -", "-1 38 -", "begun a"]
    assert said[4:304] == ["0 0 -"] * 256 + ["-1 7 -"] * 44
    assert said[304:] == ["ended 0 0", "begun b", "0 0 -"]


def test_files(program: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("0123456789")
    with speaking(program) as attempt:
        assert do(attempt, "open", tmp_path, "d").result >= 0
        assert do(attempt, "open_at", 0, "new", "wc").result >= 0
        assert do(attempt, "write", 1, "secret").result == 6
        assert do(attempt, "open_at", 0, "new", "r").result >= 0
        assert do(attempt, "read", 3, 4096).data == b"secret"
        assert do(attempt, "open", tmp_path / "new", "wc").errno == errno.EEXIST
        assert do(attempt, "open", tmp_path / "none", "w").errno == errno.ENOENT
        assert do(attempt, "open", old, "rw").result >= 0
        assert do(attempt, "write_at", 7, 2, "AB").result == 2
        assert old.read_text() == "01AB456789"
        assert do(attempt, "read_at", 7, 1, 3).data == b"1AB"
        assert do(attempt, "set", old, "xyz").result == 3
        assert old.read_text() == "xyz"
        assert do(attempt, "set", tmp_path / "none", "x").errno == errno.ENOENT
        assert do(attempt, "list", tmp_path).data.split() in ([b"old", b"new"], [b"new", b"old"])
        mode, uid, gid, device, inode, size, node = do(attempt, "stat", old).data.decode().split()
        seen = old.stat()
        assert (int(mode, 8), int(uid), int(gid), int(inode)) == (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_ino)
        assert (device, size, node) == (f"{os.major(seen.st_dev)}:{os.minor(seen.st_dev)}", "3", "0:0")
        assert do(attempt, "statfs", "/proc").data == b"9fa0 proc"
        assert do(attempt, "close", 7).result == 0
        assert do(attempt, "read", 7, 1).errno == errno.EBADF
        assert do(attempt, "open", "/etc/passwd", "p").result >= 0
        assert do(attempt, "fchdir", 0).result == 0
        assert do(attempt, "stat", "old").result == 0
        assert do(attempt, "chdir", "/").result == 0
        assert do(attempt, "stat", "old").errno == errno.ENOENT
    assert attempt.ended is not None
    assert attempt.ended.failed == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old": "0123456789"}


def test_names(program: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("")
    old.chmod(0o640)
    (tmp_path / "folder").mkdir()
    with speaking(program) as attempt:
        assert do(attempt, "mkdir", f"{tmp_path}/made/").result == 0
        assert do(attempt, "mkdir", tmp_path / "made").errno == errno.EEXIST
        assert do(attempt, "mkdir", tmp_path / "..").errno == errno.EINVAL
        assert do(attempt, "symlink", "/nowhere", tmp_path / "made" / "link").result == 0
        assert do(attempt, "read_link", tmp_path / "made" / "link").data == b"/nowhere"
        assert do(attempt, "mknod", tmp_path / "pipe", "p", 0, 0).result == 0
        assert do(attempt, "mknod", tmp_path / "what", "x", 0, 0).errno == errno.EINVAL
        assert do(attempt, "chmod", old, 4755).result == 0
        assert old.stat().st_mode & 0o7777 == 0o4755
        for stranger in ("rmdir", "unlink"):
            path = tmp_path / ("folder" if stranger == "rmdir" else "old")
            assert do(attempt, stranger, path).errno == errno.EACCES, "only what the attempt made is removed"
        assert do(attempt, "unlink", tmp_path / "pipe").result == 0
        assert do(attempt, "mkdir", tmp_path / "second").result == 0
        assert do(attempt, "rmdir", tmp_path / "second").result == 0
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (5, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "old"]
    assert old.stat().st_mode & 0o7777 == 0o640


def test_what_is_no_longer_ours_is_left_alone(program: str, tmp_path: Path) -> None:
    with speaking(program) as attempt:
        do(attempt, "open", tmp_path / "f", "wc")
        (tmp_path / "f").rename(tmp_path / "kept")
        (tmp_path / "f").write_text("a stranger's")
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (0, 1)
    assert (tmp_path / "f").read_text() == "a stranger's"


def test_an_empty_file_is_empty_again(program: str, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with speaking(program) as attempt:
        assert do(attempt, "set", tmp_path / "f", "some text").result == 9
    assert (tmp_path / "f").read_bytes() == b""


@root
def test_a_setting_of_the_kernel(program: str) -> None:
    """The host name of a namespace of its own: a setting that only the probe's process can see."""
    setting = "/proc/sys/kernel/hostname"
    here = Path(setting).read_text()
    with Session(["unshare", "--uts", program, "attempts", "20"]) as session:
        for change in ("holdfast-drill", "x" * 60):
            with session.attempt("a") as attempt:
                assert do(attempt, "set", setting, change).result == len(change)
                assert do(attempt, "open", setting, "r").result >= 0
                assert do(attempt, "read", 1, 100).data.decode() == f"{change}\n"
            with session.attempt("b") as attempt:
                do(attempt, "open", setting, "r")
                assert do(attempt, "read", 0, 100).data.decode() == here
    assert Path(setting).read_text() == here


@root
def test_owners_and_devices(program: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("")
    old.chmod(0o4755)
    with speaking(program) as attempt:
        assert do(attempt, "chown", old, 65534, 65533).result == 0
        assert (old.stat().st_uid, old.stat().st_gid) == (65534, 65533)
        assert do(attempt, "mknod", tmp_path / "null", "c", 1, 3).result == 0
        assert os.major((tmp_path / "null").stat().st_rdev) == 1
    assert (old.stat().st_uid, old.stat().st_gid, old.stat().st_mode & 0o7777) == (0, 0, 0o4755)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@root
def test_a_planted_setuid_copy_says_who_it_is_and_nothing_else(program: str) -> None:
    folder = Path(program).parent
    with speaking(program) as attempt:
        assert do(attempt, "copy_self", folder / "planted", 4755).result == 0
        assert (folder / "planted").stat().st_mode & 0o7777 == 0o4755
        words = {
            ("euid",): (0, "0\n"),
            ("attempts", "5"): (77, ""),
            ("hold", "5", "t"): (77, ""),
            ("mark", f"{folder}/marked", "t"): (77, ""),
            ("acts",): (77, ""),
        }
        for asked, (status, said) in words.items():
            ran = subprocess.run(
                [*NOBODY, str(folder / "planted"), *asked],
                input="",
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
            )
            assert (ran.returncode, ran.stdout) == (status, said), asked
    assert not (folder / "planted").exists()
    assert not (folder / "marked").exists()


@root
def test_mounts(program: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "f").write_text("below")
    with speaking(program, *PRIVATE_MOUNTS) as attempt:
        assert do(attempt, "mount", "none", tmp_path / "a", "tmpfs", 0, "size=64k").result == 0
        assert do(attempt, "statfs", tmp_path / "a").data == b"1021994 tmpfs"
        assert do(attempt, "remount", tmp_path / "a", 1, 0).result == 0
        assert do(attempt, "mkdir", tmp_path / "a" / "x").errno == errno.EROFS
        assert do(attempt, "mount", tmp_path / "a", tmp_path / "b", "", 0x1000, "").result == 0
        assert do(attempt, "umount", tmp_path / "b").result == 0
        assert do(attempt, "mount", "/etc/hostname", tmp_path / "f", "", 0x1000, "").result == 0
        assert do(attempt, "mount", "none", tmp_path / "none", "tmpfs", 0, "").errno == errno.ENOENT
        assert do(attempt, "mount", "none", tmp_path / "a", "tmpfs", 0x20, "").errno == errno.EINVAL
        assert do(attempt, "mount", "none", "/", "", 0x44000, "").result == 0
        assert do(attempt, "mount", tmp_path / "a", "/", "", 0x1000, "").result == 0
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (5, 0)


@root
def test_what_is_mounted_is_gone_for_the_next_attempt(program: str, tmp_path: Path) -> None:
    with Session([*PRIVATE_MOUNTS, program, "attempts", "60"]) as session:
        with session.attempt("a") as attempt:
            assert do(attempt, "detached", "tmpfs", "size=64k,mode=0711").result >= 0
            assert do(attempt, "attach", 0, tmp_path).result == 0
            assert do(attempt, "stat", tmp_path).data.startswith(b"40711 ")
            assert do(attempt, "clone_mount", "/proc", 0).result >= 0
            assert do(attempt, "detached", "tmpfs", "nonsense=1").errno == errno.EINVAL
            do(attempt, "mkdir", tmp_path / "m")
            assert do(attempt, "attach", 3, tmp_path / "m").result == 0
            assert do(attempt, "statfs", tmp_path / "m").data == b"9fa0 proc"
            # Undone although the attempt stands elsewhere by then.
            assert do(attempt, "unshare", NEWNS).result == 0
            assert do(attempt, "mount", "none", "/mnt", "tmpfs", 0, "").result == 0
            assert do(attempt, "chroot", tmp_path).result == 0
            assert do(attempt, "chdir", "/").result == 0
        assert attempt.ended is not None
        assert attempt.ended.failed == 0
        with session.attempt("b") as attempt:
            assert not do(attempt, "statfs", tmp_path).data.startswith(b"1021994") or not any(tmp_path.iterdir())
            seen = do(attempt, "open", "/proc/self/mountinfo", "r")
            assert seen.result >= 0
            mounts = b""
            while more := do(attempt, "read", 1, 4096).data:
                mounts += more
            assert str(tmp_path).encode() not in mounts


@root
def test_in_a_namespace_that_was_entered_only_its_own_mounts_go(program: str, tmp_path: Path) -> None:
    """The namespace entered belongs to a process of the test; it must look afterwards as before."""
    other = subprocess.Popen(
        [*PRIVATE_MOUNTS, "sh", "-c", f"mount -t tmpfs theirs {tmp_path}; mkdir {tmp_path}/m; echo; exec sleep 60"],
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        mounts = Path(f"/proc/{other.pid}/mountinfo")
        before = mounts.read_text()
        with speaking(program) as attempt:
            assert do(attempt, "open", f"/proc/{other.pid}/ns/mnt", "r").result >= 0
            assert do(attempt, "query", 0, "namespace_kind").result == NEWNS
            assert do(attempt, "setns", 0, NEWNS).result == 0
            assert do(attempt, "mount", "none", tmp_path / "m", "tmpfs", 0, "").result == 0
            assert do(attempt, "open", tmp_path / "m" / "token", "wc").result >= 0
            assert mounts.read_text() != before
            assert do(attempt, "umount", tmp_path).errno == errno.EACCES
            assert do(attempt, "mount", "none", tmp_path, "", 1 << 18, "").errno == errno.EACCES
        assert attempt.ended is not None
        assert (attempt.ended.undone, attempt.ended.failed) == (2, 0)
        assert mounts.read_text() == before
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_a_user_namespace_of_ones_own(program: str) -> None:
    with speaking(program) as attempt:
        made = do(attempt, "user_namespace", NEWNS)
        # A machine may forbid it (Ubuntu's AppArmor, kernel.unprivileged_userns_clone).
        assert made.errno in {0, errno.EPERM, errno.EACCES, errno.ENOSPC}
        if made.result == 0:
            uid, _, _, _, effective, _, _ = do(attempt, "identity").data.split()
            assert uid == b"0"
            assert int(effective, 16) & 1 << 21
        assert do(attempt, "user_namespace", 0x400).errno == errno.EINVAL
        assert do(attempt, "unshare", 0x400).errno == errno.EINVAL


@root
def test_file_handles(program: str) -> None:
    path = "/etc/passwd"
    with speaking(program) as attempt:
        kind, _, handle = do(attempt, "name_to_handle", path).data.decode().split()
        assert do(attempt, "open", path, "r").result >= 0
        assert do(attempt, "open_by_handle", 1, kind, handle, 0).result >= 0
        assert do(attempt, "read", 2, 4096).data == Path(path).read_bytes()[:4096]
        assert do(attempt, "open_by_handle", 1, kind, "abc", 0).errno == errno.EINVAL
        assert do(attempt, "open_by_handle", 1, kind, "00" * 200, 0).errno == errno.EINVAL


@root
def test_memory_of_another_process(program: str) -> None:
    with subprocess.Popen([program, "hold", "60", "a-token"], stdout=subprocess.PIPE, text=True) as held:
        try:
            assert held.stdout is not None
            pid, address = held.stdout.readline().split()
            assert int(pid) == held.pid
            assert b"a-token" not in Path(f"/proc/{pid}/cmdline").read_bytes()
            with speaking(program) as attempt:
                assert do(attempt, "ptrace_read", pid, address, 7).data == b"a-token"
                assert do(attempt, "process_vm_read", pid, address, 7).data == b"a-token"
                assert do(attempt, "process_vm_read", pid, "10", 7).errno == errno.EFAULT
                assert do(attempt, "ptrace_read", pid, "10", 7).errno == errno.EIO
                assert do(attempt, "signal_check", pid).result == 0
                assert do(attempt, "pidfd_open", pid).result >= 0
                assert do(attempt, "pidfd_getfd", 5, 1).result >= 0
            assert held.poll() is None
            with speaking(program, *NOBODY) as attempt:
                assert do(attempt, "ptrace_read", pid, address, 7).errno == errno.EPERM
                assert do(attempt, "process_vm_read", pid, address, 7).errno == errno.EPERM
                assert do(attempt, "signal_check", pid).errno == errno.EPERM
                assert do(attempt, "pidfd_open", pid).result >= 0
                assert do(attempt, "pidfd_getfd", 3, 1).errno == errno.EPERM
                assert do(attempt, "signal_check", 999_999_999).errno == errno.ESRCH
        finally:
            held.kill()


def test_hold_and_mark_end_by_themselves(program: str, tmp_path: Path) -> None:
    started = subprocess.run([program, "hold", "1", "t"], capture_output=True, text=True, timeout=10, check=True)
    assert len(started.stdout.split()) == 2
    path = tmp_path / "marked"
    assert subprocess.run([program, "mark", path, "t", "more"], timeout=10, check=True).returncode == 0
    assert path.read_text() == f"t {os.geteuid()}\n"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert subprocess.run([program, "mark", path, "u"], timeout=10, check=False).returncode == 3
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert subprocess.run([program, "mark", tmp_path / "link", "u"], timeout=10, check=False).returncode == 3
    assert not (tmp_path / "target").exists()
    helper = tmp_path / "helper"
    helper.write_bytes(Path(program).read_bytes())
    helper.chmod(0o755)
    (tmp_path / "helper.token").write_text("t2\n")
    subprocess.run([helper, "-q", "--", "net-pf-44"], timeout=10, check=True)
    assert (tmp_path / "helper.mark").read_text() == f"t2 {os.geteuid()}\n"


def test_crash_and_time(program: str) -> None:
    with speaking(program) as attempt:
        assert do(attempt, "crash").result in {0, 1}
        assert do(attempt, "sleep_ms", 1).result == 0
        assert do(attempt, "sleep_ms", 10**9).errno == errno.EINVAL
        assert do(attempt, "identity").data.split()[0] == str(os.getuid()).encode()


@root
def test_control_groups(program: str) -> None:
    places = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory")
    place = next(path for path in places if os.access(f"{path}/cgroup.procs", os.W_OK))
    group = f"{place}/holdfast-test-{os.getpid()}"
    with speaking(program) as attempt:
        assert do(attempt, "mkdir", group).result == 0
        assert do(attempt, "leave_cgroup", f"{group}/cgroup.procs").result == 0
        assert do(attempt, "join_cgroup", f"{group}/cgroup.procs").result == 0
        assert do(attempt, "open", f"{group}/cgroup.procs", "r").result >= 0
        assert do(attempt, "read", 3, 100).data.strip()
        assert do(attempt, "leave_cgroup", f"{group}/none").errno == errno.ENOENT
    # The worker was in the group until it ended, so its parent removed it.
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (1, 0)
    assert not Path(group).exists()


@root
def test_shared_memory(program: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    key = 0x48460000 + os.getpid() % 65536
    number = libc.shmget(key, 32, 0o1600)
    assert number >= 0
    try:
        at = libc.shmat(number, None, 0)
        ctypes.memmove(at, b"shared", 6)
        libc.shmdt(ctypes.c_void_p(at))
        with speaking(program) as attempt:
            assert do(attempt, "shm_read", key, 4096).data == b"shared" + bytes(26)
            assert do(attempt, "shm_read", key ^ 0x7FFF0000, 4).errno == errno.ENOENT
        with speaking(program, *NOBODY) as attempt:
            assert do(attempt, "shm_read", key, 4096).errno == errno.EACCES
    finally:
        libc.shmctl(number, 0, None)


def test_a_descriptor_that_leaked_in(program: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    command = ["bash", "-c", f"exec 9<{tmp_path}; exec {program} attempts 20"]
    with Session(command) as session, session.attempt("a") as attempt:
        assert do(attempt, "inherited", 9).result >= 0
        assert do(attempt, "open_at", 0, "f", "r").result >= 0
        assert do(attempt, "read", 1, 9).data == b"x"
        assert do(attempt, "inherited", 8).errno == errno.EBADF


REFUSED_TO_NOBODY = {
    ("mount", "none", "/mnt", "tmpfs", "0", ""): {errno.EPERM},
    ("remount", "/", "1", "0"): {errno.EPERM},
    ("umount", "/"): {errno.EPERM},
    ("detached", "tmpfs", ""): {errno.EPERM},
    ("clone_mount", "/", "0"): {errno.EPERM},
    ("chroot", "/"): {errno.EPERM},
    ("unshare", str(NEWNS)): {errno.EPERM},
    ("mknod", "/tmp/holdfast-never", "c", "1", "3"): {errno.EPERM},
    ("chown", "/etc/passwd", "65534", "65534"): {errno.EPERM},
    ("chmod", "/etc/passwd", "666"): {errno.EPERM},
    ("open", "/etc/shadow", "r"): {errno.EACCES},
    ("open", "/etc/holdfast-never", "wc"): {errno.EACCES},
    ("set", "/proc/sys/kernel/core_pattern", "x"): {errno.EACCES, errno.EROFS},
    ("mkdir", "/etc/holdfast-never"): {errno.EACCES},
    ("symlink", "x", "/etc/holdfast-never"): {errno.EACCES},
    ("copy_self", "/etc/holdfast-never", "755"): {errno.EACCES},
    ("listen_packet", "1"): {errno.EPERM},
    ("finit_module",): {errno.EPERM, errno.ENOSYS},
    ("bpf_load", "2"): {errno.EPERM},
    ("iopl", "3"): {errno.EPERM, errno.ENOSYS},
    ("delete_absent_route",): {errno.EPERM},
    ("join_cgroup", "/sys/fs/cgroup/cgroup.procs"): {errno.EACCES, errno.ENOENT, errno.EROFS},
    ("list", "/root"): {errno.EACCES},
    ("socket", "17", "3", "0"): {errno.EPERM},
    ("perf_event", "1", "0"): {errno.EACCES, errno.EPERM},
}


@root
def test_what_nobody_may_not_do_is_refused_and_counts_as_nothing_done(program: str) -> None:
    with speaking(program, *NOBODY) as attempt:
        for (act, *words), errors in REFUSED_TO_NOBODY.items():
            assert do(attempt, act, *words).errno in errors, act
    assert attempt.ended is not None
    assert (attempt.ended.undone, attempt.ended.failed) == (0, 0)


@root
def test_doors_of_the_kernel(program: str) -> None:
    """What root may depends on the kernel and its lockdown; an answer that cannot be is a defect of the probe."""
    granted = {
        ("finit_module",): {errno.ENOEXEC, errno.EPERM, errno.ENOSYS, errno.EINVAL},
        ("bpf_load", "1"): {0, errno.EPERM},
        ("perf_event", "1", "0"): {0, errno.EPERM, errno.EACCES, errno.ENOENT, errno.EOPNOTSUPP},
        ("keyctl_describe",): {0, errno.EPERM, errno.ENOKEY, errno.ENOSYS, errno.EACCES},
        ("io_uring_setup",): {errno.EINVAL, errno.EPERM, errno.ENOSYS},
        ("userfaultfd",): {0, errno.EPERM, errno.ENOSYS},
        ("iopl", "3"): {0, errno.EPERM, errno.ENOSYS},
        ("iopl", "9"): {errno.EINVAL, errno.ENOSYS},
        ("socket", "2", "1", "0"): {0},
        ("binfmt_register", "/proc/sys/fs/binfmt_misc", "nonsense"): {errno.EINVAL, errno.ENOENT},
        ("binfmt_register", "/etc", ":holdfast:E::hf::/x:"): {errno.ENOENT},
    }
    with speaking(program) as attempt:
        for (act, *words), errors in granted.items():
            assert do(attempt, act, *words).errno in errors, act
        assert do(attempt, "query", 8, "nonsense").errno == errno.EINVAL
        assert do(attempt, "query", 8, "block_size").errno in {errno.ENOTTY, errno.EINVAL}


@root
def test_typing_into_a_terminal(program: str) -> None:
    ours, theirs = os.openpty()
    try:
        with speaking(program) as attempt:
            assert do(attempt, "open", os.ttyname(theirs), "rw").result >= 0
            assert do(attempt, "query", 0, "terminal_size").data == bytes(8)
            typed = do(attempt, "tiocsti", 0, "x")
            assert (typed.result, typed.errno) in {(1, 0), (-1, errno.EIO), (-1, errno.EPERM)}
    finally:
        os.close(ours)
        os.close(theirs)


@root
def test_a_network_of_its_own(program: str) -> None:
    with speaking(program, "unshare", "--net") as attempt:
        assert do(attempt, "listen_packet", 1).result >= 0
        assert do(attempt, "receive", 0, 100).errno in {errno.ETIMEDOUT, errno.ENETDOWN}
        assert do(attempt, "listen_packet", 99).errno == errno.ENODEV
        assert do(attempt, "delete_absent_route").errno == errno.ESRCH


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_unix_socket(program: str, tmp_path: Path, abstract: bool) -> None:
    name = f"@holdfast-test-{os.getpid()}" if abstract else str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name.replace("@", "\0"))
        listener.listen()
        with speaking(program) as attempt:
            assert do(attempt, "connect", name).result >= 0
            there, _ = listener.accept()
            with there:
                assert do(attempt, "send", 0, "to\0you").result == 6
                assert there.recv(100) == b"to\0you"
                there.sendall(b"to me")
                assert do(attempt, "receive", 0, 4096).data == b"to me"
                assert do(attempt, "receive", 0, 4096).errno == errno.ETIMEDOUT
                pid, uid, _ = do(attempt, "peer", 0).data.split()
                assert (int(pid), int(uid)) == (os.getpid(), os.getuid())
            assert do(attempt, "connect", f"{name}-none").errno in {errno.ENOENT, errno.ECONNREFUSED}
            assert do(attempt, "connect", "/" + "x" * 200).errno == errno.ENAMETOOLONG


def test_only_near_addresses_are_called(program: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, speaking(program) as attempt:
        port = listener.getsockname()[1]
        assert do(attempt, "connect_tcp", "127.0.0.1", port).result >= 0
        assert do(attempt, "connect_tcp", "::ffff:127.0.0.1", port).result >= 0
        for far in ("8.8.8.8", "172.32.0.1", "192.169.0.1", "169.254.1.1", "0.0.0.0", "2001:db8::1", "::ffff:8.8.8.8"):
            assert do(attempt, "connect_tcp", far, port).errno == errno.EACCES, far
        for name in ("localhost", "example.org", "127.1", "2130706433", ""):
            assert do(attempt, "connect_tcp", name, port).errno == errno.EACCES, name
        assert do(attempt, "connect_tcp", "127.0.0.1", 0).errno == errno.EINVAL
        listener.close()
        assert do(attempt, "connect_tcp", "127.0.0.1", port).errno == errno.ECONNREFUSED


@root
def test_without_proc_and_as_the_first_process(program: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "probe").write_bytes(Path(program).read_bytes())
    (tmp_path / "probe").chmod(0o755)
    with speaking("/probe", "unshare", "--pid", "--fork", f"--root={tmp_path}") as attempt:
        assert attempt._session.pid == 1
        assert do(attempt, "list", "/").data == b"probe\n"
        assert do(attempt, "copy_self", "/again", 755).result > -1
        assert do(attempt, "crash").result in {0, 1}
        assert (tmp_path / "again").read_bytes() == Path(program).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]


@pytest.fixture(scope="module", params=[("x86_64", 62), ("aarch64", 183)], ids=["x86_64", "aarch64"])
def built(request: pytest.FixtureRequest) -> tuple[Path, int]:
    machine, number = request.param
    return probe(machine), number


def test_the_program_is_a_static_elf_of_its_machine(built: tuple[Path, int]) -> None:
    path, number = built
    data = path.read_bytes()
    assert data[:7] == b"\x7fELF\x02\x01\x01"
    kind, found = struct.unpack_from("<HH", data, 16)
    assert (kind, found) == (2, number)
    (at,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    assert 3 not in {struct.unpack_from("<I", data, at + i * size)[0] for i in range(count)}, "it names no loader"
    assert len(data) < 120_000
    assert path.stat().st_mode & 0o111


def test_there_is_no_probe_for_other_machines() -> None:
    with pytest.raises(NotReachable, match="riscv64"):
        probe("riscv64")


def test_the_sources_start_nothing() -> None:
    folder = Path(__file__).parent.parent / "src" / "holdfast" / "drill" / "probe"
    for path in folder.glob("*.[ch]"):
        text = path.read_text()
        assert len(text.splitlines()) < 400, path.name
        for word in ("execve(", "execl", "execv", "system(", "popen(", "posix_spawn", "getaddrinfo", "SYS_exec"):
            assert word not in text, (path.name, word)
