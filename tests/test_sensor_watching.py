"""The sensor on the running kernel: what containers do is seen as what it is, whatever it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collect_box import image as made_image
from sensor_made import Watched, docker, watched

pytestmark = [pytest.mark.root, pytest.mark.engine]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with made_image(tmp_path_factory.mktemp("image")) as name:
        yield name


@pytest.fixture(scope="module")
def seen() -> Iterator[Watched]:
    with watched() as all_seen:
        yield all_seen


NAMES = "busybox --install -s /bin"


def shell(image: str, script: str, *options: str) -> str:
    name = f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}"
    docker("run", "--rm", "--name", name, *options, image, "sh", "-c", f"{NAMES}; {script}", check=False)
    return name


def test_a_plain_container_raises_no_alert(image: str) -> None:
    with watched() as all_seen:
        shell(image, "cat /etc/passwd; ls /proc; cat /proc/self/status; echo x > /tmp/x; chmod 755 /tmp/x; rm /tmp/x")
        time.sleep(0.5)
        ours = [one for one in all_seen.alerts if any("busybox" in each.path for each in one.process)]
    assert [(one.rule, one.output) for one in ours] == []


def test_a_write_to_a_host_file_is_seen_with_its_place_on_the_host(seen: Watched, image: str) -> None:
    shell(
        image, "echo x > /elsewhere/cron.d/holdfast-test; rm /elsewhere/cron.d/holdfast-test", "-v", "/etc:/elsewhere"
    )
    [first, *_] = seen.soon("etc-write", host_path="/etc/cron.d/holdfast-test", event="openat") or seen.soon(
        "etc-write", host_path="/etc/cron.d/holdfast-test", event="open"
    )
    assert first.succeeded
    assert first.fields["event.path"] == "/elsewhere/cron.d/holdfast-test"


def test_a_refused_attempt_is_an_alert_that_says_so(seen: Watched, image: str) -> None:
    shell(image, "mount -t cgroup x /tmp")
    [first, *_] = seen.soon("cgroup-release-agent", error="EPERM", event="mount")
    assert first.succeeded is False


@pytest.mark.parametrize(
    "way",
    [
        "cat /h/shadow",
        "cat /proc/self/root/h/shadow",
        "cat /dev/fd/../root/h/shadow",
        "ln -s /h /tmp/l; cat /tmp/l/shadow",
        "printf '#!/bin/sh\\nread x < /h/shadow\\n' > /tmp/sshd; chmod 755 /tmp/sshd; /tmp/sshd",
        "cd /h; cat shadow",
        "cd /h/cron.d; cat ../shadow",
    ],
)
def test_no_spelling_of_a_path_hides_a_host_file(seen: Watched, image: str, way: str) -> None:
    before = len(seen.of("host-root-read"))
    shell(image, way, "-v", "/etc:/h:ro")
    until = time.monotonic() + 10
    while len(seen.of("host-root-read")) <= before and time.monotonic() < until:
        time.sleep(0.05)
    assert {one.fields["event.host_path"] for one in seen.of("host-root-read")[before:]} == {"/etc/shadow"}


def test_another_root_hides_no_host_file(seen: Watched, image: str, tmp_path: Path) -> None:
    """A container with the host's directory mounted makes it its root: the file is then on the root mount."""
    made = tmp_path / "etc"
    (made / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", made / "bin" / "busybox")
    (made / "cron.d").mkdir()
    script = "chroot /h /bin/busybox touch /cron.d/x; sleep 1"
    shell(image, script, "-v", f"{made}:/h")
    until = time.monotonic() + 10
    wanted = f"{made}/cron.d/x"
    while time.monotonic() < until and not any(one == wanted for one in seen.paths()):
        time.sleep(0.05)
    assert any(one == wanted for one in seen.paths())


@pytest.mark.parametrize("way", ["mv /h/aside /h/cron.d/x", "cd /h; mv aside cron.d/x", "ln /h/aside /h/cron.d/x"])
def test_the_name_that_a_file_is_given_counts(seen: Watched, image: str, way: str) -> None:
    name = f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}"
    aside = Path("/etc", f"{name}-aside")
    made = Path("/etc/cron.d", name)
    aside.write_text("", encoding="ascii")
    try:
        shell(image, way.replace("aside", aside.name).replace("cron.d/x", f"cron.d/{name}"), "-v", "/etc:/h")
        assert seen.soon("etc-write", host_path=str(made))
    finally:
        aside.unlink(missing_ok=True)
        made.unlink(missing_ok=True)


