"""The sensor on this machine, as a person starts it: real containers, real signals, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli_program import environment, holdfast
from collect_box import IMAGE, PREFIX, docker, image
from holdfast.reports import alert_json
from holdfast.store.spool import Spool

pytestmark = [pytest.mark.root, pytest.mark.engine, pytest.mark.usefixtures("box")]
ATTEMPT = "mount -t proc proc /tmp; echo x > /proc/sys/kernel/core_pattern; sleep 0.2"
"""Both are refused to a plain container."""
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[1] / "schema" / "alert-1.json").read_text()))


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with image(tmp_path_factory.mktemp("image")) as made:
        yield made


class Running:
    """The program, watching."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = process

    def alerts(self, name=""):
        lines = (self.folder / "out").read_bytes().split(b"\n")[:-1]
        found = [alert_json.read(line) for line in lines]
        return [one for one in found if one.container.get("name", "").endswith(name)] if name else found

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def watching(folder: Path, *words: str, **env: str):
    """Start the program, and wait until it sees."""
    told = folder / "err"
    command = [sys.executable, "-m", "holdfast", "watch", "--format", "json", *words]
    with (folder / "out").open("ab") as out, told.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(**env), cwd=folder)
    try:
        wait_for(lambda: b"watching" in told.read_bytes() or process.poll() is not None, 60)
        assert process.poll() is None, told.read_text()
        yield Running(folder, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def attempted(name, *words, script=ATTEMPT):
    docker("run", "--rm", "--name", f"{PREFIX}-{name}", *words, IMAGE, "/bin/sh", "-c", script, check=False)


def wait_for(condition, seconds=20.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


def plain(alerts):
    records = [json.loads(alert_json.render(one)) for one in alerts]
    for one in records:
        SCHEMA.validate(one)
        del one["seen_ns"]
    return records


def test_what_is_told_is_kept_delivered_and_judged_again_the_same(tmp_path) -> None:
    tmp_path.chmod(0o700)
    words = ("--spool", "alerts.db", "--record", "events", "--heartbeat", "1")
    sinks = ("--sink", "ndjson:all.ndjson", "--sink", "ndjson:falco.ndjson?format=falco")
    with watching(tmp_path, *words, *sinks) as watch:
        attempted("a")
        wait_for(lambda: any(one.rule == "proc-remount" for one in watch.alerts("-a")))
        time.sleep(1.2)
        assert watch.stop() == 0
    told = watch.alerts("-a")
    assert {"proc-remount", "core-pattern", "incident"} <= {one.rule for one in told}
    assert {one.container["image"] for one in told} == {IMAGE}
    assert len({one.incident for one in told}) == 1
    assert {one.error for one in told if one.rule == "proc-remount"} == {"EPERM"}
    with Spool.open(tmp_path / "alerts.db", writing=False) as spool:
        kept = [alert_json.read(one.body) for one in spool.after(0, 100_000)]
        assert spool.verify().broken is None
    beats = [one for one in kept if one.rule == "heartbeat"]
    assert beats
    assert "trouble" in beats[0].fields
    every = plain(watch.alerts())
    assert plain(one for one in kept if one.rule != "heartbeat") == every
    delivered = [alert_json.read(line) for line in (tmp_path / "all.ndjson").read_bytes().splitlines()]
    assert delivered == kept
    assert len((tmp_path / "falco.ndjson").read_bytes().splitlines()) == len(kept)
    again = holdfast("watch", "--replay", "events", "--format", "json", "-q", folder=tmp_path)
    assert again.code == 0, again.err
    assert plain(alert_json.read(line.encode()) for line in again.out.splitlines()) == every


def test_a_policy_kills_pauses_and_cuts_off_until_it_is_released(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    rule = "- {{containers: {{name: '*-{0}'}}, techniques: [proc-remount], action: {0}, {1}}}\n"
    policy.write_text(
        "version: 1\nmode: enforce\nrules:\n" + rule.format("kill", "scope: container")
        + rule.format("pause", "mode: enforce") + rule.format("quarantine", "mode: enforce")
        # The mount that acts lives for a millisecond: its container is what can still be killed.
        + rule.format("deny", "otherwise: kill, scope: container")
    )  # fmt: skip
    names = ("kill", "pause", "quarantine", "deny", "free")
    try:
        with watching(tmp_path, "--policy", str(policy)) as watch:
            for name in names:
                script = f"sleep 1; {ATTEMPT}; sleep 300"
                docker("run", "-d", "--name", f"{PREFIX}-{name}", IMAGE, "/bin/sh", "-c", script)
            wait_for(lambda: all(any(one.rule == "proc-remount" for one in watch.alerts(f"-{name}")) for name in names))
            verdicts = {
                name: next(one.verdict.value for one in watch.alerts(f"-{name}") if one.rule == "proc-remount")
                for name in names
            }
            assert verdicts == {
                "kill": "killed", "pause": "paused", "quarantine": "quarantined", "deny": "killed", "free": "alerted"
            }  # fmt: skip

            def state(name):
                return docker("inspect", "-f", "{{.State.Status}}", f"{PREFIX}-{name}")

            wait_for(lambda: state("kill") == "exited")
            assert (state("pause"), state("free")) == ("paused", "running")
            for name in ("pause", "quarantine"):
                released = holdfast("watch", "--release", f"{PREFIX}-{name}", folder=tmp_path)
                assert released.code == 0, released.err
            assert state("pause") == "running"
            assert watch.stop() == 0
    finally:
        docker("rm", "-f", *(f"{PREFIX}-{name}" for name in names), check=False)


def test_audit_only_says_it(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nrules:\n- {containers: containers, techniques: ['*'], action: kill}\n")
    with watching(tmp_path, "--policy", str(policy)) as watch:
        attempted("audit", script=f"{ATTEMPT}; sleep 1; mount -t proc proc /proc/self/fd")
        wait_for(lambda: len([one for one in watch.alerts("-audit") if one.rule == "proc-remount"]) >= 2)
        assert watch.stop() == 0
    told = [one for one in watch.alerts("-audit") if one.rule == "proc-remount"]
    assert {one.verdict.value for one in told} == {"alerted"}
    assert {one.fields["policy.would"] for one in told} == {"would have been killed"}


def test_an_exception_for_a_program_of_the_image_is_none_for_what_was_put_in_its_place(tmp_path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nrules:\n  - containers: containers\n    techniques: [proc-remount]\n    action: alert\n"
        "    except:\n      - {executable: /bin/busybox}\n", encoding="ascii"
    )  # fmt: skip
    written = "/bin/busybox cp /bin/busybox /tmp/b; /bin/busybox mv /tmp/b /bin/busybox; "
    with watching(tmp_path, "--policy", "policy.yaml", "--record", "events") as watch:
        attempted("a")
        attempted("b", script=written + ATTEMPT)
        wait_for(lambda: any(one.rule == "proc-remount" for one in watch.alerts("-b")))
        assert watch.stop() == 0
    done = holdfast("watch", "--replay", "events", "--policy", "policy.yaml", "--format", "json", "-q", folder=tmp_path)
    again = [alert_json.read(one) for one in done.out.encode().splitlines()]
    for told in (watch.alerts(), again):
        assert {one.container["name"][-1] for one in told if one.rule == "proc-remount"} == {"b"}


def test_after_kill_9_nothing_that_was_accepted_is_lost_and_the_numbers_go_on(tmp_path) -> None:
    tmp_path.chmod(0o700)
    with watching(tmp_path, "--spool", "alerts.db") as watch:
        attempted("one")
        wait_for(lambda: any(one.rule == "core-pattern" for one in watch.alerts("-one")))
        watch.process.kill()
        watch.process.wait()
    told = {one.id for one in watch.alerts()}
    with watching(tmp_path, "--spool", "alerts.db") as watch:
        attempted("two")
        wait_for(lambda: any(one.rule == "core-pattern" for one in watch.alerts("-two")))
        assert watch.stop(signal.SIGINT) == 0
    with Spool.open(tmp_path / "alerts.db", writing=False) as spool:
        kept = spool.after(0, 100_000)
        assert spool.verify().broken is None
    assert [one.stamp.sequence for one in kept] == list(range(1, len(kept) + 1))
    assert told <= {alert_json.read(one.body).id for one in kept}


def test_it_keeps_few_capabilities_tells_systemd_and_serves_metrics(tmp_path) -> None:
    tmp_path.chmod(0o700)
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(address)
        notified.settimeout(20)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ("--metrics", f"127.0.0.1:{port}", "--health", "health.json", "--spool", "alerts.db")
        with watching(tmp_path, *options, NOTIFY_SOCKET=address, WATCHDOG_USEC="60000000") as watch:
            assert notified.recv(999).startswith(b"READY=1")
            assert notified.recv(999) == b"WATCHDOG=1"
            pid = watch.process.pid
            wanted = (1 << 2) | (1 << 19)
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are what is wanted
                told = Path(f"/proc/{pid}/task/{thread}/status").read_text()
                (held,) = [int(line.split()[1], 16) for line in told.splitlines() if line.startswith("CapPrm")]
                assert held & ~wanted & ~(1 << 39) == 0, thread
            attempted("metrics")
            wait_for(lambda: any(one.rule == "core-pattern" for one in watch.alerts("-metrics")))
            time.sleep(1.5)
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            assert 'holdfast_alerts_total{rule="core-pattern"} ' in text
            assert 'holdfast_records_lost_total{ring="critical"} 0' in text
            assert json.loads((tmp_path / "health.json").read_text())["alerts"] >= 3
            assert watch.stop() == 0
        rest = b""
        while b"STOPPING=1" not in rest:
            rest = notified.recv(999)
    assert json.loads((tmp_path / "health.json").read_text())["state"] == "stopped"


def test_sighup_reads_the_policy_again_and_keeps_the_old_one_where_the_new_is_wrong(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\ndefault: ignore\n")
    with watching(tmp_path, "--policy", str(policy)) as watch:
        attempted("quiet")
        policy.write_text("version: 7\n")
        watch.process.send_signal(signal.SIGHUP)
        wait_for(lambda: b"stays as it was" in (tmp_path / "err").read_bytes())
        assert watch.alerts("-quiet") == []
        policy.write_text("version: 1\n")
        watch.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        attempted("loud")
        wait_for(lambda: any(one.rule == "core-pattern" for one in watch.alerts("-loud")))
        assert watch.stop() == 0
    assert [one for one in watch.alerts("-quiet") if one.rule != "incident"] == []


def test_a_setting_is_denied_by_a_control_group_where_the_kernel_allows_no_better(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nmode: enforce\nrules:\n"
        "- {containers: {name: '*-shut'}, techniques: ['*core-pattern'], action: deny}\n"
    )
    # What stands there is written back, so that an attempt that gets through changes nothing.
    script = 'sleep 2; read x < {0}; echo "$x" > {0} && echo written'.format("/proc/sys/kernel/core_pattern")
    with watching(tmp_path, "--policy", str(policy)) as watch:
        said = {}
        for name in ("shut", "open"):
            said[name] = docker(
                "run", "--rm", "--name", f"{PREFIX}-{name}", "--security-opt", "systempaths=unconfined", IMAGE,
                "/bin/sh", "-c", script, check=False,
            )  # fmt: skip
        assert said == {"shut": "", "open": "written"}
        wait_for(lambda: any(one.verdict.value == "denied" for one in watch.alerts("-shut")))
        assert watch.stop() == 0
    denied = [one for one in watch.alerts() if one.verdict.value == "denied"]
    assert {one.container["name"] for one in denied} == {f"{PREFIX}-shut"}
    assert {one.error for one in denied if one.rule != "incident"} == {"EPERM"}
    assert {one.verdict.value for one in watch.alerts("-open") if one.rule != "incident"} == {"alerted"}


@contextmanager
def mounts_of_its_own():
    """Hold a mount namespace with a BPF file system; what is pinned there goes with it."""
    command = ["unshare", "--mount", "sh", "-c", "mount -t bpf bpf /sys/fs/bpf && echo ready && exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "ready\n"
            yield holder.pid
        finally:
            holder.kill()


def test_what_is_pinned_is_denied_after_kill_9_until_it_is_let_go(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nmode: enforce\nrules:\n- {containers: containers, techniques: ['*core-pattern'], action: deny}\n"
    )
    # What stands there is written back, so that an attempt that gets through changes nothing.
    script = 'read x < {0}; echo "$x" > {0} && echo written'.format("/proc/sys/kernel/core_pattern")

    def attempt():
        options = ("--security-opt", "systempaths=unconfined", "--network=none")
        return docker("run", "--rm", *options, IMAGE, "/bin/sh", "-c", script, check=False)

    with mounts_of_its_own() as holder:

        def inside(*words):
            return [
                "nsenter",
                "-t",
                str(holder),
                "-m",
                "--wd=" + str(tmp_path),
                sys.executable,
                "-m",
                "holdfast",
                *words,
            ]

        told = tmp_path / "err"
        with told.open("wb") as err:
            command = inside("watch", "--policy", str(policy), "--pin", "--format", "json")
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err, env=environment())
        try:
            wait_for(lambda: b"watching" in told.read_bytes() or process.poll() is not None, 60)
            assert process.poll() is None, told.read_text()
            assert attempt() == ""
        finally:
            process.kill()
            process.wait()
        assert attempt() == "", "nobody watches, and it is denied still"
        checked = subprocess.run(
            inside("watch", "--check"), capture_output=True, text=True, env=environment(), check=True
        )
        assert "programs deny, whether or not a sensor runs" in checked.stdout
        let_go = subprocess.run(
            inside("watch", "--unpin"), capture_output=True, text=True, env=environment(), check=True
        )
        assert int(let_go.stdout.split()[0]) >= 4
        assert attempt() == "written"


def test_what_cannot_be_pinned_is_said(tmp_path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nmode: enforce\nrules:\n- {containers: containers, techniques: [core-pattern], action: deny}\n"
    )
    words = ("watch", "--policy", str(policy), "--pin", "--seconds", "1")
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs t /sys/fs/bpf && exec "$@"',
        "sh",
        sys.executable,
        "-m",
    ]
    done = subprocess.run(
        [*command, "holdfast", *words], capture_output=True, text=True, env=environment(), cwd=tmp_path, check=False
    )
    assert done.returncode > 9
    assert "cannot be pinned" in done.stderr
    assert "mount -t bpf" in done.stderr
    assert "Traceback" not in done.stderr


def test_alerts_bear_the_name_that_a_machine_was_given(tmp_path) -> None:
    tmp_path.chmod(0o700)
    with watching(tmp_path, "--node", "node-7", "--spool", "alerts.db", "--heartbeat", "1") as watch:
        attempted("named")
        wait_for(lambda: watch.alerts("-named"))
        assert watch.stop() == 0
    assert {one.node for one in watch.alerts()} == {"node-7"}
    with Spool.open(tmp_path / "alerts.db", writing=False) as spool:
        assert {alert_json.read(one.body).node for one in spool.after(0, 1000)} == {"node-7"}
