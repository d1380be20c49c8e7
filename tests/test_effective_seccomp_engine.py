"""Default profiles held against the filters that real engines load: every call, every way into the kernel."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from holdfast.collect.seccomp_filter import read_filters
from holdfast.model.facts import Facts, Seen
from holdfast.model.place import Where
from holdfast.model.truth import YES
from holdfast.model.values import Members
from holdfast.model.words import container, declared, engine, host, observed
from holdfast.reason.effective.seccomp import Syscalls, declared_syscalls, observed_syscalls
from holdfast.reason.effective.syscall_table import CLONE_FLAGS, CONSTANTS, numbers

pytestmark = [pytest.mark.engine, pytest.mark.root]

WHERE = Where("test")
NAME = f"hf-seccomp-{os.getpid()}"
# The kernel offers all three ways in, so that every one is compared.
HOST = Facts(
    {
        host.ARCHITECTURE: Seen("x86_64", WHERE),
        host.KERNEL_VERSION: Seen((6, 18), WHERE),
        host.KERNEL_CONFIG: Seen(Members.of("CONFIG_IA32_EMULATION", "CONFIG_X86_X32_ABI"), WHERE),
    }
)
DOCKER_CAPABILITIES = [
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
]  # fmt: skip
# Docker 20.10 knows neither CAP_BPF nor CAP_PERFMON.
GATES = [
    "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME",
    "SYS_TTY_CONFIG", "SYS_NICE", "SYSLOG",
]  # fmt: skip
MEMBERS = sorted(
    {name for entry in ("x86_64", "i386", "x32") for name in numbers(entry)}
    | {f"{call}:{flag}" for call in ("clone", "unshare", "setns", "clone3") for flag in CLONE_FLAGS}
    | {f"socket:{number}" for number in range(48)}
    | {f"personality:{number}" for number in (0x8, 0x20000, 0x40000, 0x400000)}
    | {f"socket:{name}" for name in CONSTANTS if name.startswith("AF_")}
    | {"ioctl:TIOCSTI", "mknod:S_IFBLK", "mount:MS_BIND"}
)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


def known_version() -> tuple[int, ...]:
    text = run("docker", "version", "--format", "{{.Server.Version}}")
    return tuple(int(part) for part in text.split("+")[0].split("-")[0].split("."))


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    busybox = shutil.which("busybox")
    assert busybox is not None, "the package busybox-static is needed"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
    subprocess.run(["docker", "import", "-", NAME], input=content.getvalue(), capture_output=True, check=True)
    yield NAME
    subprocess.run(["docker", "rmi", "-f", NAME], capture_output=True, check=False)


def live(image: str, *flags: str) -> tuple[bytes, ...]:
    identity = run("docker", "run", "-d", "--rm", "--network=none", *flags, image, "/bin/busybox", "sleep", "300")
    try:
        pid = int(run("docker", "inspect", "--format", "{{.State.Pid}}", identity))
        return read_filters(pid)
    finally:
        subprocess.run(["docker", "rm", "-f", identity], capture_output=True, check=False)


def seen(programs: tuple[bytes, ...]) -> Syscalls:
    facts = Facts({observed.SECCOMP_MODE: Seen(2, WHERE), observed.SECCOMP_FILTERS: Seen(programs, WHERE)})
    entry = observed_syscalls(facts, HOST)[container.SYSCALLS]
    assert isinstance(entry, Seen)
    return entry.value


def predicted(name: str, version: tuple[int, ...], capabilities: list[str], profile: object = None) -> Syscalls:
    facts = Facts(
        {
            declared.ENGINE: Seen(name, WHERE),
            declared.PRIVILEGED: Seen(False, WHERE),
            declared.SECCOMP: Seen("default" if profile is None else "profile", WHERE),
            declared.SECCOMP_PROFILE: Seen(profile, WHERE),
        }
    )
    about = HOST.joined(Facts({engine.NAME: Seen(name, WHERE), engine.VERSION: Seen(version, WHERE)}))
    about = about.saying(engine.SECCOMP_DEFAULT, "default", WHERE)
    entry = declared_syscalls(facts, about, Members.of(*(f"CAP_{one}" for one in capabilities)))[container.SYSCALLS]
    assert isinstance(entry, Seen), entry
    return entry.value


def differences(expected: Syscalls, found: Syscalls) -> dict[str, str]:
    return {
        name: f"predicted {expected.has(name).word}, is {found.has(name).word}"
        for name in MEMBERS
        if expected.has(name) is not found.has(name)
    }


@pytest.mark.parametrize("added", [[], *([one] for one in GATES), ["SYS_ADMIN", "SYS_PTRACE"]], ids="-".join)
def test_docker_loads_the_profile_that_is_predicted(image: str, added: list[str]) -> None:
    programs = live(image, *(f"--cap-add={one}" for one in added))
    assert len(programs) == 1
    assert differences(predicted("docker", known_version(), DOCKER_CAPABILITIES + added), seen(programs)) == {}


def test_no_capability_at_all(image: str) -> None:
    programs = live(image, "--cap-drop=ALL")
    assert differences(predicted("docker", known_version(), []), seen(programs)) == {}


CUSTOM = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
        {"names": ["mount", "umount2"], "action": "SCMP_ACT_ERRNO"},
        {"name": "unshare", "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {
            "names": ["clone"],
            "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 0, "value": 0x10000000, "valueTwo": 0x10000000, "op": "SCMP_CMP_MASKED_EQ"}],
        },
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 38, "op": "SCMP_CMP_EQ"}]},
        {"names": ["ptrace"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_SYS_PTRACE"]}},
        {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_BPF"]}},
        {"names": ["keyctl"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "4.8"}},
        {"names": ["reboot"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["arm64"]}},
        {"names": ["setns"], "action": "SCMP_ACT_KILL_PROCESS", "excludes": {"arches": ["arm64"]}},
        {
            "names": ["personality"],
            "action": "SCMP_ACT_ERRNO",
            "args": [
                {"index": 0, "value": 8, "op": "SCMP_CMP_GT"},
                {"index": 0, "value": 0x20000, "op": "SCMP_CMP_LT"},
            ],
        },
    ],
}


@pytest.mark.parametrize("added", [[], ["SYS_PTRACE"]], ids="-".join)
def test_a_profile_of_ones_own(image: str, added: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("profile") / "custom.json"
    path.write_text(json.dumps(CUSTOM), encoding="ascii")
    programs = live(image, f"--security-opt=seccomp={path}", *(f"--cap-add={one}" for one in added))
    expected = predicted("docker", known_version(), DOCKER_CAPABILITIES + added, CUSTOM)
    assert differences(expected, seen(programs)) == {}
    assert expected.has("socket:AF_ALG") is YES, "an upper half that the kernel ignores passes the comparison by"