def test_a_kernel_file_bound_to_another_name_is_known(seen: Watched, image: str) -> None:
    script = "touch /tmp/x; mount --bind /proc/sys/kernel/core_pattern /tmp/x; busybox true >> /tmp/x; sleep 2"
    shell(image, script, "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")
    assert seen.soon("core-pattern", inner_path="/sys/kernel/core_pattern", path="/tmp/x")


def test_who_leaves_the_containers_cgroups_is_still_in_the_container(image: str) -> None:
    groups = "/sys/fs/cgroup/memory" if Path("/sys/fs/cgroup/memory").is_dir() else "/sys/fs/cgroup"
    with watched() as all_seen:
        name = f"holdfast-test-left-{os.getpid()}"
        docker("run", "-d", "--name", name, "-v", "/etc:/h:ro", image, "sh", "-c", "sleep 3; cat /h/shadow; sleep 5")
        try:
            pid = docker("inspect", "-f", "{{.State.Pid}}", name).stdout.strip()
            Path(groups, "cgroup.procs").write_text(pid, encoding="ascii")
            assert all_seen.soon("cgroup-leave", seconds=0.1) == []  # the host moved it, nobody in the container
            found = all_seen.soon("host-root-read", host_path="/etc/shadow")
            assert found
            assert found[0].container
        finally:
            docker("rm", "-f", name, check=False)


def test_the_runtimes_own_work_is_no_alert(image: str) -> None:
    with watched() as all_seen:
        name = shell(image, "true", "--tmpfs", "/scratch", "-v", "/srv:/srv:ro", "--network", "none")
        time.sleep(0.5)
        ours = [one for one in all_seen.alerts if one.container.get("name") == name or "runc" in one.output]
    assert [(one.rule, one.output) for one in ours] == []


def test_two_flooding_loops_hide_no_sensitive_read(image: str) -> None:
    """A loop that opens and closes as fast as it can, twice, while a container reads a host's secret 100 times."""
    flood = "import os\nwhile True:\n os.close(os.open('/etc/hostname', 0))\n"
    with watched() as all_seen:
        loops = [subprocess.Popen([sys.executable, "-c", flood]) for _ in range(2)]
        try:
            shell(image, "i=0; while [ $i -lt 100 ]; do read x < /h/shadow; i=$((i+1)); done", "-v", "/etc:/h:ro")
            until = time.monotonic() + 20
            while len(all_seen.of("host-root-read")) < 100 and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        assert len(all_seen.of("host-root-read")) == 100
    assert all_seen.lost[0] == 0


def test_a_process_of_the_host_raises_no_alert_for_what_a_container_may_not(tmp_path: Path) -> None:
    with watched() as all_seen:
        subprocess.run(["cat", "/etc/shadow"], stdout=subprocess.DEVNULL, check=True)
        (tmp_path / "x").write_text("x", encoding="ascii")
        time.sleep(0.3)
        ours = [one for one in all_seen.alerts if any(each.pid == os.getpid() for each in one.process)]
    assert ours == []


def test_a_mode_that_is_set_through_an_open_file_is_about_that_file(seen: Watched, image: str, tmp_path: Path) -> None:
    """As the C library does it: the descriptor is gone a moment later, but the kernel knew what it was."""
    script = "cp /bin/busybox {0}; exec 3< {0}; chmod 4755 /proc/self/fd/3"
    before = len(seen.of("setuid-on-shared-volume"))
    shell(image, script.format("/tmp/own"))
    shell(image, script.format("/vol/shared"), "-v", f"{tmp_path}:/vol")
    assert seen.soon("setuid-on-shared-volume", path="/vol/shared")
    assert {one.fields["event.path"] for one in seen.of("setuid-on-shared-volume")[before:]} == {"/vol/shared"}


def test_a_mount_below_a_shared_directory_is_one_of_the_hosts(seen: Watched, image: str, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "--make-private", str(folder)], check=True)
        subprocess.run(["mount", "--make-shared", str(folder)], check=True)
        options = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")
        # busybox knows no long option for umount; what is mounted is gone again before anybody can look.
        script = "mkdir /s/x /tmp/x; mount -t tmpfs x /tmp/x; mount -t tmpfs x /s/x; umount /s/x; umount /tmp/x"
        shell(image, script, *options, "--mount", f"type=bind,src={folder},dst=/s,bind-propagation=shared")
        assert seen.soon("mount-propagation", event="mount", succeeded=True)
        assert {one.fields["event.path"] for one in seen.of("mount-propagation")} == {"/s/x"}
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(folder)], check=True)
