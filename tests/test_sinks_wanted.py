import json
import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts_made import alert
from holdfast.app.alerts import FORMATS
from holdfast.app.sinks import encode, forwarding, read, sink
from holdfast.model.errors import Error, Usage
from holdfast.store.spool import Spool
from receivers import certificates, frames, server_context, wait_for, web


@pytest.fixture
def spool(tmp_path):
    tmp_path.chmod(0o700)
    with Spool.open(tmp_path / "spool.db") as spool:
        yield spool


def test_every_kind_of_receiver_gets_every_alert_in_its_format(spool, tmp_path):
    papers = certificates(tmp_path)
    with (
        web() as (address, requests),
        frames(context=server_context(papers)) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log,
    ):
        log.bind(str(tmp_path / "log"))
        log.settimeout(20)
        wanted = [
            read(f"falco:{address},body=single"),
            read(f"cef:syslog+tls://localhost:{server.port},ca={papers / 'ca.pem'}"),
            read(f"json:{tmp_path / 'out'},sync=no"),
            read(f"leef:syslog+unix://{tmp_path / 'log'}"),
        ]
        spool.append([alert(1)])
        with forwarding(spool, wanted) as forwarders:
            wait_for(lambda: not any(each.counters()["lag"] for each in forwarders))
            spool.append([alert(2)])
            wait_for(lambda: not any(each.counters()["lag"] for each in forwarders))
            wait_for(lambda: len(server.messages) == 2)
        assert [json.loads(body)["priority"] for _, _, body in requests] == ["Critical"] * 2
        assert all(b"] CEF:0|" in message for message in server.messages)
        assert [json.loads(line)["sequence"] for line in (tmp_path / "out").read_text().splitlines()] == [1, 2]
        assert b"] LEEF:2.0|" in log.recv(65536)
    assert set(spool.cursors.all()) == {one.name for one in wanted}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "json",
        "json:",
        "xml:/tmp/x",
        "json:gopher://host/",
        "json:/x,ca=/y",
        "json:-,size=3",
        "json:https://h/,nothing=1",
    ],
)
def test_what_says_no_receiver_is_refused(text):
    with pytest.raises(Usage):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "json:syslog+tls://",
        "json:syslog://h:99999",
        "json:https://h/,body=many",
        "json:https://h/,check=maybe",
        "json:/x,size=much",
        "json:/x,timeout=0",
        "json:syslog+udp://h,ca=/x",
        "json:https://u:p@h/",
        "json:http://far.example/,token_env=T",
    ],
)
def test_what_cannot_be_done_is_refused(text):
    with pytest.raises(Usage):
        sink(read(text))


def test_two_of_a_name_are_refused_and_a_name_outlives_an_address(spool, tmp_path):
    with pytest.raises(Usage, match="same name"), forwarding(spool, [read("json:-"), read("json:-")]):
        pass
    spool.append([alert(1)])
    for place in ("a", "b"):
        with forwarding(spool, [read(f"json:{tmp_path / place},name=siem")]) as (one,):
            wait_for(lambda one=one: not one.counters()["lag"])
        spool.append([alert(2)])
    assert len((tmp_path / "a").read_bytes().splitlines()) == 1
    assert len((tmp_path / "b").read_bytes().splitlines()) == 1


@given(st.sampled_from(FORMATS), st.text(max_size=30))
def test_whatever_is_written_is_understood_or_refused(form, rest):
    with suppress(Error):
        wanted = read(f"{form}:{rest}")
        made = sink(wanted)
        assert made.name == wanted.name
        assert callable(encode(wanted))
