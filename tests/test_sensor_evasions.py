"""Ways around what the sensor looks at, each made by its own system calls in a real container."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collect_box import image as made_image
from holdfast.model.alert import Alert
from sensor_calls import Program, run
from sensor_made import Watched, docker, watched

pytestmark = [pytest.mark.root, pytest.mark.engine]

FASTOPEN = 0x20000000
DIRECTORY = 0o200000
PLAIN = ("--security-opt", "seccomp=unconfined")
SIGNAL = "host-pid-signal"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with made_image(tmp_path_factory.mktemp("image")) as name:
        yield name


@pytest.fixture(scope="module")
def seen() -> Iterator[Watched]:
    with watched() as all_seen:
        yield all_seen


def internet(address: str, port: int) -> bytes:
    return struct.pack("<H", 2) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8)


def unix(path: str) -> bytes:
    return struct.pack("<H", 1) + path.encode() + b"\0"


def parts(program: Program, *texts: bytes) -> int:
    return program.data(b"".join(struct.pack("<QQ", program.data(one), len(one)) for one in texts))


def message(program: Program, name: bytes, *texts: bytes) -> bytes:
    """Lay out a struct msghdr."""
    named = program.data(name) if name else 0
    return struct.pack("<QIIQQQQQ", named, len(name), 0, parts(program, *texts), len(texts), 0, 0, 0)


def to_kernel(kind: int, body: bytes) -> bytes:
    return struct.pack("<IHHII", 16 + len(body), kind, 5, 1, 0) + body


def ours(alerts: list[Alert]) -> list[Alert]:
    """Leave out what other containers of the machine did meanwhile."""
    return [one for one in alerts if one.process and one.process[0].path == "/act"]


ABSENT_ROUTE = to_kernel(25, struct.pack("<BBBBBBBBI", 2, 32, 0, 0, 254, 3, 0, 1, 0))  # RTM_DELROUTE
ASK_LINK = to_kernel(18, bytes(16))  # RTM_GETLINK


@pytest.mark.parametrize("way", ["sendto", "sendmsg", "sendmmsg"])
def test_a_first_send_that_connects_is_a_connect(seen: Watched, image: str, tmp_path: Path, way: str) -> None:
    program = Program()
    to = internet("172.17.0.1", 2375)
    made = program.call("socket", 2, 1, 0)
    if way == "sendto":
        program.call("sendto", made, b"x", 1, FASTOPEN, to, len(to))
    elif way == "sendmsg":
        program.call("sendmsg", made, message(program, to, b"x"), FASTOPEN)
    else:
        program.call("sendmmsg", made, message(program, to, b"x") + bytes(8), 1, FASTOPEN)
    run(image, program, tmp_path)
    assert seen.soon("docker-tcp-api", event=way, port=2375)


@pytest.mark.parametrize("old", [False, True])
def test_a_first_send_through_the_32_bit_table_is_a_connect(
    seen: Watched, image: str, tmp_path: Path, old: bool
) -> None:
    program = Program()
    to = internet("172.17.0.1", 2376)
    made = program.call("socket", 2, 1, 0, old=old)
    program.call("sendto", made, program.data(b"x"), 1, FASTOPEN, program.data(to), len(to), old=old)
    run(image, program, tmp_path)
    assert seen.soon("docker-tcp-api", event="sendto", port=2376)


def test_datagrams_to_a_socket_of_the_host_are_connects(seen: Watched, image: str, tmp_path: Path) -> None:
    """By its path, by a link, by a path from the current directory, and as the second message of one call."""
    folder = tmp_path / "s"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listens:
        listens.bind(str(folder / "docker.sock"))
        program = Program()
        made = program.call("socket", 1, 2, 0)
        program.call("symlink", "/s/docker.sock", "/innocent")
        to = unix("/innocent")
        program.call("sendto", made, b"x", 1, 0, to, len(to))
        to = unix("docker.sock")
        program.call("chdir", "/s")
        program.call("sendmsg", made, message(program, to, b"x"), 0)
        other = message(program, unix("/nowhere"), b"x") + bytes(8)
        program.call("sendmmsg", made, message(program, to, b"x") + bytes(8) + other, 2, 0)
        program.call("sendmmsg", made, message(program, to, b"y") + bytes(8) + message(program, to, b"z"), 2, 0)
        program.pause(2)
        run(image, program, tmp_path, "-v", f"{folder}:/s")
        place = str(folder / "docker.sock")
        for event in ("sendto", "sendmsg", "sendmmsg"):
            assert seen.soon("docker-socket", event=event, host_path=place), event
        assert len(seen.of("docker-socket")) >= 5


def test_a_datagram_to_the_hosts_loopback_is_a_connect_and_one_to_its_own_is_none(
    seen: Watched, image: str, tmp_path: Path
) -> None:
    program = Program()
    to = internet("127.0.0.1", 9)
    program.call("sendto", program.call("socket", 2, 2, 0), b"x", 1, 0, to, len(to))
    run(image, program, tmp_path)
    run(image, program_again(to), tmp_path, "--network", "host")
    assert seen.soon("host-network-loopback", event="sendto", address="127.0.0.1")
    assert len(ours(seen.of("host-network-loopback"))) == 1


def program_again(to: bytes) -> Program:
    program = Program()
    program.call("sendto", program.call("socket", 2, 2, 0), b"x", 1, 0, to, len(to))
    return program


NETLINK = {
    "second message": lambda program, made: program.call(
        "sendto", made, ASK_LINK + ABSENT_ROUTE, len(ASK_LINK + ABSENT_ROUTE), 0, 0, 0
    ),
    "write": lambda program, made: program.call("write", made, ABSENT_ROUTE, len(ABSENT_ROUTE)),
    "writev": lambda program, made: program.call(
        "writev", made, parts(program, ABSENT_ROUTE[:3], ABSENT_ROUTE[3:]), 2
    ),
    "pwritev2": lambda program, made: program.call(
        "pwritev2", made, parts(program, ABSENT_ROUTE[:3], ABSENT_ROUTE[3:]), 2, -1, -1, 0
    ),
    "parts of a message": lambda program, made: program.call(
        "sendmsg", made, message(program, b"", ABSENT_ROUTE[:5], ABSENT_ROUTE[5:]), 0
    ),
    "second of sendmmsg": lambda program, made: program.call(
        "sendmmsg", made, message(program, b"", ASK_LINK) + bytes(8) + message(program, b"", ABSENT_ROUTE) + bytes(8),
        2, 0,
    ),
    "behind a long one": lambda program, made: program.call(
        "sendto", made, to_kernel(18, bytes(4000)) + ABSENT_ROUTE, 4016 + len(ABSENT_ROUTE), 0, 0, 0
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", NETLINK)
def test_what_is_said_to_the_hosts_kernel_is_heard_however_it_is_sent(image: str, tmp_path: Path, way: str) -> None:
    with watched(["host-network-admin"]) as all_seen:
        program = Program()
        NETLINK[way](program, program.call("socket", 16, 3, 0))
        run(image, program, tmp_path)
        run(image, program_of(way), tmp_path, "--network", "host", "--cap-add", "NET_ADMIN")
        assert all_seen.soon("host-network-admin", seconds=20)
        assert [one.fields["event.command"] for one in ours(all_seen.alerts)] == [
            "unread" if way == "behind a long one" else "RTM_DELROUTE"
        ]


def program_of(way: str) -> Program:
    program = Program()
    NETLINK[way](program, program.call("socket", 16, 3, 0))
    return program


@contextmanager
def neighbour(image: str) -> Iterator[str]:
    """Run a container whose pids another one is to share; its first process has number 1."""
    name = f"holdfast-test-near-{os.getpid()}-{time.monotonic_ns()}"
    docker("run", "-d", "--name", name, image, "busybox", "sleep", "60")
    try:
        yield name
    finally:
        docker("rm", "-f", name, check=False)


def test_signals_to_another_container_whose_pids_are_shared(seen: Watched, image: str, tmp_path: Path) -> None:
    with neighbour(image) as name:
        program = Program()
        program.call("kill", 1, 0)
        program.call("tkill", 1 | 1 << 33, 0)
        program.call("tgkill", 1 | 1 << 32, 1, 0)
        program.call("pidfd_send_signal", program.call("pidfd_open", 1, 0), 0, 0, 0)
        program.call("pidfd_send_signal", program.call("open", "/proc/1", DIRECTORY), 0, 0, 0)
        program.call("prlimit64", 1, 0, 0, struct.pack("<QQ", 0, 0))  # it only asks
        program.call("prlimit64", 1, 7, struct.pack("<QQ", 1024, 1024), 0)
        made = program.call("socket", 1, 1, 0)
        program.call("fcntl", made, 8 | 1 << 40, 1)
        program.call("fcntl", made, 15, struct.pack("<ii", 1, 1))
        program.call("ioctl", made, 0x8901, struct.pack("<i", 1))
        program.call("ioctl", made, 0x8902 | 1 << 32, struct.pack("<i", -1))
        run(image, program, tmp_path, "--pid", f"container:{name}")
        for event, count in (
            ("kill", 1),
            ("tkill", 1),
            ("tgkill", 1),
            ("pidfd_send_signal", 2),
            ("fcntl", 2),
            ("prlimit64", 1),
        ):
            until = time.monotonic() + 10
            while len(ours(seen.soon(SIGNAL, event=event))) < count and time.monotonic() < until:
                time.sleep(0.05)
            assert len(ours(seen.soon(SIGNAL, event=event))) == count, event
        assert seen.soon(SIGNAL, event="ioctl")


def test_signals_inside_one_container_are_its_own_business(image: str, tmp_path: Path) -> None:
    program = Program()
    program.call("kill", 1, 0)
    program.call("kill", -1, 0)
    program.call("pidfd_send_signal", program.call("pidfd_open", 1, 0), 0, 0, 0)
    program.call("fcntl", program.call("socket", 1, 1, 0), 8, 1)
    with watched([SIGNAL]) as all_seen:
        run(image, program, tmp_path)
        time.sleep(0.5)
    assert [one.event for one in ours(all_seen.alerts)] == []


def test_rights_that_a_shared_file_carries_are_seen(seen: Watched, image: str, tmp_path: Path) -> None:
    shared = tmp_path / "v"
    shared.mkdir()
    (shared / "x").write_bytes(b"x")
    rights = struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0)
    program = Program()
    made = program.call("open", "/v/x", 2)
    for name, at in (("setxattr", "/v/x"), ("lsetxattr", "/v/x"), ("fsetxattr", made)):
        program.call(name, at, "security.capability", rights, len(rights), 0)
    program.call("setxattr", "/v/x", "user.plain", b"x", 1, 0)
    program.call("openat2", -100, "/v/y", struct.pack("<QQQ", 0o102, 0o4755, 0), 24)
    program.pause(2)
    run(image, program, tmp_path, "-v", f"{shared}:/v")
    for event in ("setxattr", "lsetxattr", "fsetxattr"):
        assert len(seen.soon("setuid-on-shared-volume", event=event, host_path=str(shared / "x"))) == 1, event
    assert seen.soon("setuid-on-shared-volume", event="openat2", host_path=str(shared / "y"))


@pytest.mark.parametrize("name", ["chown", "lchown", "fchownat", "fchown"])
def test_giving_a_host_file_another_owner_is_a_write(seen: Watched, image: str, tmp_path: Path, name: str) -> None:
    made = Path("/etc", f"holdfast-test-{name}-{os.getpid()}")
    made.write_text("", encoding="ascii")
    program = Program()
    at = f"/e/{made.name}"
    if name == "fchown":
        program.call(name, program.call("open", at, 0), 1000, 1000)
    elif name == "fchownat":
        program.call(name, -100, at, 1000, 1000, 0)
    else:
        program.call(name, at, 1000, 1000)
    program.pause(2)
    try:
        run(image, program, tmp_path, "-v", "/etc:/e")
        assert seen.soon("etc-write", event=name, host_path=str(made))
    finally:
        made.unlink()


def test_who_is_born_in_another_control_group_leaves_the_container(seen: Watched, image: str, tmp_path: Path) -> None:
    groups = Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup")
    other = groups / f"holdfast-test-{os.getpid()}"
    other.mkdir()
    program = Program()
    into = program.call("open", f"/cg/{other.name}", DIRECTORY)
    how = program.data(struct.pack("<11Q", 1 << 33, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0))
    program.store(into, how + 80)
    program.call("clone3", how, 88)
    try:
        run(image, program, tmp_path, "-v", f"{groups}:/cg", *PLAIN)
        [found] = seen.soon("cgroup-leave", event="clone3")
        assert found.fields["event.host_path"] == str(other)
    finally:
        until = time.monotonic() + 10
        while (other / "cgroup.procs").read_text(encoding="ascii") and time.monotonic() < until:
            time.sleep(0.05)
        other.rmdir()


def test_entering_a_host_process_root_is_seen_by_whatever_call(seen: Watched, image: str, tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], cwd="/")
    try:
        program = Program()
        program.call("chdir", f"/proc/{sleeper.pid}/root")
        program.call("fchdir", program.call("open", f"/proc/{sleeper.pid}/cwd", DIRECTORY))
        program.call("chroot", f"/proc/{sleeper.pid}/root")
        results = run(image, program, tmp_path, "--pid", "host", "--cap-add", "SYS_PTRACE")
        assert results[0] == results[2] == results[3] == 0
    finally:
        sleeper.kill()
        sleeper.wait()
    for event in ("chdir", "chroot"):
        assert seen.soon("host-pid-root-ptrace", event=event), event
    assert seen.soon("leaked-directory", event="fchdir")


@pytest.mark.parametrize("names", [70, 40])
def test_a_deep_mount_point_cuts_neither_end_of_a_path(seen: Watched, image: str, tmp_path: Path, names: int) -> None:
    """70 short names, and 40 of 250 letters, above a bind mount of the host's /etc."""
    program = Program()
    program.call("chdir", "/tmp")
    for number in range(names):
        name = f"{names}-{number:03}".ljust(8 if names > 64 else 250, "d")
        program.call("mkdir", name, 0o755)
        program.call("chdir", name)
    program.call("mkdir", "m", 0o755)
    program.call("mount", "/etc2", "m", "", 4096, 0)
    program.call("open", "m/shadow", 0)
    results = run(image, program, tmp_path, "-v", "/etc:/etc2:ro", "--cap-add", "SYS_ADMIN", *PLAIN)
    assert results[-1] >= 0
    wanted = f"/tmp/{names}-000"
    until = time.monotonic() + 10
    found = []
    while not found and time.monotonic() < until:
        found = [one for one in seen.of("host-root-read") if one.fields["event.path"].startswith(wanted)]
        time.sleep(0.05)
    assert found[0].fields["event.path"].endswith("/m/shadow")
    assert "/.../" in found[0].fields["event.path"]
    assert found[0].fields["event.host_path"] == found[0].fields["event.inner_path"] == "/etc/shadow"
    assert seen.soon("path-cut")


