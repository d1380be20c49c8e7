"""Enforcement in the virtual machine: what is denied fails, what is ordinary does not, and it outlives the sensor."""

from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from holdfast.drill.machine import boot, build
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.machine.payload import payload
from holdfast.sensor import bpf_file

pytestmark = pytest.mark.vm

LIMIT_S = 280

SENSOR = '''
"""Deny everything to every container, until it is ended."""
import json, pathlib, sys, time
from holdfast.sensor import backends, deny
from holdfast.techniques import load
catalogue = load()
chosen = backends.choose(catalogue)
out = pathlib.Path("out")
out.joinpath("choice").write_text(json.dumps({
    "grade": chosen.grade.value, "enforced": chosen.proof.enforced, "told": chosen.proof.told,
    "why": [chosen.proof.why, *chosen.passed_by]}))
chosen.denier.deny(deny.EVERY_CONTAINER, catalogue)
chosen.denier.pin(pathlib.Path("/sys/fs/bpf/holdfast/deny"))
pathlib.Path("ready").touch()
with out.joinpath("denials").open("a") as file:
    while True:
        for one in chosen.denier.denials():
            print(json.dumps([one.hook, one.path, *one.techniques]), file=file, flush=True)
        time.sleep(0.05)
'''

ACTS = '''
"""Attempt what must be denied, and say which error came of it."""
import ctypes, json, mmap, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    return lambda: getattr(libc, name)(*arguments)
def unix(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
def written(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
def detached():
    fs = libc.syscall(430, b"proc", 0)
    return libc.syscall(431, fs, 6, None, None, 0)
def by_io_uring():
    """Let a thread of the kernel open the setting: IOSQE_ASYNC hands it over."""
    params = bytearray(120)
    fd = libc.syscall(425, 4, (ctypes.c_char * 120).from_buffer(params))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    sq, cq = struct.unpack_from("<8I", params, 40), struct.unpack_from("<8I", params, 80)
    entries, results = struct.unpack_from("<2I", params)
    ring = mmap.mmap(fd, max(sq[6] + entries * 4, cq[5] + results * 16), mmap.MAP_SHARED, offset=0)
    asked = mmap.mmap(fd, entries * 64, mmap.MAP_SHARED, offset=0x10000000)
    path = ctypes.create_string_buffer(b"/proc/sys/kernel/core_pattern")
    struct.pack_into("<BBHiQQII", asked, 0, 18, 16, 0, -100, 0, ctypes.addressof(path), 0, os.O_WRONLY)
    struct.pack_into("<I", ring, sq[6], 0)
    struct.pack_into("<I", ring, sq[1], 1)
    libc.syscall(426, fd, 1, 1, 1, None, 0)
    result = struct.unpack_from("<i", ring, cq[5] + 8)[0]
    if result < 0:
        raise OSError(-result, "openat")
def unshared():
    """In a child: it changes what a process may do, and one with threads may not ask."""
    child = os.fork()
    if not child:
        os._exit(ctypes.get_errno() if libc.unshare(0x10000000) else 0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "unshare")
def netlink(*kinds):
    """Say several things to the kernel with one send; none of them changes anything where it is allowed."""
    route = struct.pack("<BBBBBBBBI", 2, 32, 0, 0, 254, 3, 0, 1, 0)
    said = b"".join(struct.pack("<IHHII", 28, kind, 5, 1, 0) + route for kind in kinds)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.send(said)
def sent(kind, flags, port):
    with socket.socket(socket.AF_INET, kind) as one:
        one.setblocking(False)
        one.sendto(b"x", flags, ("127.0.0.1", port))
os.makedirs("/point", exist_ok=True)
attempts = {
    "mount": call("mount", b"holdfast", b"/point", b"proc", 0, None),
    "mount disk": call("mount", b"/dev/vda", b"/point", b"ext4", 1, None),
    "detached mount": detached,
    "remount": call("mount", None, b"/proc", None, 32, None),
    "mount_setattr": lambda: libc.syscall(442, -100, b"/proc", 0, ctypes.create_string_buffer(32), 32),
    "core_pattern": lambda: os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)),
    "io_uring": by_io_uring,
    "host's proc": lambda: os.close(os.open("/host/proc/sys/kernel/core_pattern", os.O_WRONLY)),
    "mknod": lambda: os.mknod("/disk", 0o60600, os.makedev(254, 0)),
    "open disk": lambda: os.close(os.open("/dev/vda", os.O_RDONLY)),
    "ptrace seize": call("ptrace", 0x4206, 1, 0, 0),  # attaching would stop the first process where it is allowed
    "docker.sock": lambda: unix("/docker.sock"),
    "setns": lambda: os.close(os.open("/proc/1/ns/mnt", os.O_RDONLY)),
    "module": lambda: libc.syscall(175, b"x", 1, b""),
    "host file": lambda: written("/host/etc/holdfast-was-here"),
    "host shadow": lambda: os.close(os.open("/host/etc/shadow", os.O_RDONLY)),
    "rename": lambda: os.rename("/host/etc/hostname", "/host/etc/hostname-of-holdfast"),
    "signal": lambda: os.kill(1, 0),
    "second netlink message": lambda: netlink(18, 25),
    "first data": lambda: sent(socket.SOCK_STREAM, socket.MSG_FASTOPEN, 2375),
    "datagram": lambda: sent(socket.SOCK_DGRAM, 0, 9),
    "file's capabilities": lambda: os.setxattr("/host/etc/hostname", "security.capability",
                                               struct.pack("<5I", 0x02000001, 1 << 21, 0, 0, 0)),
    "own netlink": lambda: netlink(18),
    "own file": lambda: written("/own"),
    "own process": lambda: os.kill(os.getpid(), 0),
    "own proc": lambda: os.close(os.open("/proc/self/status", os.O_RDONLY)),
    "unshare user": unshared,
}
found = {}
for name, attempt in attempts.items():
    ctypes.set_errno(0)
    try:
        got = attempt()
        found[name] = ctypes.get_errno() if got == -1 else 0
    except OSError as error:
        found[name] = error.errno
print(json.dumps(found))
'''

