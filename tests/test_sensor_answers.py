"""Falco's fields, answered: by hand for each meaning, then from processes that really run."""

from __future__ import annotations

import errno
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.event import Container, Event, Executable, File, Process, Socket
from holdfast.sensor import snapshot
from holdfast.sensor.accounts import LIMIT, Accounts
from holdfast.sensor.answers import ANSWERS, Answers, answer_for
from holdfast.sensor.answers_arguments import PARAMETERS, clone_flags, mode, open_flags
from holdfast.sensor.answers_container import reference
from holdfast.sensor.processes import Life, Processes

DESCRIBED = Path(__file__).parent.parent.parent / "shared" / "data" / "falco" / "describe.json.gz"
SECOND = 1_000_000_000


def process(**more: Any) -> Process:
    return Process(
        **{
            "pid": 100, "start_ns": 5 * SECOND, "virtual_pid": 100, "name": "cat", "directory": "/root",
            "arguments": ("/bin/cat", "-n", "x"), "executable": Executable("/usr/bin/cat", 1, 2, 30, 20, "host"),
            "environment": ("A=1", "B=x=y"), "session": 90, "group_leader": 95, **more,
        }
    )  # fmt: skip


def event(name: str = "openat", result: int | None = 3, **more: Any) -> Event:
    given = {"process": process(), "result": result, **more}
    return Event(name, 7 * SECOND, 1_700_000_000_123_456_789, **given)


def opened(path: str = "/etc/shadow", flags: int = os.O_RDONLY, result: int = 3, **more: Any) -> Event:
    return event(
        "openat", result, arguments={"dirfd": -100, "pathname": path, "flags": flags, "mode": 0o644},
        file=File(path=path, raw=path), descriptor=result if result >= 0 else None, **more,
    )  # fmt: skip


def ask(name: str, one: Event) -> Any:
    answer = answer_for(name)
    assert answer is not None, name
    return answer(one)


# --- the process -----------------------------------------------------------------------------------------------------


def test_the_command_line_starts_with_comm_and_not_with_argv0() -> None:
    one = event(process=process(name="disguise", arguments=("sshd: root", "-D")))
    assert ask("proc.cmdline", one) == "disguise -D"
    assert ask("proc.exe", one) == "sshd: root"
    assert ask("proc.args", one) == "-D"
    assert ask("proc.exeline", one) == "sshd: root -D"
    assert ask("proc.args[0]", one) == "-D"
    assert ask("proc.args[1]", one) is None
    assert (ask("proc.cmdnargs", one), ask("proc.cmdlenargs", one)) == (1, 2)


def test_a_process_without_arguments() -> None:
    one = event(process=process(arguments=()))
    assert ask("proc.cmdline", one) == "cat"
    assert ask("proc.args", one) == ""
    assert ask("proc.exe", one) is None


def test_what_the_process_is() -> None:
    one = event()
    assert ask("proc.name", one) == "cat"
    assert ask("proc.exepath", one) == "/usr/bin/cat"
    assert ask("proc.cwd", one) == "/root/"
    assert ask("proc.env", one) == "A=1 B=x=y"
    assert (ask("proc.env[B]", one), ask("proc.env[C]", one)) == ("x=y", None)
    assert (ask("proc.tty", one), ask("proc.vpid", one), ask("proc.sid", one)) == (0, 100, 90)
    assert ask("proc.is_vpgid_leader", one) is False
    assert ask("proc.duration", one) == 2 * SECOND
    assert ask("proc.pid.ts", one) == 1_699_999_998_123_456_789
    assert ask("proc.exe_ino", one) == 2
    assert (ask("proc.exe_ino.ctime", one), ask("proc.exe_ino.mtime", one)) == (30, 20)
    assert ask("proc.exe_ino.ctime_duration_proc_start", one) == 1_699_999_998_123_456_789 - 30