def test_the_type_of_a_mount_is_the_kernels_word(image: str, tmp_path: Path) -> None:
    """A thread changes the type in memory while it is mounted; what the kernel mounted is read back from it."""
    count = 60
    program = Program()
    kind = program.data(b"proc\0\0\0\0")
    shown = program.data(bytes(count * 128))
    program.race(kind, b"proc", b"tmpfs")
    for number in range(count):
        program.call("mkdir", f"/tmp/{number}", 0o755)
        program.call("nanosleep", struct.pack("<QQ", 0, 1_000_000), 0)  # the other thread gets its turn
        program.call("mount", "x", f"/tmp/{number}", kind, 0, 0)
        program.call("statfs", f"/tmp/{number}", shown + number * 128)
    program.call("write", 1, shown, count * 128)
    with watched(["proc-remount"]) as all_seen:
        results = run(image, program, tmp_path, "--cap-add", "SYS_ADMIN", *PLAIN)
        mounted = sum(1 for number in range(count) if results[number * 16] == 0x9FA0)
        assert 0 < mounted < count
        until = time.monotonic() + 10
        while len(ours(all_seen.of("proc-remount"))) < mounted and time.monotonic() < until:
            time.sleep(0.05)
        assert len([one for one in ours(all_seen.of("proc-remount")) if one.succeeded]) == mounted


