import json
import os
import socket
import threading
import time
from contextlib import suppress

import pytest

from holdfast.model.errors import NotReachable, Usage
from holdfast.sensor.sinks.outcome import Permanent, Temporary
from holdfast.sensor.sinks.syslog import Syslog, Transport
from holdfast.sensor.sinks.webhook import Body, Webhook
from holdfast.sensor.sinks.wire import Tls
from receivers import certificates, frames, server_context, wait_for, web


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("certificates"))


def tls(papers, **how):
    return Tls(authorities=papers / "ca.pem", **how)


def test_messages_arrive_whole_over_tls_whatever_they_hold(papers):
    messages = [b"<1>1 a\nb", b"\0", b"7 x" * 1000, bytes(range(256))]
    with frames(context=server_context(papers)) as server:
        sink = Syslog("s", "localhost", port=server.port, tls=tls(papers))
        sink.send(messages[:2])
        sink.send(messages[2:])
        wait_for(lambda: len(server.messages) == 4)
        sink.close()
        assert server.messages == messages
        assert server.connections == 1
        wait_for(lambda: server.farewells == 1)
        assert not server.broken


def refused(sink):
    try:
        sink.send([b"unwanted"])
    except Temporary:
        return True
    return False


def again(send):
    for _ in range(100):
        try:
            return send()
        except Temporary:
            time.sleep(0.02)
    raise AssertionError("it never arrived")


def test_a_client_shows_its_certificate(papers):
    with frames(context=server_context(papers, client=True)) as server:
        shown = tls(papers, certificate=papers / "client.pem", key=papers / "client.key")
        sink = Syslog("s", "localhost", port=server.port, tls=shown)
        sink.send([b"hello"])
        wait_for(lambda: server.messages)
        sink.close()
        bare = Syslog("s", "localhost", port=server.port, tls=tls(papers), seconds=3)
        # TLS 1.3 tells a client only after its handshake that its certificate was missed.
        with suppress(Temporary):
            bare.send([b"unwanted"])
        wait_for(lambda: refused(bare))
        bare.close()
    assert server.messages == [b"hello"]


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_does_not_hold_is_refused(papers, wrong):
    with frames(context=server_context(papers)) as server:
        how = Tls() if wrong == "authority" else tls(papers, host="elsewhere.example")
        with pytest.raises(Temporary, match="certificate is refused"):
            Syslog("s", "localhost", port=server.port, tls=how).send([b"secret"])
        unchecked = Syslog("s", "localhost", port=server.port, tls=Tls(checked=False))
        unchecked.send([b"seen"])
        wait_for(lambda: server.messages)
        unchecked.close()
        assert server.messages == [b"seen"]


def test_files_that_are_no_certificates_are_told(papers, tmp_path):
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(Usage):
        Syslog("s", "localhost", tls=Tls(authorities=tmp_path / "x"))
    with pytest.raises(NotReachable):
        Syslog("s", "localhost", tls=Tls(authorities=tmp_path / "none"))
    with pytest.raises(Usage):
        Syslog("s", "localhost", tls=tls(papers), transport=Transport.TCP)


def test_a_receiver_that_closes_midway_gets_the_rest_again(papers):
    with frames(context=server_context(papers), close_after=1) as server:
        sink = Syslog("s", "localhost", port=server.port, tls=tls(papers), seconds=5)
        messages = [b"%d" % number for number in range(3)]
        for part in (messages[:1], messages[1:]):
            again(lambda part=part: sink.send(part))
        wait_for(lambda: set(messages) <= set(server.messages))
        sink.close()


def test_a_receiver_that_does_not_read_is_no_delivery():
    with frames(reads=False) as server:
        sink = Syslog("s", "127.0.0.1", transport=Transport.TCP, port=server.port, seconds=0.5)
        start = time.monotonic()
        with pytest.raises(Temporary, match="does not answer"):
            sink.send([b"x" * 10**6] * 40)
        assert time.monotonic() - start < 5


def test_nobody_there_is_told_and_aborting_ends_a_wait():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sink = Syslog("s", "localhost", port=port, seconds=30, tls=Tls(checked=False))
        threading.Timer(0.2, sink.abort).start()
        start = time.monotonic()
        with pytest.raises(Temporary):
            sink.send([b"x"])
        assert time.monotonic() - start < 5
    with pytest.raises(Temporary, match="refused"):
        Syslog("s", "127.0.0.1", transport=Transport.TCP, port=port).send([b"x"])