@pytest.mark.parametrize(
    ("origin", "upper", "memory"),
    [("upper", True, False), ("image", False, False), ("host", False, False), ("memfd", False, True)],
)
def test_where_the_program_comes_from(origin: str, upper: bool, memory: bool) -> None:
    one = event(process=process(executable=Executable("/x", origin=origin)))
    assert ask("proc.is_exe_upper_layer", one) is upper
    assert ask("proc.is_exe_from_memfd", one) is memory


def test_where_nobody_knows_where_the_program_comes_from() -> None:
    one = event(process=process(executable=Executable()))
    assert ask("proc.is_exe_upper_layer", one) is None
    assert ask("proc.is_exe_from_memfd", one) is None


def test_capabilities_are_names_in_the_order_of_their_numbers() -> None:
    one = event(process=process(effective=1 << 21 | 1, permitted=0))
    assert ask("thread.cap_effective", one) == "CAP_CHOWN CAP_SYS_ADMIN"
    assert ask("thread.cap_permitted", one) == ""


def lineage() -> Event:
    eldest = process(pid=1, virtual_pid=1, name="systemd", arguments=("init",), session=1, group_leader=1)
    shell = process(pid=90, virtual_pid=90, name="bash", parent=eldest, arguments=("-bash",), group_leader=90)
    middle = process(pid=95, virtual_pid=95, name="sh", parent=shell, executable=Executable(), environment=("Z=up",))
    return event(process=process(parent=middle))


def test_ancestors_by_number_and_all_of_them() -> None:
    one = lineage()
    assert [ask(f"proc.aname[{index}]", one) for index in range(5)] == ["cat", "sh", "bash", "systemd", None]
    assert ask("proc.aname", one) == ("sh", "bash", "systemd")
    assert ask("proc.apid", one) == (95, 90, 1)
    assert ask("proc.aexepath[2]", one) == "/usr/bin/cat"
    assert ask("proc.aexepath", one) == ("/usr/bin/cat", "/usr/bin/cat"), "what is not known is left out"
    assert (ask("proc.pname", one), ask("proc.ppid", one), ask("proc.pexe", one)) == ("sh", 95, "/bin/cat")
    assert ask("proc.pcmdline", one) == "sh -n x"
    assert ask("proc.pexepath", one) is None
    assert ask("proc.acmdline[2]", one) == "bash"
    assert ask("proc.aenv[Z]", one) == "up"
    assert ask("proc.sname", one) == "bash"
    assert ask("proc.vpgid.name", one) == "sh"
    assert ask("proc.pgid", one) == 95
    assert ask("proc.loginshellid", one) == 90


def test_an_orphan_has_no_parent_and_no_guess() -> None:
    one = event()
    for name in ("proc.pname", "proc.ppid", "proc.pexe", "proc.pcmdline", "proc.aname[1]", "proc.ppid.ts"):
        assert ask(name, one) is None, name
    assert ask("proc.aname", one) == ()


# --- the event -------------------------------------------------------------------------------------------------------


def test_results() -> None:
    assert (ask("evt.res", opened()), ask("evt.rawres", opened())) == ("SUCCESS", 3)
    failed = opened(result=-errno.ENOENT)
    assert (ask("evt.res", failed), ask("evt.rawres", failed), ask("evt.failed", failed)) == ("ENOENT", -2, True)
    nothing = event("gap", None)
    assert (ask("evt.res", nothing), ask("evt.rawres", nothing), ask("evt.failed", nothing)) == (None, None, None)


@pytest.mark.parametrize(
    ("flags", "reads", "writes", "text"),
    [
        (os.O_RDONLY | os.O_CLOEXEC, True, False, "O_RDONLY|O_CLOEXEC"),
        (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, False, True, "O_TRUNC|O_CREAT|O_WRONLY"),
        (os.O_RDWR | os.O_APPEND, True, True, "O_APPEND|O_RDWR"),
        (os.O_RDONLY | os.O_NONBLOCK | os.O_EXCL, True, False, "O_NONBLOCK|O_EXCL|O_RDONLY"),
    ],
)
def test_open_modes(flags: int, reads: bool, writes: bool, text: str) -> None:
    one = opened(flags=flags)
    assert ask("evt.is_open_read", one) is reads
    assert ask("evt.is_open_write", one) is writes
    assert ask("evt.arg.flags", one) == text


