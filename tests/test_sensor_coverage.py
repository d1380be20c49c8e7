"""What the techniques ask of the kernel, and where objects lie on the host."""

from __future__ import annotations

import os

import pytest

from holdfast.model.logic import NEVER
from holdfast.model.words import event as word
from holdfast.sensor import coverage
from holdfast.sensor.calls import SHAPES
from holdfast.sensor.host_mounts import host_path, table
from holdfast.sensor.pushing import trie
from holdfast.sensor.resolve import read
from holdfast.techniques import load

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,relatime shared:5 - proc proc rw
24 22 8:2 /data /srv/with\\040blank rw - ext4 /dev/sdb rw
25 22 8:2 /data/deep /deep rw - ext4 /dev/sdb rw
no line
26 22 x:y / /odd rw - ext4 /dev/sdc rw
"""
TECHNIQUES = {name: one for name, one in load().items() if one.seen_as != NEVER}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_what_a_technique_looks_for_is_asked_of_the_kernel(name: str) -> None:
    technique = TECHNIQUES[name]
    wanted = coverage.interests((technique.seen_as,))
    asked = {fact for fact in technique.seen_sample if fact is not word.IN_CONTAINER}
    if asked & {word.USERMODE_HELPER, word.EXECUTABLE_IN_CONTAINER}:
        return  # programs that are started are told always
    assert wanted
    assert set(wanted) <= set(SHAPES)
    call = technique.seen_sample.get(word.SYSCALL)
    if call is not None:
        assert call in wanted


def test_a_file_is_found_in_the_hosts_own_mounts() -> None:
    mounts = table(read(MOUNTINFO).values())
    first, second = os.makedev(8, 1), os.makedev(8, 2)
    assert host_path(mounts, first, "/etc/shadow") == "/etc/shadow"
    assert host_path(mounts, first, "/") == "/"
    assert host_path(mounts, second, "/data/x") == "/srv/with blank/x"
    assert host_path(mounts, second, "/data/deep/x") == "/deep/x"
    assert host_path(mounts, second, "/data") == "/srv/with blank"
    assert host_path(mounts, second, "/database") == ""
    assert host_path(mounts, os.makedev(9, 9), "/x") == ""


def test_a_mount_table_keeps_peers_and_drops_what_is_no_line() -> None:
    found = read(MOUNTINFO)
    assert [(number, one.peers, one.kind) for number, one in found.items()] == [
        (22, 1, "ext4"), (23, 5, "proc"), (24, 0, "ext4"), (25, 0, "ext4"),
    ]  # fmt: skip


def test_an_overlays_layers_are_read_uppermost_first_and_unescaped() -> None:
    line = "30 22 0:50 / /o rw - overlay x rw,lowerdir=/a\\134:b:/c\\054d,upperdir=/u\\040p,workdir=/w\n"
    other = "31 22 0:51 / /o rw - overlay x rw,lowerdir+=/a,lowerdir+=/b\n"
    assert [one.layers for one in read(line + other).values()] == [("/u p", "/a:b", "/c,d"), ("/a", "/b")]
    assert next(iter(read(line.replace("overlay x", "ext4 x")).values())).layers == ()


def test_a_longer_path_pattern_holds_what_the_shorter_ones_want() -> None:
    made = {
        key[4:].rstrip(b"\0"): int.from_bytes(value, "little") for key, value in trie({b"/etc": 1, b"/etc/x": 4}, 16)
    }
    assert made == {b"/etc": 1, b"/etc/x": 5}
    assert [int.from_bytes(key[:4], "little") for key, _ in trie({b"/etc": 1}, 16)] == [32]
