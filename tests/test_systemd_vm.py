"""A server as systemd runs it: the sensor as a unit of it, and the ways out of a container that lead through it."""

from __future__ import annotations

import configparser
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from holdfast.drill.machine import boot, build
from holdfast.drill.machine.flavours import FLAVOURS
from holdfast.drill.machine.payload import payload
from holdfast.drill.probe_file import probe
from holdfast.model.drill import Outcome
from holdfast.model.truth import NO, YES
from holdfast.reason.effective.capabilities import NAMES
from holdfast.reports import drill_json
from holdfast.sensor import bpf_build, bpf_file

pytestmark = pytest.mark.vm

DEPLOY = Path(__file__).parent.parent / "deploy"
LIMIT_S = 290
COMPOSE = """\
services:
  open:
    image: none
    network_mode: none
    volumes: ["/run/dbus/system_bus_socket:/bus", "/etc/systemd/system:/units"]
"""
PROGRAM = """\
#!/bin/sh
exec env PYTHONPATH=/payload/python PYTHONDONTWRITEBYTECODE=1 python3 -m holdfast "$@"
"""
RUN = """
unit=holdfast-watch
value() { systemctl show -p "$1" --value $unit; }
now() { cut -d ' ' -f 1 /proc/uptime; }
install -m 755 holdfast /usr/bin/holdfast
install -D -m 600 policy.yaml /etc/holdfast/policy.yaml
install -m 644 $unit.service /etc/systemd/system/
systemctl daemon-reload
systemd-analyze verify /etc/systemd/system/$unit.service > out/understood 2>&1
systemctl start $unit; echo $? > out/started
value StatusText > out/status
first=$(value MainPID)
cat /proc/$first/status > out/process
holdfast drill --yes --no-explain --technique systemd-bus --technique systemd-units-write --format json \
    --output out/drill.json compose.yaml
kill -9 $first
for i in $(seq 200); do
    [ "$(value MainPID)" != $first ] && [ "$(value ActiveState)" = active ] && break
    sleep 0.5
done
value NRestarts > out/restarts
timeout 60 docker run --rm --network none --privileged --name after holdfast-drill /bin/busybox mknod /d b 7 0
for i in $(seq 10); do
    sleep 1
    holdfast alerts list /var/lib/holdfast/alerts.db --format json > out/alerts
    grep -q mknod out/alerts && break
done
holdfast alerts verify /var/lib/holdfast/alerts.db > out/verified
now > out/before
systemctl stop $unit; echo $? > out/stopped
now > out/after
value Result > out/result
systemctl list-units --all --plain --no-legend 'holdfast-[0-9a-f]*.service' > out/left
journalctl --no-pager -u $unit > out/journal
"""


def test_the_sensor_is_a_unit_and_sees_orders_to_systemd(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    programs = payload(folder) / "holdfast"
    for program in bpf_build.programs():
        (programs / f"sensor/bpf/{program}-x86_64.o").write_bytes(bpf_file.image(program))
    packed = programs / "drill/probe/probe-x86_64"
    packed.write_bytes(probe("x86_64").read_bytes())
    packed.chmod(0o755)
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.add(shutil.which("busybox") or "/bin/busybox", "bin/busybox")
    for name, text in {"run.sh": RUN, "compose.yaml": COMPOSE, "holdfast": PROGRAM}.items():
        (folder / name).write_text(text)
    for name in ("holdfast-watch.service", "policy.yaml"):
        shutil.copy(DEPLOY / name, folder / name)
    flavour = FLAVOURS["systemd"]
    got = boot.run(
        build.disk(print), flavour, folder, ["sh", "run.sh"], into=tmp_path / "out", timeout_s=LIMIT_S, progress=print
    )
    words = {path.name: path.read_text().strip() for path in got.out.iterdir() if path.is_file()}
    assert (words["started"], words["status"]) == ("0", "watching"), words["journal"]
    assert words["understood"] == "", "systemd knows every setting of the unit"
    _held(words["process"])
    _escapes(got.out / "drill.json")
    assert words["left"] == "", "a unit that was started is gone"
    assert words["restarts"] == "1", words["journal"]
    assert words["verified"].startswith("the chain holds"), words["verified"]
    alerts = [json.loads(line) for line in words["alerts"].splitlines()]
    assert [one["sequence"] for one in alerts] == list(range(1, len(alerts) + 1))
    told = {one["rule"] for one in alerts}
    assert {"systemd-bus", "systemd-units-write", "mknod-assist"} <= told
    assert (words["stopped"], words["result"]) == ("0", "success"), words["journal"]
    assert float(words["after"]) - float(words["before"]) < 5


def _held(process: str) -> None:
    """The sensor keeps what it needs of what the unit may give it."""
    status = dict(line.split(":\t", 1) for line in process.splitlines())
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "holdfast-watch.service")
    given = set(unit["Service"]["CapabilityBoundingSet"].split())
    sets = {
        name: {each for number, each in enumerate(NAMES) if int(status[name], 16) >> number & 1}
        for name in ("CapBnd", "CapEff", "CapInh", "CapAmb")
    }
    assert sets["CapBnd"] == given
    assert sets["CapEff"] == {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}
    assert (sets["CapInh"], sets["CapAmb"]) == (set(), set())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def _escapes(path: Path) -> None:
    report = drill_json.read(path.read_bytes())
    assert (report.stopped, report.changed, report.left) == ("", (), ())
    done = {
        (exercise.name.rpartition("/")[2], attempt.technique): (attempt.predicted, attempt.outcome, attempt.way)
        for exercise in report.exercises
        for attempt in exercise.attempts
    }
    # AppArmor confines the container, and this kernel's AppArmor has no rules that a bus could ask.
    assert done["open", "systemd-bus"] == (
        YES,
        Outcome.ESCAPED,
        "have the systemd behind /run/dbus/system_bus_socket start a unit with a canary folder",
    )
    assert done["open", "systemd-units-write"][:2] == (YES, Outcome.ESCAPED)
    controls = [attempt for control in report.controls for attempt in control.attempts]
    assert {(attempt.predicted, attempt.outcome) for attempt in controls} == {(NO, Outcome.BLOCKED)}