def test_creat_is_no_open_for_writing_as_with_falco() -> None:
    one = event("creat", 3, arguments={"pathname": "/x", "mode": 0o755}, file=File("/x", "/x"), descriptor=3)
    assert ask("evt.is_open_write", one) is False
    assert ask("evt.is_open_exec", one) is True
    assert ask("evt.arg.mode", one) == "493"


@given(st.integers(0, 2**32 - 1))
def test_flags_of_any_number_are_names_once(number: int) -> None:
    for text in (open_flags(number), clone_flags(number), mode(number)):
        names = [name for name in text.split("|") if name]
        assert len(names) == len(set(names))
    assert sum(name in open_flags(number).split("|") for name in ("O_RDONLY", "O_WRONLY", "O_RDWR")) == 1


def test_arguments_by_falcos_names() -> None:
    one = opened()
    assert ask("evt.arg.name", one) == "/etc/shadow"
    assert ask("evt.arg[2]", one) == "/etc/shadow"
    assert ask("evt.arg.fd", one) == "<f>/etc/shadow"
    assert ask("evt.rawarg.fd", one) == 3
    assert ask("evt.arg.nonsense", one) is None
    assert ask("evt.args", one).startswith(
        "fd=3(<f>/etc/shadow) dirfd=-100(AT_FDCWD) name=/etc/shadow flags=0(O_RDONLY)"
    )


def test_relative_paths_are_made_absolute_where_that_can_be_known() -> None:
    where = {"olddirfd": -100, "newdirfd": -100, "oldpath": "a", "newpath": "../b"}
    one = event("renameat2", 0, arguments={**where, "flags": 2})
    assert (ask("evt.arg.oldpath", one), ask("evt.arg.newpath", one)) == ("/root/a", "/b")
    assert ask("evt.arg.flags", one) == "RENAME_EXCHANGE"
    assert (ask("fs.path.source", one), ask("fs.path.targetraw", one)) == ("/root/a", "../b")
    elsewhere = event("renameat2", 0, arguments={**where, "newdirfd": 7, "flags": 0})
    assert ask("evt.arg.newpath", elsewhere) is None
    assert ask("fs.path.name", elsewhere) is None


@pytest.mark.parametrize(
    ("name", "arguments", "field", "wanted"),
    [
        ("unshare", {"flags": 0x10020000}, "evt.arg.flags", "CLONE_NEWNS|CLONE_NEWUSER"),
        ("unshare", {"flags": 0}, "evt.arg.flags", "0"),
        ("setns", {"fd": 4, "nstype": 0x20000000}, "evt.arg.nstype", "CLONE_NEWPID"),
        ("ptrace", {"request": 16, "pid": 5}, "evt.arg.request", "PTRACE_ATTACH"),
        ("ptrace", {"request": 0x4206, "pid": 5}, "evt.arg.request", "PTRACE_SEIZE"),
        ("bpf", {"cmd": 5}, "evt.arg.cmd", "BPF_PROG_LOAD"),
        ("socket", {"domain": 17, "type": 3, "protocol": 0}, "evt.arg.domain", "AF_PACKET"),
        ("fchmodat", {"dirfd": -100, "pathname": "/x", "mode": 0o4711}, "evt.arg.filename", "/x"),
        ("fchmodat", {"dirfd": -100, "pathname": "/x", "mode": 0o4100}, "evt.arg.mode", "S_IXUSR|S_ISUID"),
        ("symlinkat", {"target": "/etc/shadow", "newdirfd": -100, "linkpath": "l"}, "evt.arg.linkpath", "/root/l"),
        ("symlinkat", {"target": "../etc", "newdirfd": -100, "linkpath": "l"}, "evt.arg.target", "../etc"),
        ("setuid", {"uid": 0}, "evt.arg.uid", "root"),
        ("setuid", {"uid": 4_000_000_000}, "evt.arg.uid", "4000000000"),
        ("unlinkat", {"dirfd": -100, "pathname": "x", "flags": 0x200}, "evt.arg.flags", "AT_REMOVEDIR"),
    ],
)  # fmt: skip
def test_arguments_are_written_as_falco_writes_them(name: str, arguments: Any, field: str, wanted: str) -> None:
    assert ask(field, event(name, 0, arguments=arguments)) == wanted