def test_the_upper_half_of_an_int_hides_nothing(image: str, tmp_path: Path) -> None:
    """The kernel takes an int from half a register and drops the rest."""
    program = Program()
    high = 1 << 32
    program.call("ioctl", 0, 0x5412 | high, b"x")
    program.call("mknod", "/tmp/b", 0o60600, 0x700 | high)
    program.pause(2)
    with watched(["input-tty", "mknod-assist", "host-dev"]) as all_seen:
        run(image, program, tmp_path)
        assert all_seen.soon("input-tty", event="ioctl", command="TIOCSTI")
        assert all_seen.soon("mknod-assist", event="mknod")


@pytest.mark.parametrize("name", ["renameat", "renameat2", "linkat", "linkat of what is open", "rename"])
def test_a_new_name_counts_from_whatever_folder_it_is_given(
    seen: Watched, image: str, tmp_path: Path, name: str
) -> None:
    made = Path("/etc/cron.d", f"holdfast-test-{os.getpid()}-{name.replace(' ', '-')}")
    aside = Path("/etc", f"{made.name}-aside")
    aside.write_text("", encoding="ascii")
    program = Program()
    into = program.call("open", "/e/cron.d", DIRECTORY)
    old, new = f"/e/{aside.name}", made.name
    if name == "rename":
        program.call("fchdir", into)
        program.call("rename", old, new)
    elif name == "linkat of what is open":
        program.call("linkat", program.call("open", old, 0), "", into, new, 0x1000)
    else:
        program.call(name, -100, old, into, new, 0)
    program.pause(2)
    try:
        results = run(image, program, tmp_path, "-v", "/etc:/e", "--cap-add", "DAC_READ_SEARCH")
        assert min(results) >= 0
        assert seen.soon("etc-write", event=name.split(maxsplit=1)[0], host_path=str(made))
    finally:
        aside.unlink(missing_ok=True)
        made.unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["mount", "fsconfig"])
