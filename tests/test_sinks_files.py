import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from holdfast.sensor.sinks.ndjson import Ndjson
from holdfast.sensor.sinks.outcome import Permanent, Temporary
from holdfast.sensor.sinks.stdout import Stdout


@pytest.fixture
def path(tmp_path):
    return tmp_path / "alerts.ndjson"


def test_records_are_lines_and_private(path):
    sink = Ndjson("file", path)
    sink.send([b'{"a":1}', b'{"b":2}'])
    sink.send([b"{}"])
    sink.close()
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n{}\n'
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("sink", [Ndjson, Stdout])
def test_a_record_that_would_be_two_lines_is_refused_whole(path, sink):
    sink = Ndjson("file", path) if sink is Ndjson else Stdout(handle=os.open(os.devnull, os.O_WRONLY))
    for bad in (b"a\nb", b"a\rb"):
        with pytest.raises(Permanent):
            sink.send([b"good", bad])
    assert not path.exists()


def test_a_file_that_somebody_else_rotated_is_begun_anew(path):
    sink = Ndjson("file", path)
    sink.send([b"1"])
    path.rename(path.with_suffix(".old"))
    sink.send([b"2"])
    path.unlink()
    sink.send([b"3"])
    sink.reopen()
    sink.send([b"4"])
    sink.close()
    assert path.with_suffix(".old").read_bytes() == b"1\n"
    assert path.read_bytes() == b"3\n4\n"


def test_a_full_file_is_rotated_and_so_many_are_kept(path):
    sink = Ndjson("file", path, largest=10, kept=2)
    for number in range(1, 6):
        sink.send([b"%d" % number * 8])
    sink.close()
    kept = {each.name: each.read_bytes()[:1] for each in path.parent.iterdir()}
    assert kept == {path.name: b"5", f"{path.name}.1": b"4", f"{path.name}.2": b"3"}


def test_a_line_that_was_torn_does_not_take_the_next_one_with_it(path):
    path.write_bytes(b'{"whole":1}\n{"torn":')
    sink = Ndjson("file", path)
    sink.send([b"{}"])
    sink.close()
    assert path.read_bytes().splitlines()[-1] == b"{}"


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "missing"])
def test_what_is_no_file_is_refused_without_waiting(path, kind):
    if kind == "link":
        path.symlink_to("/dev/null")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = path / "deep" / "file"
    with pytest.raises(Temporary):
        Ndjson("file", path).send([b"{}"])


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from holdfast.sensor.sinks.ndjson import Ndjson
from holdfast.sensor.sinks.outcome import Temporary
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = Ndjson("file", Path(sys.argv[1]))
sink.send([b"first"])
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    sink.send([b"x" * 60, b"y" * 60])
except Temporary as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.send([b"last"])
"""


def test_a_full_disk_leaves_no_half_record(path):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL.format(path=sys.path), path], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    assert path.read_bytes() == b"first\nlast\n"


def test_a_reader_of_standard_output_gets_every_line():
    read, write = os.pipe()
    got = []

    def read_all():
        with os.fdopen(read, "rb") as file:
            got.append(file.read())

    reader = threading.Thread(target=read_all)
    reader.start()
    records = [b"%06d" % number * 100 for number in range(500)]
    Stdout(handle=write).send(records)
    os.close(write)
    reader.join()
    assert got[0].split(b"\n")[:-1] == records


def test_a_reader_that_does_not_read_costs_a_bounded_time():
    read, write = os.pipe()
    sink = Stdout(handle=write, seconds=0.3)
    start = time.monotonic()
    with pytest.raises(Temporary, match="nobody read"):
        sink.send([b"x" * 10**6])
    assert time.monotonic() - start < 5
    taken = os.read(read, 10**6)
    sink.send([b"next"])
    rest = os.read(read, 10**6)
    assert (taken + rest).split(b"\n")[-2] == b"next"
    os.close(read)
    with pytest.raises(Temporary):
        sink.send([b"gone"])
    os.close(write)