def test_times_are_written_in_the_usual_ways() -> None:
    one = event()
    assert ask("evt.time.iso8601", one) == "2023-11-14T22:13:20.123456789+0000"
    assert ask("evt.rawtime", one) == 1_700_000_000_123_456_789
    assert ask("evt.time", one).endswith(".123456789")
    assert ask("evt.type", one) == ask("syscall.type", one) == "openat"
    assert ask("syscall.type", event("procexit", 0)) is None
    assert (ask("evt.type.is.openat", one), ask("evt.type.is.open", one)) == (1, 0)


# --- descriptors -----------------------------------------------------------------------------------------------------


def test_a_file() -> None:
    one = opened()
    wanted = {"fd.name": "/etc/shadow", "fd.directory": "/etc", "fd.filename": "shadow", "fd.typechar": "f",
              "fd.type": "file", "fd.num": 3, "fd.nameraw": "/etc/shadow"}  # fmt: skip
    assert {name: ask(name, one) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("path", "directory", "filename"), [("/x", "/", "x"), ("/", "/", "/"), ("/a/", "/a/", "/a/"), ("/a/b", "/a", "b")]
)
def test_directory_and_name_of_a_file(path: str, directory: str, filename: str) -> None:
    one = opened(path)
    assert (ask("fd.directory", one), ask("fd.filename", one)) == (directory, filename)


def test_an_opened_directory_is_no_file() -> None:
    one = opened("/etc", os.O_RDONLY | os.O_DIRECTORY)
    assert (ask("fd.type", one), ask("fd.typechar", one)) == ("directory", "d")
    assert (ask("fd.directory", one), ask("fd.filename", one)) == ("/etc", None)


def test_an_open_that_failed_still_names_the_file() -> None:
    one = opened(result=-errno.EACCES)
    assert (ask("fd.num", one), ask("fd.name", one), ask("fd.typechar", one)) == (-1, "/etc/shadow", "f")
    assert ask("fd.type", one) is None
    assert ask("evt.arg.fd", one) == "EACCES"


def test_a_call_without_a_descriptor_has_none() -> None:
    one = event("unlinkat", 0, arguments={"dirfd": -100, "pathname": "/x"}, file=File("/x", "/x"))
    for name in ("fd.num", "fd.name", "fd.type", "fd.typechar", "fd.directory", "fd.filename", "fd.l4proto"):
        assert ask(name, one) is None, name
    assert ask("fs.path.name", one) == "/x"
    assert ask("evt.arg.name", one) == "/x"


def test_what_the_kernel_resolved_counts_for_the_name_of_a_file() -> None:
    one = opened()
    assert one.file is not None
    one.file.raw = "/proc/self/root/etc/shadow"
    one.arguments = {**one.arguments, "pathname": one.file.raw}
    assert (ask("fd.name", one), ask("fd.nameraw", one)) == ("/etc/shadow", "/proc/self/root/etc/shadow")


def connection(name: str = "connect", result: int = 0, **more: Any) -> Event:
    given = {"family": "AF_INET", "kind": "SOCK_STREAM", "protocol": 6, "local": "10.0.0.2", "local_port": 4242,
             "remote": "1.2.3.4", "remote_port": 443, **more}  # fmt: skip
    return event(name, result, socket=Socket(**given), descriptor=5, arguments={"sockfd": 5})