def test_a_disk_is_known_by_a_name_of_its_own_and_from_its_folder(
    seen: Watched, image: str, tmp_path: Path, name: str
) -> None:
    program = Program()
    program.call("mknod", "/tmp/holiday", 0o60600, 0x700)
    program.call("chdir", "/tmp")
    program.call("mkdir", "m", 0o755)
    if name == "mount":
        program.call("mount", "holiday", "m", "ext4", 0, 0)
    else:
        program.call("fsconfig", program.call("fsopen", "ext4", 0), 1, "source", "holiday", 0)
    program.pause(2)
    run(image, program, tmp_path, "--cap-add", "SYS_ADMIN", *PLAIN)
    assert ours(seen.soon("disk-mount", event=name, file_kind="block"))


def test_a_namespace_of_the_host_is_known_when_it_is_opened(seen: Watched, image: str, tmp_path: Path) -> None:
    program = Program()
    program.call("open", "/proc/self/ns/mnt", 0)
    program.call("open", "/proc/self/ns/time", 0)
    run(image, program, tmp_path)
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        program = Program()
        program.call("chdir", f"/proc/{sleeper.pid}/ns")
        program.call("open", "../ns/uts", 0)
        run(image, program, tmp_path, "--pid", "host", "--cap-add", "SYS_PTRACE")
    finally:
        sleeper.kill()
        sleeper.wait()
    [found] = ours(seen.soon("host-pid-setns", event="open"))
    assert found.fields["event.path"] == "../ns/uts"


