"""The virtual machine, booted: what each flavour is, and every way in which a run may come to a bad end."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from holdfast.drill.machine import boot, build, recipe, scratch
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.machine.payload import payload

pytestmark = pytest.mark.vm

LIMIT_S = 280
"""Less than the time after which a test is ended from outside."""

LOOK = """
uname -r > out/kernel
cat /sys/kernel/security/lsm > out/modules
stat -f -c %T /sys/fs/cgroup > out/cgroup
id -un > out/user
echo "holdfast: half way"
run() { "$ENGINE" run -i --rm "$@"; }
run holdfast-drill /bin/busybox cat /proc/self/uid_map > out/uid_map
run holdfast-drill /bin/busybox cat /proc/self/attr/current > out/label
run --privileged $HOST_USERS holdfast-drill /bin/busybox grep CapEff /proc/self/status > out/capabilities
echo in | run holdfast-drill /bin/busybox cat > out/through
python3 -m holdfast --version > out/version
exit 7
"""


@pytest.fixture
def disk() -> build.Disk:
    """Return the disk, built by the first test that needs it."""
    return build.disk(print)


def program(folder: Path, script: str) -> Path:
    """Make a payload with an image and a script."""
    folder.mkdir()
    image = folder / "image.tar"
    with tarfile.open(image, "w") as tar:
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
    (folder / "run.sh").write_text(script)
    return folder


def test_the_disk_is_built_and_kept(disk: build.Disk) -> None:
    assert build.cached() == disk
    assert set(disk.kernels) == set(recipe.KERNELS)
    assert names(disk.folder) == {
        "log",
        "made.json",
        "root.img",
        *(f"{series}.{kind}" for series in recipe.KERNELS for kind in ("vmlinuz", "initramfs")),
    }
    again: list[str] = []
    assert build.disk(again.append) == disk
    assert again == []


@pytest.mark.parametrize("name", ["cgroup1", "new-kernel", "userns-remap", "rootless"])
def test_a_flavour_is_what_it_says(disk: build.Disk, tmp_path: Path, name: str) -> None:
    flavour = FLAVOURS[name]
    before = names(disk.folder), disk.image.stat().st_mtime_ns
    folder = program(tmp_path / "in", LOOK)
    payload(folder)
    words = ["env", f"ENGINE={flavour.engine}", f"HOST_USERS={'--userns=host' if flavour.userns_remap else ''}"]
    told: list[str] = []
    got = boot.run(
        disk, flavour, folder, [*words, "sh", "run.sh"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=told.append
    )
    shown = (got.out / "logs/command").read_text()
    assert got.code == 7, shown
    files = {path.name: path.read_text().strip() for path in got.out.iterdir() if path.is_file()}
    assert files["kernel"] == disk.kernels[flavour.kernel]
    assert ("apparmor" in files["modules"].split(",")) == ("apparmor" in flavour.security_modules)
    assert files["cgroup"] == {"v2": "cgroup2fs", "v1": "tmpfs"}[flavour.cgroup]
    assert files["user"] == flavour.user
    mapped = {"userns-remap": str(recipe.SUBORDINATE["dockremap"]), "rootless": "1000"}.get(name, "0")
    assert files["uid_map"].split()[:2] == ["0", mapped], shown
    if "apparmor" in flavour.security_modules:
        assert files["label"] == "docker-default (enforce)"
    held = int(files["capabilities"].split()[1], 16)
    assert held == (1 << held.bit_length()) - 1, "without a gap"
    assert held.bit_length() >= 38, "Docker 20.10 does not know the three that came after"
    assert files["through"] == "in"
    assert files["version"].startswith("holdfast")
    assert "half way" in told
    assert any(line.startswith(f"{name}: Linux {files['kernel']} is up") for line in told)
    assert {"kernel", "guest", "console"} <= names(got.out / "logs")
    assert (names(disk.folder), disk.image.stat().st_mtime_ns) == before, "every run begins with the same disk"
    assert owners().count(os.getpid()) == 0


def test_a_kernel_that_panics_is_said_with_its_last_words(disk: build.Disk, tmp_path: Path) -> None:
    broken = dataclasses.replace(FLAVOURS["podman"], arguments=("rdinit=/absent", "root=/dev/none"))
    folder = program(tmp_path / "in", "true")
    begin = time.monotonic()
    with pytest.raises(boot.Failed) as caught:
        boot.run(disk, broken, folder, ["true"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=print)
    assert "kernel panic; its last stage: boot" in caught.value.what
    assert "Kernel panic - not syncing" in caught.value.where
    assert time.monotonic() - begin < LIMIT_S / 2, "it does not wait for its time to run out"
    assert "Kernel panic" in (caught.value.out / "logs/console").read_text()


def test_a_command_that_never_ends_is_ended_and_its_files_come_back(disk: build.Disk, tmp_path: Path) -> None:
    folder = program(tmp_path / "in", "echo partial > out/partial; sleep 1000")
    with pytest.raises(boot.Failed, match="the command did not end in time") as caught:
        boot.run(
            disk, FLAVOURS["podman"], folder, ["sh", "run.sh"], into=tmp_path / "out", timeout_s=75, progress=print
        )
    assert (caught.value.out / "partial").read_text() == "partial\n"


def test_an_engine_that_does_not_start_is_said_and_its_logs_come_back(disk: build.Disk, tmp_path: Path) -> None:
    broken = dataclasses.replace(FLAVOURS["podman"], engine="none")  # type: ignore[arg-type]
    folder = program(tmp_path / "in", "true")
    with pytest.raises(boot.Failed, match="the engine did not start") as caught:
        boot.run(disk, broken, folder, ["true"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=print)
    assert "Linux" in (caught.value.out / "logs/kernel").read_text()


FULL = """
mount -t tmpfs -o size=60m none "$1" && ln -s "$2" "$1" && exec "$3" -c '
import sys; from pathlib import Path
from holdfast.drill.machine import boot, build
from holdfast.drill.machine.flavours import FLAVOURS
try:
    boot.run(build.disk(print), FLAVOURS["podman"], Path(sys.argv[1]), ["sh", "run.sh"], into=Path(sys.argv[2]),
             timeout_s=200, progress=print)