def test_a_client() -> None:
    wanted = {
        "fd.name": "10.0.0.2:4242->1.2.3.4:443", "fd.type": "ipv4", "fd.typechar": "4", "fd.l4proto": "tcp",
        "fd.cip": "10.0.0.2", "fd.sip": "1.2.3.4", "fd.cport": 4242, "fd.sport": 443, "fd.lip": "10.0.0.2",
        "fd.rip": "1.2.3.4", "fd.lport": 4242, "fd.rport": 443, "fd.ip": ("10.0.0.2", "1.2.3.4"),
        "fd.port": (4242, 443), "fd.net": ("10.0.0.2", "1.2.3.4"), "fd.snet": "1.2.3.4", "fd.rnet": "1.2.3.4",
        "fd.sockfamily": "ip", "fd.connected": True, "fd.num": 5, "fd.is_server": False, "fd.directory": None,
    }  # fmt: skip
    one = connection()
    assert {name: ask(name, one) for name in wanted} == wanted
    assert ask("fd.connected", connection(result=-errno.EINPROGRESS)) is False


def test_a_server() -> None:
    one = connection("accept4", 7)
    assert ask("fd.name", one) == "1.2.3.4:443->10.0.0.2:4242"
    assert (ask("fd.cip", one), ask("fd.sip", one)) == ("1.2.3.4", "10.0.0.2")
    assert (ask("fd.lip", one), ask("fd.rip", one), ask("fd.is_server", one)) == ("10.0.0.2", "1.2.3.4", True)
    listening = connection("bind", remote="0.0.0.0", remote_port=80, local="", local_port=0)
    assert (ask("fd.name", listening), ask("fd.typechar", listening)) == ("0.0.0.0:80", "2")
    assert (ask("fd.sip", listening), ask("fd.sport", listening), ask("fd.cip", listening)) == ("0.0.0.0", 80, None)
    assert ask("fd.ip", listening) == ("0.0.0.0",)


def test_ipv6_and_ipv4_inside_it() -> None:
    one = connection(family="AF_INET6", local="::1", remote="2001:db8::1")
    assert (ask("fd.name", one), ask("fd.typechar", one)) == ("::1:4242->2001:db8::1:443", "6")
    mapped = connection(family="AF_INET6", local="::ffff:10.0.0.2", remote="::ffff:1.2.3.4")
    assert (ask("fd.name", mapped), ask("fd.type", mapped)) == ("10.0.0.2:4242->1.2.3.4:443", "ipv4")


def test_unix_and_other_sockets() -> None:
    one = connection(family="AF_UNIX", remote="/run/docker.sock", protocol=0, local="", local_port=0, remote_port=0)
    assert (ask("fd.name", one), ask("fd.typechar", one)) == ("/run/docker.sock", "u")
    assert (ask("fd.sockfamily", one), ask("fd.l4proto", one), ask("fd.ip", one)) == ("unix", "<NA>", None)
    packet = event("socket", 4, socket=Socket("AF_PACKET", "SOCK_RAW"), descriptor=4, arguments={"domain": 17})
    assert (ask("fd.type", packet), ask("fd.name", packet), ask("fd.sip", packet)) == ("unknown", None, None)


def test_a_datagram_that_goes_elsewhere_changes_the_name() -> None:
    table = Answers().table

    def sent(port: int, length: int = 16) -> Event:
        one = connection("sendto", 10, kind="SOCK_DGRAM", protocol=17, remote_port=port)
        one.arguments = {"sockfd": 5, "addrlen": length}
        return one

    assert [table["fd.name_changed"](sent(port)) for port in (53, 53, 54, 53)] == [True, False, True, True]
    assert table["fd.connected"](sent(53)) is False
    assert table["fd.connected"](sent(53, 0)) is True
    assert table["fd.l4proto"](sent(53)) == "udp"


# --- containers ------------------------------------------------------------------------------------------------------

