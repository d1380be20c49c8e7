"""The parts of the running sensor: sinks as they are written, a full disk, metrics, the terminal, capabilities."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_made import STAMP, alert, alerts
from holdfast.app.watch_keeping import Keeping, parsed, told
from holdfast.app.watch_telling import Telling
from holdfast.app.watch_verdicts import Verdicts
from holdfast.model.alert import Origin, Priority, Verdict
from holdfast.model.errors import NotReachable, Usage
from holdfast.model.evidence import Kept
from holdfast.reports import alert_json, watch_metrics
from holdfast.reports._alert_crowd import SHOWN
from holdfast.reports.watch_metrics import Histogram, counter, gauge
from holdfast.reports.watch_terminal import View
from holdfast.sensor import health, privileges
from holdfast.sensor.judge import Judge, Node
from holdfast.sensor.policy import Action, Line, Policy, Selector, Whom
from holdfast.sensor.respond import Responder
from holdfast.techniques import load
from watch_made import container, opened, process

KEPT = Kept(STAMP, 1, alert_json.render(alert()))


# --- sinks ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "name", "begins"),
    [
        ("stdout", "stdout", b'{"stream"'),
        ("stdout?format=falco&name=x", "x", b'{"hostname"'),
        ("ndjson:/a/b.ndjson?largest=99&kept=2", "ndjson:/a/b.ndjson", b'{"stream"'),
        ("ndjson:f?format=ecs", "ndjson:f", b"{"),
        ("ndjson:f?format=leef", "ndjson:f", b"LEEF:2.0"),
        ("syslog+tcp://log.example:601", "syslog+tcp://log.example:601", b"<82>1 "),
        ("syslog+tls://log.example:6514?format=cef", "syslog+tls://log.example:6514", b"<82>1 "),
        ("syslog+udp://[::1]:514?facility=4", "syslog+udp://::1:514", b"<34>1 "),
        ("syslog+unix:/dev/log", "syslog+unix:///dev/log:0", b"<82>1 "),
        ("https://c.example/in?format=ocsf", "https://c.example/in", b"{"),
        ("http://127.0.0.1:9/x?body=array", "http://127.0.0.1:9/x", b'{"stream"'),
    ],
)
def test_a_sink_is_read_as_it_is_written(text, name, begins) -> None:
    sink, encode = parsed(text)
    if text.startswith("syslog+unix"):
        name = sink.name
    assert sink.name == name
    assert encode(KEPT).startswith(begins)


@pytest.mark.parametrize(
    "text",
    [
        "", "stdin", "ndjson:", "ndjson:f?format=xml", "ndjson:f?largest=-1", "ndjson:f?colour=red", "stdout?kept=1",
        "syslog+tls://", "syslog+tls://h:99999", "syslog+tls://u@h", "syslog+tls://h/path", "syslog+tcp://h?ca=x",
        "https://", "https://h?body=heap", "ftp://h", "stdout?format=json&format=cef", "syslog+tls://h?verify=perhaps",
    ],
)  # fmt: skip
def test_what_is_no_sink_is_refused(text) -> None:
    with pytest.raises(Usage):
        parsed(text)


def test_sinks_need_a_spool_and_names_of_their_own(tmp_path) -> None:
    with pytest.raises(Usage, match="there is none"):
        Keeping("", ("stdout",), print)
    with pytest.raises(Usage, match="given twice"):
        Keeping(str(tmp_path / "a.db"), ("stdout", "stdout?format=cef"), print)
    with pytest.raises(NotReachable):
        parsed("syslog+tls://h?ca=/nonexistent")


@pytest.mark.root
def test_a_full_disk_makes_alerts_wait_and_loses_none(tmp_path) -> None:
    disk, said = tmp_path / "disk", []
    disk.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", disk], check=True)
    try:
        keeping = Keeping(str(disk / "a.db"), (), said.append)
        keeping.keep([alert(0)])
        filler = (disk / "filler").open("wb", buffering=0)
        with pytest.raises(OSError, match="No space"):
            filler.writelines(b"x" * 4096 for _ in range(1024))
        big = [alert(number, output="x" * 20_000) for number in range(1, 9)]
        for one in big:
            keeping.keep([one])
        assert len(keeping.waiting) == 8
        assert len(said) == 1
        assert "wait in memory" in said[0]
        filler.close()
        (disk / "filler").unlink()
        keeping._again = 0
        keeping.keep([alert(99)])
        assert keeping.waiting == []
        assert said[1:] == ["the spool takes alerts again"]
        kept = [alert_json.read(one.body).id for one in keeping.spool.after(0, 99)]
        assert kept == [alert(number).id for number in (*range(9), 99)]
        keeping.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_waits_is_bounded_and_the_urgent_stays(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("holdfast.app.watch_keeping.WAITING", 3)
    keeping = Keeping(str(tmp_path / "a.db"), (), lambda _: None)
    keeping.spool.close()  # whatever is asked of it fails from now on
    ranks = [Priority.DEBUG, Priority.CRITICAL, Priority.NOTICE, Priority.DEBUG, Priority.CRITICAL]
    monkeypatch.setattr(keeping.spool, "append", _refused)
    for number, rank in enumerate(ranks):
        keeping.keep([alert(number, rank)])
    assert [one.priority for one in keeping.waiting] == [Priority.CRITICAL, Priority.NOTICE, Priority.CRITICAL]
    assert keeping.lost == 2


def _refused(_):
    raise NotReachable("the disk is full")


# --- verdicts ---------------------------------------------------------------------------------------------------------
def test_an_event_that_cannot_be_judged_ends_nothing_and_is_told_once_a_minute() -> None:
    class Broken:
        def judge(self, event):
            raise RecursionError(event.name)

    verdicts = Verdicts(Broken(), Node("n", "b"), Policy())
    web = process(inside=container())
    found = [one for ms in range(3) for one in verdicts.alerts(opened("/x", web, ms))]
    assert [one.rule for one in found] == ["event-not-judged"]
    assert verdicts.counts.failures == 3


def test_a_name_that_comes_late_is_in_the_alert() -> None:
    web = process(inside=container("", image="", state="pending"))

    def complete(event):
        event.process.container.name = "late"
        event.process.container.state = "complete"
        return True

    verdicts = Verdicts(Judge(load(), Node("n", "b")), Node("n", "b"), Policy(), complete=complete)
    found = verdicts.alerts(opened("/proc/sys/kernel/core_pattern", web, write=True))
    assert found
    assert {one.container["name"] for one in found} == {"late"}


# --- metrics ----------------------------------------------------------------------------------------------------------
def test_metrics_are_written_as_prometheus_reads_them() -> None:
    seen = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7):
        seen.observe(value)
    text = watch_metrics.render([
        counter("a_total", "All.\nOf it.", [({"rule": 'a"b\\c\nd'}, 3)]), gauge("b", "B.", [({}, 1.5)]),
        seen.metric("latency_seconds", "L."),
    ]).decode()  # fmt: skip
    assert text.splitlines() == [
        "# HELP holdfast_a_total All.\\nOf it.", "# TYPE holdfast_a_total counter",
        'holdfast_a_total{rule="a\\"b\\\\c\\nd"} 3', "# HELP holdfast_b B.", "# TYPE holdfast_b gauge",
        "holdfast_b 1.5", "# HELP holdfast_latency_seconds L.", "# TYPE holdfast_latency_seconds histogram",
        'holdfast_latency_seconds_bucket{le="0.1"} 2', 'holdfast_latency_seconds_bucket{le="1"} 3',
        'holdfast_latency_seconds_bucket{le="+Inf"} 4', "holdfast_latency_seconds_sum 7.65",
        "holdfast_latency_seconds_count 4",
    ]  # fmt: skip
    assert (seen.quantile(0.5), seen.quantile(1)) == (0.1, float("inf"))
    assert Histogram((1.0,)).quantile(0.5) == 0


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text(), max_size=2), st.floats(0, 1e9))
def test_no_label_forges_a_line(labels, value) -> None:
    lines = watch_metrics.render([gauge("x", "X.", [(labels, value)])]).decode().split("\n")
    assert len(lines) == 4


def test_metrics_are_served_to_this_machine_and_only_two_paths() -> None:
    served = health.Metrics("0", lambda: b"x 1\n")
    try:
        base = f"http://127.0.0.1:{served.port}"
        assert urllib.request.urlopen(f"{base}/metrics", timeout=5).read() == b"x 1\n"
        assert urllib.request.urlopen(f"{base}/healthz", timeout=5).read() == b"ok\n"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{base}/etc/passwd", timeout=5)
        refused.value.close()
        with pytest.raises(NotReachable):
            health.Metrics(f"127.0.0.1:{served.port}", bytes)
    finally:
        served.close()
    for wrong in ("", "x", "127.0.0.1:", "127.0.0.1:99999", ":-1"):
        with pytest.raises(Usage):
            health.Metrics(wrong, bytes)


def test_systemd_is_told_also_in_the_abstract_namespace(monkeypatch) -> None:
    name = f"\0holdfast-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        assert health.notify("READY=1", "STATUS=a\nMAINPID=1")
        assert told.recv(99) == b"READY=1\nSTATUS=a MAINPID=1"
    assert not health.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not health.notify("READY=1")


def test_a_health_file_is_whole_or_not_there(tmp_path) -> None:
    assert health.written(tmp_path / "h.json", {"a": "\udcff"})
    assert (tmp_path / "h.json").read_text() == '{\n "a": "\\udcff"\n}\n'
    assert not health.written(tmp_path / "none" / "h.json", {})
    assert [one.name for one in tmp_path.iterdir()] == ["h.json"]


# --- capabilities -----------------------------------------------------------------------------------------------------
@pytest.mark.root
def test_capabilities_are_given_back_for_good() -> None:
    code = (
        "from holdfast.sensor import privileges as p\n"
        "print(sorted(p.drop(['CAP_SYS_PTRACE', 'CAP_KILL'])))\n"
        "print(''.join(open('/proc/self/status')))\n"
        "import os; os.execv('/bin/cat', ['cat', '/proc/self/status'])\n"
    )
    words = [sys.executable, "-c", code]
    folder = str(Path(privileges.__file__).parents[2])
    env = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    out = subprocess.run(words, capture_output=True, text=True, check=True, env=env).stdout
    assert out.startswith("[5, 19]\n")
    found = [int(line.split()[1], 16) for line in out.splitlines() if line.startswith(("CapPrm", "CapEff"))]
    assert found == [1 << 5 | 1 << 19] * 4, "also after exec"
    assert out.count("NoNewPrivs:\t1") == 2


def test_older_kernels_need_one_right_more() -> None:
    assert "CAP_BPF" in privileges.needed(responds=False, release="5.15.0-91-generic")
    assert "CAP_BPF" not in privileges.needed(responds=False, release="6.1.0-37-amd64")
    assert privileges.needed(responds=False, release="6.1") < privileges.needed(responds=True, release="6.1")


# --- the terminal -----------------------------------------------------------------------------------------------------
def shown(view, *groups):
    return b"".join(view.render(group) for group in groups).decode()


def test_an_incident_is_a_block_with_a_line_for_each_event() -> None:
    plain = alert(incident="a1b2c3d4e5f6", succeeded=True, error="", verdict=Verdict.ALERTED, event="openat",
                  fields={"event.path": "/proc/sys/kernel/core_pattern"})  # fmt: skip
    second = replace(plain, rule="host-proc-core-pattern", priority=Priority.WARNING)
    later = replace(plain, boot_ns=plain.boot_ns + 2_500_000, succeeded=False, error="EROFS", verdict=Verdict.KILLED)
    end = replace(plain, rule="incident", origin=Origin.SENSOR, output="Attempt in web succeeded", event="")
    lines = shown(View(), [plain, second], [later], [end]).splitlines()
    assert lines[0].startswith("incident a1b2c3d4 in web (shop/web:1)  ")
    assert lines[1] == "  sh(4242) <- tini(4200)"
    assert lines[2].split() == [
        "+0.0", "ms", "Critical", "sh(4242)", "openat", "/proc/sys/kernel/core_pattern", "ok", "core-pattern,",
        "host-proc-core-pattern",
    ]  # fmt: skip
    assert lines[3].split()[:3] == ["+2.5", "ms", "Critical"]
    assert "refused: EROFS killed" in lines[3]
    assert lines[4] == "incident a1b2c3d4: Attempt in web succeeded"


def test_incidents_that_alternate_say_which_goes_on() -> None:
    one, two = alert(incident="1" * 16), alert(incident="2" * 16)
    text = shown(View(), [one], [two], [one])
    assert text.count("incident 11111111") == 2
    assert "incident 11111111 goes on in web" in text


def test_a_flood_is_a_few_lines_and_a_number_and_what_differs_is_shown() -> None:
    def many(number, **parts):
        return alert(boot_ns=5_000_000_000 + number, incident="1" * 16, succeeded=False, error="EPERM", **parts)

    view = View()
    flood = shown(view, *([many(number)] for number in range(1000)))
    assert flood.count("refused: EPERM") == SHOWN
    through = replace(many(1001), succeeded=True, error="")
    assert "ok" in shown(view, [through]), "one that went through is not lost among those that failed"
    elsewhere = replace(many(1002), container={"id": "2" * 64, "name": "other"})
    assert "refused: EPERM" in shown(view, [elsewhere])
    next_second = shown(view, [replace(many(0), boot_ns=6_000_000_000)])
    assert f"{1000 - SHOWN} more in that second: " in next_second
    assert next_second.count("more in that second") == 1
    assert "refused: EPERM" in next_second
    assert "more in that second" not in shown(view, [replace(many(0), boot_ns=9_000_000_000)])


@given(st.lists(alerts, min_size=1, max_size=4), st.booleans(), st.booleans(), st.sampled_from([0, 60]))
def test_no_alert_forges_lines_or_controls(made, colour, verbose, width) -> None:
    view = View(colour=False, verbose=verbose, width=width)
    text = shown(view, made)
    assert all(char == "\n" or char.isprintable() or char in "\u00a0\u3000" for char in text)
    View(colour=colour, verbose=verbose, width=width).render(made)


# --- telling ----------------------------------------------------------------------------------------------------------
def test_a_reader_that_hangs_holds_nobody_up_and_what_it_missed_is_said(monkeypatch) -> None:
    monkeypatch.setattr("holdfast.app.watch_telling._LAST_S", 0.1)
    monkeypatch.setattr("holdfast.app.watch_telling.WAITING", 3)
    go, said = threading.Event(), []
    telling = Telling(lambda _: go.wait(20), said.append)
    for number in range(10):
        telling([alert(number)])
    telling.close()
    go.set()
    assert telling.count == 10
    assert telling.missed >= 6
    assert said == [f"{telling.missed} alerts were not shown: nobody read fast enough"]


def test_what_is_told_is_shown_in_order_until_nobody_is_there() -> None:
    shown_ones, said = [], []

    def show(group):
        if len(shown_ones) == 3:
            raise BrokenPipeError
        shown_ones.append(group[0].id)

    telling = Telling(show, said.append)
    for number in range(5):
        telling([alert(number)])
    telling.close()
    assert shown_ones == [alert(number).id for number in range(3)]
    assert telling.gone
    assert said == []


# --- what a policy does with alerts -----------------------------------------------------------------------------------
def doing(tmp_path, action, **parts):
    line = Line(Selector(Whom.CONTAINERS), frozenset({"core-pattern"}), action, enforced=True, line=3, **parts)
    policy = Policy((line,), per_minute=0)
    return Verdicts(
        Judge(load(), Node("n", "b")), Node("n", "b"), policy, responder=Responder(policy.per_minute, tmp_path)
    )


def core(ms=0.0):
    return opened("/proc/sys/kernel/core_pattern", process(inside=container()), ms, write=True, result=-1)


def only(found, rule="core-pattern"):
    (one,) = [each for each in found if each.rule == rule]
    return one


def test_a_denial_is_told_as_one_and_a_call_that_was_not_denied_says_why(tmp_path) -> None:
    verdicts = doing(tmp_path, Action.DENY)
    one = only(verdicts.alerts(core()))
    assert (one.verdict, one.fields["policy.would"]) == (
        Verdict.ALERTED, "not denied: the back end in force cannot deny"
    )  # fmt: skip
    verdicts._later = lambda rule: f"later {rule}"
    assert only(verdicts.alerts(core())).fields["policy.would"] == "later core-pattern"
    verdicts._marked = lambda _, alerts: [replace(each, verdict=Verdict.DENIED) for each in alerts]
    one = only(verdicts.alerts(core()))
    assert one.verdict is Verdict.DENIED
    assert (one.fields["policy.action"], one.fields["policy.line"]) == ("deny", 3)
    assert one.reasons[-1] == "policy line 3 says deny: done"


def test_too_many_responses_are_a_loud_alert_once_a_minute(tmp_path) -> None:
    verdicts = doing(tmp_path, Action.KILL)
    found = [each for ms in (0, 10, 20) for each in verdicts.alerts(core(ms))]
    assert only(found, "responses-exhausted").priority is Priority.EMERGENCY
    told = [each for each in found if each.rule == "core-pattern"]
    assert len(told) == 3
    assert {each.verdict for each in told} == {Verdict.ALERTED}
    assert {each.fields["policy.would"] for each in told} == {"not killed: too many responses in this minute"}
    assert verdicts.counts.refused == 3
    assert any(each.rule == "responses-exhausted" for each in verdicts.alerts(core(61_000)))


def test_what_only_observes_is_not_shown_and_what_is_ignored_is_gone(tmp_path) -> None:
    observed = only(doing(tmp_path, Action.OBSERVE).alerts(core()))
    assert observed.verdict is Verdict.OBSERVED
    assert not told(observed)
    ignoring = doing(tmp_path, Action.IGNORE)
    assert "core-pattern" not in {each.rule for each in ignoring.alerts(core())}
    assert ignoring.counts.ignored == 1


def test_a_process_that_the_kernel_did_not_mark_is_never_touched(tmp_path) -> None:
    verdicts = doing(tmp_path, Action.KILL)
    event = core()
    event.contained = False
    found = [each for each in verdicts.alerts(event) if each.rule == "core-pattern"]
    assert {each.fields["policy.would"] for each in found} <= {
        "not killed: the process is not known to run in a container"
    }  # fmt: skip
