"""Receivers for tests: real servers on this machine, each in a thread, strict about what they take."""

import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress


def certificates(folder):
    """Make an authority, a certificate for localhost and one for a client."""

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder, capture_output=True)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(*new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    for name, alternative in (
        ("server", "DNS:localhost,IP:127.0.0.1"),
        ("client", "DNS:client"),
        ("other", "DNS:other"),
    ):
        issuer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", f"subjectAltName={alternative}")
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", *issuer,
                "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip
    return folder


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


class Frames:
    """Takes syslog with octet counting and nothing else."""

    def __init__(self, context=None, close_after=None, *, reads=True):
        self.messages = []
        self.broken = []
        self.connections = 0
        self.farewells = 0
        self.close_after = close_after
        self.reads = reads
        self._context = context
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        while not self._over.is_set():
            try:
                plain, _ = self._server.accept()
            except (TimeoutError, OSError):
                continue
            self.connections += 1
            thread = threading.Thread(target=self._talk, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, plain):
        try:
            plain.settimeout(20)
            connection = plain
            if self._context:
                connection = self._context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=False)
            connection.settimeout(0.1)
        except OSError:
            plain.close()
            return
        with connection:
            self._listen(connection)

    def _listen(self, connection):
        data = b""
        while not self._over.is_set():
            if not self.reads:
                time.sleep(0.02)
                continue
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not piece:
                self.farewells += 1
                return
            data += piece
            while b" " in data[:11]:
                length, _, rest = data.partition(b" ")
                if not length.isdigit() or length.startswith(b"0"):
                    self.broken.append(data)
                    return
                if len(rest) < int(length):
                    break
                self.messages.append(rest[: int(length)])
                data = rest[int(length) :]
                if self.close_after is not None and len(self.messages) >= self.close_after:
                    self.close_after = None
                    return

    def close(self):
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._server.close()


@contextmanager
def frames(**how):
    server = Frames(**how)
    try:
        yield server
    finally:
        server.close()


def server_context(folder, *, client=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.pem")
    return context


def _dripped(file, over):
    """Begin an answer and go on with it, letter by letter, for ever."""
    with suppress(OSError):
        file.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.05):
            file.write(b"a")


@contextmanager
def web(answers=(), context=None, *, drip=False):
    """Serve HTTP: ``answers`` first, each ``(status, headers)``; then 200. Yield the list of requests."""
    left = list(answers)
    requests = []
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                self.close_connection = True  # the sender was killed in the middle of it
                return
            requests.append((self.path, dict(self.headers), body))
            if drip:
                _dripped(self.wfile, over)
                return
            answer = left.pop(0) if left else (200, {})
            status, headers = answer(body) if callable(answer) else answer
            if callable(answer):
                left.insert(0, answer)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            with suppress(OSError):
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        scheme = "http" if context is None else "https"
        yield f"{scheme}://localhost:{server.server_port}/hook", requests
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def sequences(requests):
    """Return the sequence numbers of single native records, as received."""
    return [json.loads(body)["sequence"] for _, _, body in requests]