WEB = Container(
    "ab" * 32, "web", "reg:5000/team/web:1.2", "sha256:" + "cd" * 32, "docker", privileged=True,
    labels={"app": "x", "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop"},
    mounts=(("/etc", "/host", "ro", False, "rprivate"), ("/run/docker.sock", "/s", "", True, "rprivate")),
    started_ns=1_699_999_999_000_000_000, state="complete",
)  # fmt: skip


def test_the_container() -> None:
    one = event(process=process(container=WEB))
    wanted = {
        "container.id": "abababababab", "container.full_id": "ab" * 32, "container.name": "web",
        "container.image": "reg:5000/team/web:1.2", "container.image.repository": "reg:5000/team/web",
        "container.image.tag": "1.2", "container.image.digest": None, "container.image.id": "cdcdcdcdcdcd",
        "container.privileged": True, "container.type": "docker",
        "container.mounts": "/etc:/host:ro:false:rprivate /run/docker.sock:/s::true:rprivate",
        "container.mount[0]": "/etc:/host:ro:false:rprivate", "container.mount[7]": "none",
        "container.mount.dest[/e*]": "/host", "container.mount.dest[/var]": "N/A",
        "container.mount.source[/s]": "/run/docker.sock", "container.mount.rdwr[/etc]": "false",
        "container.label.app": "x", "container.label[app]": "x", "container.label.none": None,
        "container.start_ts": 1_699_999_999_000_000_000, "container.duration": 1_123_456_789,
        "k8s.pod.name": "web-0", "k8s.ns.name": "shop", "k8s.pod.labels": "app:x", "k8s.pod.label.app": "x",
    }  # fmt: skip
    assert {name: ask(name, one) for name in wanted} == wanted


def test_the_host_is_no_container() -> None:
    one = event()
    assert (ask("container.id", one), ask("container.name", one)) == ("host", "host")
    for name in ("container.image.repository", "container.privileged", "container.mounts", "k8s.ns.name"):
        assert ask(name, one) is None, name


def test_a_container_that_no_engine_has_described_yet() -> None:
    one = event(process=process(container=Container("ab" * 32)))
    assert ask("container.id", one) == "abababababab"
    names = ("container.name", "container.image.repository", "container.privileged", "container.mount.dest[/]")
    assert [ask(name, one) for name in names] == [None] * 4


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("nginx", ("nginx", "", "")), ("nginx:1", ("nginx", "1", "")), ("a:5000/b", ("a:5000/b", "", "")),
        ("a:5000/b:2@sha256:c", ("a:5000/b", "2", "sha256:c")), ("", ("", "", "")),
    ],
)  # fmt: skip
def test_references_of_images(image: str, parts: tuple[str, str, str]) -> None:
    assert reference(image) == parts


# --- accounts --------------------------------------------------------------------------------------------------------


def test_names_of_the_hosts_users() -> None:
    one = event(process=process(effective_user=0, login_user=None))
    assert (ask("user.uid", one), ask("user.name", one), ask("user.homedir", one)) == (0, "root", "/root")
    assert (ask("user.loginuid", one), ask("user.loginname", one)) == (-1, None)
    assert (ask("group.gid", one), ask("group.name", one)) == (0, "root")
    nobody = event(process=process(effective_user=3_999_999_999, login_user=0))
    assert (ask("user.name", nobody), ask("user.loginname", nobody)) == (None, "root")


def test_a_container_of_another_user_namespace_names_nobody() -> None:
    inside = process(container=WEB, namespaces={"user": 4026532001})
    assert Accounts().user(inside, 0) is None


@contextmanager
def rooted(folder: Path) -> Iterator[Process]:
    """A procfs with one process whose root is a folder; the mount table is the real one's first line."""
    (folder / "proc" / "7").mkdir(parents=True)
    (folder / "root" / "etc").mkdir(parents=True)
    (folder / "proc" / "7" / "root").symlink_to(folder / "root")
    (folder / "proc" / "7" / "mountinfo").write_text("1 0 8:1 / / rw - ext4 /dev/x rw\n")
    yield process(pid=7, container=Container("ef" * 32))