def test_a_link_is_placed_where_it_lies_and_not_where_it_leads(seen: Watched, image: str, tmp_path: Path) -> None:
    name = f"holdfast-test-{os.getpid()}"
    made = Path("/var/log", name)
    program = Program()
    program.call("symlink", "/tmp", f"/l/{name}")  # it leads to a folder of the container
    program.call("lchown", f"/l/{name}", 1, 1)
    program.pause(2)
    try:
        run(image, program, tmp_path, "-v", "/var/log:/l")
        assert seen.soon("var-log-symlink", event="symlink", host_path=str(made))
    finally:
        made.unlink(missing_ok=True)


def test_files_of_the_host_are_known_through_an_overlay_made_of_them(seen: Watched, image: str, tmp_path: Path) -> None:
    """A lower layer that is read, and an upper one that is written; the mount they were named by is gone by then."""
    upper = tmp_path / "up"
    upper.mkdir()
    program = Program()
    for name in ("/tmp/t", "/v/u", "/v/w", "/tmp/o"):
        program.call("mkdir", name, 0o755)
    program.call("mount", "o", "/tmp/o", "overlay", 0, "lowerdir=/etc2,upperdir=/v/u,workdir=/v/w")
    program.pause(2)
    program.call("umount2", "/etc2", 2)
    program.call("open", "/tmp/o/shadow", 0)
    program.call("open", "/tmp/o/holdfast-test", 0o102, 0o644)
    program.pause(2)
    results = run(
        image, program, tmp_path, "-v", "/etc:/etc2:ro", "-v", f"{upper}:/v", "--cap-add", "SYS_ADMIN", *PLAIN
    )
    assert min(results[4:]) >= 0, results
    assert seen.soon("host-root-read", path="/tmp/o/shadow", host_path="/etc/shadow")
    until = time.monotonic() + 10
    while str(upper / "u" / "holdfast-test") not in seen.paths() and time.monotonic() < until:
        time.sleep(0.05)
    assert str(upper / "u" / "holdfast-test") in seen.paths()