def test_datagrams_over_udp_and_the_socket_of_the_machine(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        sink = Syslog("s", "127.0.0.1", transport=Transport.UDP, port=server.getsockname()[1])
        sink.send([b"one", b"two"])
        assert [server.recv(100), server.recv(100)] == [b"one", b"two"]
        with pytest.raises(Permanent, match="too long"):
            sink.send([b"x" * 70_000])
        sink.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "log"))
        server.settimeout(10)
        sink = Syslog("s", str(tmp_path / "log"), transport=Transport.UNIX)
        sink.send([b"one"])
        assert server.recv(100) == b"one"
        with pytest.raises(Permanent):
            sink.send([b"x" * 10**7])
        sink.close()
    with pytest.raises(Temporary):
        Syslog("s", str(tmp_path / "none"), transport=Transport.UNIX).send([b"x"])


@pytest.mark.parametrize(
    ("body", "bodies"),
    [(Body.SINGLE, [b'{"a":1}', b"{}"]), (Body.ARRAY, [b'[{"a":1},{}]']), (Body.LINES, [b'{"a":1}\n{}\n'])],
)
def test_records_are_posted_with_the_token(papers, tmp_path, body, bodies):
    (tmp_path / "token").write_text("s3cret\n")
    with web(context=server_context(papers)) as (address, requests):
        sink = Webhook("w", address, body=body, token_file=tmp_path / "token", tls=tls(papers), headers={"X-A": "b"})
        sink.send([b'{"a":1}', b"{}"])
        sink.close()
    assert [request[2] for request in requests] == bodies
    path, headers, _ = requests[0]
    assert (path, headers["Authorization"], headers["X-A"]) == ("/hook", "Bearer s3cret", "b")
    if body is not Body.LINES:
        json.loads(requests[0][2])


@pytest.mark.parametrize(
    ("status", "headers", "kind", "answered", "after"),
    [
        (400, {}, Permanent, None, None),
        (422, {}, Permanent, None, None),
        (413, {}, Permanent, None, None),
        (401, {}, Temporary, False, None),
        (404, {}, Temporary, False, None),
        (429, {"Retry-After": "7"}, Temporary, False, 7.0),
        (503, {"Retry-After": "Fri, 01 Jan 1990 00:00:00 GMT"}, Temporary, False, 0.0),
        (503, {"Retry-After": "soon"}, Temporary, False, None),
        (500, {}, Temporary, True, None),
        (302, {"Location": "http://elsewhere.example/"}, Temporary, False, None),
    ],
)
def test_an_answer_is_judged_by_its_status(status, headers, kind, answered, after):
    with web([(status, headers)]) as (address, requests):
        sink = Webhook("w", address)
        with pytest.raises(kind, match=str(status)) as caught:
            sink.send([b"{}"])
        if kind is Temporary:
            assert (caught.value.answered, caught.value.retry_after) == (answered, after)
        sink.send([b"{}"])
        sink.close()
    assert len(requests) == 2


def test_a_receiver_that_drips_or_hangs_or_hangs_up_costs_a_bounded_time():
    with web(drip=True) as (address, _):
        sink = Webhook("w", address, seconds=0.5)
        start = time.monotonic()
        with pytest.raises(Temporary, match="does not answer within"):
            sink.send([b"{}"])
        assert time.monotonic() - start < 5
    with web([(None, {})]) as (address, requests):
        sink = Webhook("w", address, seconds=5)
        with pytest.raises(Temporary):
            sink.send([b"{}"])
        sink.send([b"{}"])
        sink.close()
        assert len(requests) == 2


def test_a_token_never_travels_unprotected_and_is_never_told(monkeypatch, tmp_path):
    with pytest.raises(Usage, match="unprotected"):
        Webhook("w", "http://siem.example/x", token_variable="T")
    for address in ("ftp://x", "https://", "https://user:pw@host/", "https://[", "x", "https://h:999999/"):
        with pytest.raises(Usage):
            Webhook("w", address)
    monkeypatch.setenv("T", "one\r\nX-Evil: 1")
    with web() as (address, requests):
        sink = Webhook("w", address, token_variable="T")
        with pytest.raises(Temporary) as caught:
            sink.send([b"{}"])
        assert "Evil" not in str(caught.value)
        monkeypatch.setenv("T", "right")
        sink.send([b"{}"])
        sink.close()
        gone = Webhook("w", address, token_file=tmp_path / "none")
        with pytest.raises(Temporary):
            gone.send([b"{}"])
    assert [request[1]["Authorization"] for request in requests] == ["Bearer right"]
    assert os.environ["T"] == "right"