def test_a_containers_own_accounts(tmp_path: Path) -> None:
    with rooted(tmp_path) as one:
        (tmp_path / "root/etc/passwd").write_bytes(
            b"# no\nevil\n:x:1:\nwww:x:33:33::/srv:/bin/sh\n\xff:x:34:0::/:/\nx:x:9e9:0"
        )
        accounts = Accounts(str(tmp_path / "proc"))
        found = accounts.user(one, 33)
        assert found is not None
        assert (found.name, found.home) == ("www", "/srv")
        odd = accounts.user(one, 34)
        assert odd is not None
        assert odd.name == "\udcff"
        assert accounts.group(one, 33) is None


def test_a_number_that_is_another_process_by_now_is_not_asked(tmp_path: Path) -> None:
    with rooted(tmp_path) as one:
        (tmp_path / "root/etc/passwd").write_text("www:x:33:33::/srv:/bin/sh\n")
        (tmp_path / "proc/7/ns").mkdir()
        (tmp_path / "proc/7/ns/mnt").touch()
        accounts = Accounts(str(tmp_path / "proc"))
        one.namespaces = {"mnt": (tmp_path / "proc/7/ns/mnt").stat().st_ino + 1}
        assert accounts.user(one, 33) is None
        other = process(pid=7, container=Container("ab" * 32), namespaces={"mnt": one.namespaces["mnt"] - 1})
        assert accounts.user(other, 33) is not None


@pytest.mark.parametrize("trap", ["link", "folder", "fifo", "huge", "fuse", "etc"])
def test_a_trap_in_a_containers_accounts_is_not_stepped_into(tmp_path: Path, trap: str) -> None:
    with rooted(tmp_path) as one:
        file = tmp_path / "root/etc/passwd"
        file.write_text("www:x:33:33::/srv:/bin/sh\n")
        if trap == "link":
            file.rename(tmp_path / "other")
            file.symlink_to(tmp_path / "other")
        elif trap == "folder":
            file.unlink()
            file.mkdir()
        elif trap == "fifo":
            file.unlink()
            os.mkfifo(file)
        elif trap == "huge":
            file.write_bytes(b"www:x:33:33::/srv:/bin/sh\n" + b"#" * LIMIT)
        elif trap == "fuse":
            (tmp_path / "proc/7/mountinfo").write_text("1 0 0:9 / / rw - fuse.evil evil rw\n")
        else:
            (tmp_path / "root/etc").rename(tmp_path / "etc")
            (tmp_path / "root/etc").symlink_to(tmp_path / "etc")
        began = time.monotonic()
        assert Accounts(str(tmp_path / "proc")).user(one, 33) is None
        assert time.monotonic() - began < 5


# --- everything ------------------------------------------------------------------------------------------------------


def test_every_field_of_the_stock_rules_is_answered() -> None:
    if not DESCRIBED.exists():
        pytest.skip("the description of the stock rules is not beside the repository")
    rules = json.loads(gzip.decompress(DESCRIBED.read_bytes()))["rules"]
    asked = {name for rule in rules for kind in ("condition_fields", "output_fields") for name in rule["details"][kind]}
    assert {name for name in asked if answer_for(name) is None} == set()


def test_a_field_that_nobody_knows() -> None:
    for name in (
        "proc.nonsense",
        "proc.aname[x]",
        "proc.aname[99999999999]",
        "evt.arg",
        "fd.name[1]",
        "container.mountx",
    ):
        assert answer_for(name) is None, name


HOSTILE = st.text(st.characters(), max_size=12) | st.sampled_from(["\n", "\0", "\udcff", "a\r\nb", "|=", ""])
VALUES = st.none() | st.integers(-(2**63), 2**64) | HOSTILE | st.binary(max_size=8)


