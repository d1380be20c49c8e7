"""Files around a hardening: written and read again, diffs that fit, and what keeps a file from being written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harden_made import drawn
from holdfast.app.harden import Order, harden
from holdfast.app.harden_files import replace_file
from holdfast.app.settings import Settings
from holdfast.model.errors import Error, NotPermitted, Unsafe
from holdfast.model.hardening import Patch
from holdfast.reports import harden_terminal
from holdfast.reports._diff import unified

QUIET = Settings(quiet=True)


@pytest.mark.parametrize("text", [pytest.param(text, id=f"drawn {n}") for n, (_, text) in enumerate(drawn(8, 40))])
def test_what_is_written_is_contained_when_it_is_read_again(tmp_path: Path, text: str) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    (first,) = harden([str(path)], QUIET, Order(write=True)).workloads
    assert first.ended or first.chosen is None
    assert not first.left
    after = path.read_text()
    again = harden([str(path)], QUIET, Order(write=True))
    assert again.workloads[0].chosen is None
    assert not again.patches
    assert path.read_text() == after
    kept = [line for line in after.splitlines() if line in text.splitlines()]
    assert "services:" in kept
    assert "  app:  # the only one" in kept


def test_services_of_one_file_are_changed_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    services = "".join(f"  s{n}:\n    image: x\n    privileged: true\n    user: '0'\n" for n in range(4))
    path.write_text("services:\n" + services)
    found = harden([str(path)], QUIET, Order(write=True))
    assert all(each.ended for each in found.workloads)
    assert [each.before.workload.source.line for each in found.workloads] == [2, 6, 10, 14]
    (gain,) = found.gains
    assert gain.workloads == ("s0", "s1", "s2", "s3")
    assert gain.paths == sum(len(each.before.paths) for each in found.workloads)


POD = """\
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
  - name: main
    image: m:1
    securityContext: {capabilities: {add: [SYS_ADMIN]}}
    volumeMounts: [{name: root, mountPath: /host}]
  - name: beside
    image: m:1
    securityContext: {privileged: true}
  volumes: [{name: root, hostPath: {path: /}}]
"""


def test_what_is_changed_for_a_neighbour_counts_for_both(tmp_path: Path) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    found = harden([str(path)], QUIET, Order(keep=("SYS_ADMIN", "userns", "host")))
    main, beside = found.workloads
    assert "runtimeClassName: gvisor" in found.patches[0].after
    assert main.ended
    assert beside.before.paths
    assert beside.chosen is None
    assert beside.ended
    assert "ends its ways out too" in harden_terminal.render(found, colour=False, width=0).decode()


def test_a_file_that_is_not_utf_8_is_told_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_bytes("services:\n  app:\n    image: x\n    privileged: true\n".encode("utf-16"))
    found = harden([str(path)], QUIET, Order(write=True))
    (workload,) = found.workloads
    assert workload.left
    assert not found.patches


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_bytes(b"\xef\xbb\xbfservices:\n  app:\n    image: x\n    privileged: true\n")
    (workload,) = harden([str(path)], QUIET, Order(write=True)).workloads
    assert workload.ended
    assert path.read_bytes().startswith(b"\xef\xbb\xbfservices:\n")


def test_a_file_that_was_changed_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("new")
    with pytest.raises(Unsafe):
        replace_file(str(path), b"old", b"hardened")
    assert path.read_text() == "new"


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Error):
        replace_file(str(tmp_path / "compose.yaml"), b"old", b"hardened")


def test_a_read_only_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(NotPermitted):
        replace_file(str(path), b"old", b"hardened")
    assert path.read_text() == "old"


def test_where_one_file_is_read_only_none_is_written(tmp_path: Path) -> None:
    text = "services:\n  app:\n    image: x\n    privileged: true\n"
    paths = [tmp_path / name for name in ("a-compose.yaml", "b-compose.yaml")]
    for path in paths:
        path.write_text(text)
    paths[1].chmod(0o444)
    with pytest.raises(NotPermitted):
        harden([str(tmp_path)], QUIET, Order(write=True))
    assert [path.read_text() for path in paths] == [text, text]


_LINES = st.lists(st.sampled_from(["a", "b", " c", "-d", "+e", "", "f\r", "\u2028g"]), max_size=12)
_TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, _LINES, st.sampled_from(["", "\n"]))


@given(_TEXTS, _TEXTS)
def test_a_diff_applied_gives_the_new_text(before: str, after: str) -> None:
    assert applied(before, unified(Patch("f", before, after))) == after


def test_a_name_with_a_line_break_forges_no_line() -> None:
    diff = unified(Patch("a\n+++ /etc/passwd", "x\n", "y\n"))
    assert [line for line in diff.splitlines() if line.startswith("+")] == ["+++ a\\x0a+++ /etc/passwd", "+y"]


def applied(text: str, diff: str) -> str:
    """Apply a unified diff, as strictly as can be."""
    rows = diff.split("\n")[2:-1] if diff else []
    *whole, rest = text.split("\n")
    old = [line + "\n" for line in whole] + ([rest] if rest else [])
    new: list[str] = []
    at = 0
    for number, row in enumerate(rows):
        if row.startswith("@@"):
            start, _, count = row.split()[1].lstrip("-").partition(",")
            begin = int(start) - (1 if count != "0" else 0)
            new += old[at:begin]
            at = begin
            continue
        if row.startswith("\\"):
            continue
        last = number + 1 < len(rows) and rows[number + 1].startswith("\\")
        line = row[1:] + ("" if last else "\n")
        if row[0] in " -":
            assert old[at] == line
            at += 1
        if row[0] in " +":
            new.append(line)
    return "".join(new + old[at:])
