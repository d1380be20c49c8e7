"""``holdfast watch`` in the virtual machine: a policy denies by LSM, alerts say so, and other containers are free."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from holdfast.drill.machine import boot, build
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.machine.payload import payload
from holdfast.sensor import bpf_build, bpf_file

pytestmark = pytest.mark.vm

LIMIT_S = 280
POLICY = """\
version: 1
mode: enforce
rules:
  - {containers: {name: shut}, techniques: ["*"], action: deny}
"""
RUN = """
export PYTHONPATH=/payload/python PYTHONDONTWRITEBYTECODE=1
mkdir -m 700 /kept
python3 -m holdfast watch --check > out/check 2>&1
python3 -m holdfast watch --policy policy.yaml --spool /kept/a.db --format json > out/alerts 2> out/err &
sensor=$!
for i in $(seq 300); do grep -q watching out/err || ! kill -0 $sensor 2> /dev/null && break; sleep 0.3; done
for name in shut open; do
    timeout 90 docker run --rm --network none --privileged --name $name holdfast-drill \
        /bin/busybox sh -c 'sleep 5; mkdir -p /p; mount -t proc proc /p; echo mount $?; echo core > \
        /proc/sys/kernel/core_pattern; echo core $?; mknod /d b 7 0; echo mknod $?; echo hello' \
        > out/$name 2> out/errors
done
sleep 2
kill -TERM $sensor
wait $sensor
echo $? > out/ended
"""


@pytest.mark.parametrize("name", ["plain", "new-kernel-plain"])
def test_a_policy_denies_to_the_container_that_it_names(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    programs = payload(folder)
    for program in bpf_build.programs():
        (programs / f"holdfast/sensor/bpf/{program}-x86_64.o").write_bytes(bpf_file.image(program))
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "run.sh").write_text(RUN)
    flavour = dataclasses.replace(FLAVOURS[name], security_modules=("landlock", "yama", "bpf"))
    got = boot.run(
        build.disk(print), flavour, folder, ["sh", "run.sh"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=print
    )
    words = {path.name: path.read_text() for path in got.out.iterdir() if path.is_file()}
    assert words["check"].startswith("back end: lsm\n"), words["check"]
    assert words["ended"] == "0\n", words["err"]
    assert {"mount 1", "core 1", "mknod 1", "hello"} <= set(words["shut"].splitlines()), words["shut"]
    assert {"mount 0", "core 0", "mknod 0", "hello"} <= set(words["open"].splitlines()), words["open"]
    alerts = [json.loads(line) for line in words["alerts"].splitlines()]
    told = {
        box: {(one["event"], one["verdict"]) for one in alerts if one["container"].get("name") == box}
        for box in ("shut", "open")
    }
    assert {("mount", "denied"), ("openat", "denied")} <= told["shut"] or ("open", "denied") in told["shut"], told
    assert "denied" not in {verdict for _, verdict in told["open"]}, told
    assert {one["backend"] for one in alerts if one["verdict"] == "denied" and one["rule"] != "incident"} == {"lsm"}
    assert ("mount", "alerted") in told["open"]