@given(
    name=st.sampled_from([*PARAMETERS, "gap", "procexit", "nonsense"]),
    result=st.none() | st.integers(-4100, 2**40),
    arguments=st.dictionaries(
        st.sampled_from(["flags", "mode", "pathname", "oldpath", "newpath", "uid", "cmd", "request", "domain", "data",
                         "target", "linkpath", "nstype", "fd", "dirfd", "newdirfd"]), VALUES),
    text=HOSTILE, device=st.integers(0, 2**32), descriptor=st.none() | st.integers(-1, 2**31),
    family=st.sampled_from(["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", ""]), whole=st.booleans(),
)  # fmt: skip
def test_no_event_makes_an_answer_fail(
    *, name: str, result: int | None, arguments: dict[str, Any], text: str, device: int, descriptor: int | None,
    family: str, whole: bool,
) -> None:  # fmt: skip
    container = Container(text, text, text, text, labels={text: text}, mounts=((text, text, text, True, text),))
    actor = process(
        name=text, arguments=(text, text), environment=(text,), directory=text, executable=Executable(text),
        container=container if whole else None, effective_user=device,
    )  # fmt: skip
    one = event(
        name, result, arguments=arguments, descriptor=descriptor, process=actor,
        file=File(text, text, device=device) if whole else None,
        socket=Socket(family, local=text, remote=text, remote_port=1) if family else None,
    )  # fmt: skip
    for field, answer in ANSWERS.items():
        found = answer(one)
        assert isinstance(found, str | int | bool | bytes | tuple | None), field
    for field in ("evt.arg.flags", "evt.arg.name", "evt.arg.uid", "evt.arg.newpath", "proc.aname[1]", "evt.rawarg.fd"):
        ask(field, one)


# --- what really runs -----------------------------------------------------------------------------------------------


@contextmanager
def child(*words: str, **more: Any) -> Iterator[Life]:
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, **more)
    try:
        assert started.stdout is not None
        started.stdout.readline()
        processes = Processes()
        for seen in snapshot.running():
            processes.entered(seen.life, seen.parent_pid)
        yield processes.alive[started.pid]
    finally:
        started.kill()
        started.communicate()


def test_the_answers_about_a_real_process_are_what_the_kernel_says(tmp_path: Path) -> None:
    line = "print(flush=True); input()"
    with child(sys.executable, "-c", line, "two words", cwd=tmp_path, env={"HELD": "fast"}) as life:
        one = event(process=life)
        folder = Path("/proc", str(life.pid))
        status = dict(entry.split(":", 1) for entry in (folder / "status").read_text().splitlines())
        assert ask("proc.name", one) == status["Name"].strip()
        assert ask("proc.cmdline", one) == f"{status['Name'].strip()} -c {line} two words"
        assert ask("proc.exe", one) == sys.executable
        assert ask("proc.exepath", one) == str((folder / "exe").readlink())
        assert ask("proc.cwd", one) == f"{tmp_path}/"
        assert ask("proc.env[HELD]", one) == "fast"
        assert ask("proc.ppid", one) == os.getpid()
        assert ask("proc.pname", one) == Path("/proc/self/comm").read_text().strip()
        assert ask("proc.aname", one)[0] == ask("proc.pname", one)
        assert ask("user.uid", one) == os.geteuid()
        assert ask("proc.vpgid", one) == int(status.get("NSpgid", "0").split()[-1])
        held = int(status["CapEff"], 16)
        assert len(ask("thread.cap_effective", one).split()) == min(41, held.bit_count())
        assert ask("proc.exe_ino", one) == (folder / "exe").stat().st_ino
        assert ask("proc.exe_ino.ctime", one) == (folder / "exe").stat().st_ctime_ns
        assert ask("container.id", one) == "host"


def test_a_process_with_a_megabyte_of_arguments_and_hostile_ones() -> None:
    words = ["\udcfe\n\x1b[31m", *("y" * 100_000 for _ in range(9))]
    with child(sys.executable, "-c", "print(flush=True); input()", *words) as life:
        one = event(process=life)
        assert "\udcfe\n\x1b[31m" in ask("proc.cmdline", one)
        assert len(ask("proc.cmdline", one)) <= 4096
        assert len(ask("evt.args", event("execve", 0, process=life))) < 64_000