except boot.Failed as error:
    print("error:", error)
print(list(boot.runs().glob("run-*")))
' "$4" "$5"
"""


@pytest.mark.root
def test_a_full_disk_is_said(disk: build.Disk, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    folder = program(tmp_path / "in", "dd if=/dev/zero of=/big bs=1M count=100; sync; echo > out/after")
    words = [str(small), str(disk.folder), sys.executable, str(folder), str(tmp_path / "out")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, "sh", *words],
        env={**os.environ, "HOLDFAST_VM_CACHE": str(small)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "error: The virtual machine podman: could not write its disk" in done.stdout, done.stdout + done.stderr
    assert done.stdout.endswith("[]\n"), "nothing is left"


def test_a_guest_that_hangs_is_ended(disk: build.Disk, tmp_path: Path) -> None:
    # The first process of the guest stops, so that nobody is left who could end the command in time.
    stuck = dataclasses.replace(FLAVOURS["podman"], arguments=("rdinit=/bin/busybox", "--", "sleep", "100000"))
    folder = program(tmp_path / "in", "true")
    begin = time.monotonic()
    with pytest.raises(boot.Failed, match="did not end in time; its last stage: boot"):
        boot.run(disk, stuck, folder, ["true"], into=tmp_path / "out", timeout_s=60, progress=print)
    assert time.monotonic() - begin < 90
    assert machines(tmp_path) == []


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_machine_ends_with_the_process_that_started_it(tmp_path: Path, end: int) -> None:
    folder = program(tmp_path / "in", "sleep 1000")
    code = (
        "import sys; from pathlib import Path; from holdfast.drill.machine import boot, build\n"
        "from holdfast.drill.machine.flavours import FLAVOURS\n"
        "boot.run(build.disk(print), FLAVOURS['podman'], Path(sys.argv[1]), ['sh', 'run.sh'], into=Path(sys.argv[2]),"
        " timeout_s=200, progress=lambda line: print(line, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert "is up" in child.stdout.readline()
        assert len(machines(tmp_path)) == 1
        child.send_signal(end)
        child.wait(30)
    limit = time.monotonic() + 10
    while machines(tmp_path):
        assert time.monotonic() < limit
        time.sleep(0.1)
    with scratch.folder(boot.runs()):
        assert owners().count(child.pid) == 0
        assert owners().count(os.getpid()) == 1


def names(folder: Path) -> set[str]:
    """List a folder."""
    return {path.name for path in folder.iterdir()}


def owners() -> list[int]:
    """List the processes whose run folders are there."""
    return [int(path.read_text() or "0") for path in boot.runs().glob("run-*/owner")]


def machines(folder: Path) -> list[int]:
    """List the emulators whose console lies in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words.startswith(b"qemu-system") and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found
