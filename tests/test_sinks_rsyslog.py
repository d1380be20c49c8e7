"""Alerts over TLS into a real rsyslog: each is one record, whatever it holds."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from alerts_made import PLAIN
from holdfast.model.evidence import Stamp
from holdfast.reports import alert_json, alert_syslog
from holdfast.sensor.sinks.syslog import Syslog
from holdfast.sensor.sinks.wire import Tls
from receivers import certificates, wait_for

PROGRAM = shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MODULES = Path(os.environ.get("RSYSLOG_MODDIR", "/usr/lib/x86_64-linux-gnu/rsyslog"))
pytestmark = pytest.mark.skipif(
    PROGRAM is None or not (MODULES / "lmnsd_gtls.so").exists(), reason="rsyslog-gnutls is not installed"
)
SETTINGS = """\
global(workDirectory="{folder}" maxMessageSize="512k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{papers}/ca.pem" defaultNetstreamDriverCertFile="{papers}/server.pem"
  defaultNetstreamDriverKeyFile="{papers}/server.key")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.Authmode="anon")
template(name="parts" type="string" string="%pri%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\\n")
ruleset(name="all") {{ action(type="omfile" file="{folder}/out" template="parts") }}
input(type="imtcp" port="{port}" ruleset="all")
"""


@contextmanager
def rsyslog(folder: Path, papers: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "conf").write_text(SETTINGS.format(folder=folder, papers=papers, port=port))
    assert PROGRAM is not None
    with (folder / "said").open("wb") as said, subprocess.Popen(
        [PROGRAM, "-n", "-f", str(folder / "conf"), "-i", str(folder / "pid")], stdout=said, stderr=said
    ) as running:  # fmt: skip
        try:
            wait_for(lambda: running.poll() is not None or answers(port))
            assert running.poll() is None, (folder / "said").read_text()
            yield port
        finally:
            running.terminate()


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def test_every_alert_is_one_record_of_a_real_server(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    papers.mkdir()
    papers = certificates(papers)
    told = (
        "plain",
        "two\nlines <34>1 forged",
        "12 <34>1 counted",
        "\x1b[31mred",
        "snow \u2603 byte \udcff",
        "x" * 60_000,
    )
    alerts = [replace(PLAIN, output=text, rule=f"rule-{number}") for number, text in enumerate(told)]
    records = [
        alert_syslog.render(one, Stamp("a" * 32, number, "b" * 64), alert_json.render(one))
        for number, one in enumerate(alerts, 1)
    ]
    with rsyslog(tmp_path, papers) as port:
        sink = Syslog("s", "localhost", port=port, tls=Tls(authorities=papers / "ca.pem"))
        sink.send(records)
        sink.close()
        out = tmp_path / "out"
        wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") == len(records))
    lines = [line.split(b"|", 5) for line in out.read_bytes().splitlines()]
    assert [line[3] for line in lines] == [one.rule.encode() for one in alerts]
    for number, (line, one) in enumerate(zip(lines, alerts, strict=True), 1):
        assert int(line[0]) == alert_syslog.AUTHPRIV * 8 + one.priority.value
        assert (line[1], line[2]) == (one.node.encode(), b"holdfast")
        assert f'sequence="{number}"'.encode() in line[4]
        assert alert_json.read(line[5].strip()).output == alert_json.read(alert_json.render(one)).output