RUN = """
export PYTHONPATH=/payload/python PYTHONDONTWRITEBYTECODE=1
box() { timeout 90 docker run -i --rm "$@"; }
attempt() {
    box --network host --privileged --pid=host -v /:/host -v /run/docker.sock:/docker.sock \
        -v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro -v /payload/acts.py:/acts.py:ro \
        holdfast-drill /usr/bin/python3 -I -S /acts.py \
        > out/$1 2> out/$1.err
}
python3 sensor.py > out/sensor 2>&1 &
sensor=$!
for i in $(seq 200); do [ -f ready ] || ! kill -0 $sensor 2> /dev/null && break; sleep 0.3; done
echo "holdfast: $(cat out/choice)"
attempt denied
box --network none holdfast-drill /bin/busybox echo runs > out/plain 2>&1
docker run -d --network none --name kept holdfast-drill /bin/busybox sleep 1000 > /dev/null
timeout 60 docker exec kept /bin/busybox echo executes >> out/plain 2>&1
kill -9 $sensor
wait $sensor
attempt pinned
docker rm -f kept > /dev/null
python3 -c 'from holdfast.sensor.deny_pins import unpin; print(unpin())' > out/unpinned
attempt free
"""

ORDINARY = {"own file", "own process", "own proc", "own netlink"}
ASKED_BEFORE = {"setns"}
"""The kernel turns a refusal to look into another process into EACCES."""


@pytest.mark.parametrize(("name", "modules"), [("plain", "landlock,yama,bpf"), ("new-kernel-plain", "landlock,yama")])
def test_what_is_denied_fails_and_what_is_ordinary_does_not(tmp_path: Path, name: str, modules: str) -> None:
    folder = tmp_path / "in"
    programs = payload(folder)
    (programs / "holdfast/sensor/bpf/deny-x86_64.o").write_bytes(bpf_file.image("deny"))
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
    for file, text in (("sensor.py", SENSOR), ("acts.py", ACTS), ("run.sh", RUN)):
        (folder / file).write_text(text)
    flavour = dataclasses.replace(FLAVOURS[name], security_modules=tuple(modules.split(",")))
    got = boot.run(
        build.disk(print), flavour, folder, ["sh", "run.sh"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=print
    )
    words = {path.name: path.read_text() for path in got.out.iterdir() if path.is_file()}
    choice = json.loads(words["choice"])
    assert choice["enforced"], choice
    assert choice["told"], choice
    assert choice["grade"] == ("lsm" if "bpf" in modules.split(",") else "fmod_ret")
    assert words["plain"].split() == ["runs", "executes"]
    for run in ("denied", "pinned"):
        found = json.loads(words[run])
        wrong = {
            one: errno.errorcode.get(number, number)
            for one, number in found.items()
            if number != (0 if one in ORDINARY else errno.EACCES if one in ASKED_BEFORE else errno.EPERM)
        }
        assert not wrong, (run, wrong)
    assert int(words["unpinned"]) > 20
    free = json.loads(words["free"])
    assert errno.EPERM not in free.values(), free
    assert free["host file"] == 0
    told = {json.loads(line)[0] for line in words["denials"].splitlines()}
    assert {"sb_mount", "sb_kern_mount", "file_open", "path_mknod", "ptrace_access_check", "create_user_ns"} <= told
    assert {"unix_stream_connect", "capable", "task_kill", "path_rename"} <= told
    assert {"netlink_send", "socket_sendmsg", "inode_setxattr"} <= told
