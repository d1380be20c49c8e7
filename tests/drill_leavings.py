"""A run that makes one thing of every kind and is killed where the test says. Started as a program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from holdfast.drill import kernel_calls
from holdfast.drill.journal import Journal
from holdfast.drill.process_identity import started


def cgroup_top() -> Path:
    """Return where the version 2 hierarchy is mounted: alone, or beside the old ones."""
    unified = Path("/sys/fs/cgroup/unified")
    return unified if (unified / "cgroup.procs").exists() else Path("/sys/fs/cgroup")


def main(run: str, key: int, stop_at: int) -> None:  # noqa: PLR0915 - one step after the other
    """Make everything; at the boundary of this number, end as if by kill -9. Say what was passed."""
    passed = 0

    def hook(name: str) -> None:
        nonlocal passed
        passed += 1
        os.write(1, f"{name}\n".encode())
        if passed == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

    journal = Journal.open(run, 600, hook)
    stage = journal.folder / "stage"

    journal.will("folder", path=str(stage))
    stage.mkdir()
    (stage / "link").symlink_to("/etc")
    (stage / "deep").mkdir()
    (stage / "deep" / "file").write_text("x")
    journal.boundary("made folder")

    shm_file = Path("/dev/shm") / f"holdfast-{run}"
    journal.will("file", path=str(shm_file))
    shm_file.write_text("x")
    journal.boundary("made file")

    journal.will("mount", path=str(stage / "deep"))
    kernel_calls.mount(str(stage / "deep"), str(stage / "deep"), kernel_calls.MS_BIND)
    journal.boundary("made mount")
    # One on top of it that no journal knows, as if it had come out of a container.
    kernel_calls.mount(str(stage / "deep"), str(stage / "deep"), kernel_calls.MS_BIND)
    journal.boundary("made another mount")

    image = journal.folder / "disk.img"
    journal.will("loop", backing=str(image))
    image.write_bytes(bytes(1 << 20))
    device, handle = kernel_calls.attach_loop(image)
    # A second opening, by a process that outlives this one, so that the device stays attached.
    program = journal.folder / "sleep"
    shutil.copy(os.path.realpath(shutil.which("sleep") or ""), program)
    journal.boundary("made loop")

    journal.will("process", program=str(program))
    keeper = os.open(device, os.O_RDONLY)
    subprocess.Popen(
        [program, "600"],
        pass_fds=[keeper],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal.boundary("made process by program")

    other = subprocess.Popen(
        ["sleep", "600.0"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        executable=program,
    )
    journal.will("process", pid=other.pid, start=started(other.pid))
    journal.boundary("made process by pid")

    journal.will("shm", key=key)
    kernel_calls.make_segment(key, b"secret")
    journal.boundary("made shm")

    group = cgroup_top() / f"holdfast-{run}"
    journal.will("cgroup", path=str(group))
    (group / "inner").mkdir(parents=True)
    journal.boundary("made cgroup")

    setting = group / "cgroup.max.depth"
    journal.will("setting", path=str(setting), old="max", new="5")
    setting.write_text("5")
    journal.boundary("made setting")
    os.close(handle)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