def entry(operation: int, fd: int, address: int, more: int = 0, length: int = 0) -> bytes:
    """Lay out the start of a struct io_uring_sqe."""
    return struct.pack("<BBHiQQIIQ", operation, 0, 0, fd, more, address, length, 0, 7)


@pytest.mark.parametrize("flags", [0, 2], ids=["handed over by a call", "taken by a thread of the kernel"])
def test_what_io_uring_is_handed_is_seen(image: str, tmp_path: Path, flags: int) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    with watched() as all_seen:
        program = Program()
        made = program.call("socket", 2, 1, 0)
        assert made.number == 0  # its descriptor is the first that is free
        to = internet("172.17.0.1", 2375)
        how = program.data(struct.pack("<QQQ", 0o101, 0o644, 0))
        cwd = -100 & 0xFFFFFFFF
        program.call("chdir", "/v")
        program.ring(
            entry(18, -100, program.text("/h/shadow")),
            entry(28, -100, program.text("made"), how, 24),
            entry(16, 3, program.data(to), len(to)),
            entry(35, -100, program.text("made"), program.text("renamed"), cwd),
            entry(37, -100, program.text("folder"), 0, 0o755),
            entry(38, -100, program.text("renamed"), program.text("link")),
            entry(39, -100, program.text("renamed"), program.text("second"), cwd),
            entry(36, -100, program.text("second")),
            entry(45, 17, 0, 3),
            flags=flags,
        )
        program.pause(2)
        run(image, program, tmp_path, "-v", "/etc:/h:ro", "-v", f"{folder}:/v", *PLAIN)
        [read] = ours(all_seen.soon("host-root-read", event="openat", host_path="/etc/shadow"))
        assert read.succeeded is None
        assert all_seen.soon("docker-tcp-api", event="connect", port=2375)
        assert all_seen.soon("packet-socket", event="socket")
        assert all_seen.soon("unseen-calls")
        wanted = {str(folder / name) for name in ("made", "renamed", "folder", "link", "second")}
        until = time.monotonic() + 10
        while not wanted <= set(all_seen.paths()) and time.monotonic() < until:
            time.sleep(0.05)
        assert wanted <= set(all_seen.paths())
