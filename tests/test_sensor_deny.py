"""What is denied of each technique, and where on the host it lies."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.technique import DrillClass, Technique
from holdfast.sensor import bpf_build, deny, deny_decode, deny_places, deny_rules
from holdfast.sensor.deny_rules import Access, Kind, Object, Place
from holdfast.techniques import load

HEADER = (bpf_build.SOURCES / "deny.h").read_text()
CATALOGUE = load()


def constants(prefix: str) -> dict[str, int]:
    """Return the numbers that the header gives names of a prefix."""
    return {name: int(value) for name, value in re.findall(rf"\b{prefix}_([A-Z0-9_]+) = (\d+)", HEADER)}


def test_the_numbers_are_those_of_the_programs() -> None:
    assert {one.name: one.value for one in Kind} == constants("KIND")
    assert {one.name: one.value for one in Access} == constants("ACCESS")
    assert {name.upper(): number for number, name in enumerate(deny_decode.HOOKS) if name} == constants("HOOK")


@pytest.mark.parametrize("technique", CATALOGUE.values(), ids=list(CATALOGUE))
def test_what_can_be_tried_can_be_denied_or_it_is_said_why_not(technique: Technique) -> None:
    found = deny_rules.rules(technique)
    if technique.id in deny_rules.NOT_DENIABLE:
        assert deny_rules.NOT_DENIABLE[technique.id]
        assert not found
        assert technique.id not in deny_rules.MORE
    elif technique.drill_class is not DrillClass.D0:
        assert found
    for one in found:
        if isinstance(one, Object):
            assert len(one.name) < deny_rules.NAME_SIZE
        elif isinstance(one, Place):
            assert one.path.startswith("/")


def test_nearly_all_that_is_tried_can_be_denied() -> None:
    tried = [one for one in CATALOGUE.values() if one.drill and one.drill_class is not DrillClass.D0]
    denied = [one for one in tried if deny_rules.rules(one)]
    assert len(denied) >= 0.95 * len(tried)


@pytest.mark.parametrize("table", [deny_rules.MORE, deny_rules.NOT_DENIABLE, deny_rules.BROADER])
def test_the_tables_name_techniques(table: dict[str, object]) -> None:
    assert table.keys() <= CATALOGUE.keys()


def test_there_is_a_bit_for_each_and_one_for_the_canary() -> None:
    assert len(CATALOGUE) < deny_decode.CANARY_BIT < 128


MOUNTS = """\
21 1 254:0 / / rw - ext4 /dev/vda rw
22 21 0:22 / /run rw - tmpfs run rw
23 21 254:1 /sub /home rw - ext4 /dev/vdb rw
24 21 254:0 /var/elsewhere /srv rw - ext4 /dev/vda rw
25 21 0:40 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
26 22 0:41 / /run/user/1000 rw - tmpfs tmpfs rw
"""
ROOT, RUN, HOME, USER = (os.makedev(*pair) for pair in ((254, 0), (0, 22), (254, 1), (0, 41)))


def kernel(device: int) -> int:
    """Number a device as the kernel does."""
    return os.major(device) << 20 | os.minor(device)


def rows(*places: Place, stand_ins: dict[str, str] | None = None) -> dict[tuple[int, str], deny_places.Row]:
    """Work out the rows of one technique each."""
    found = deny_places.entries({bit: [place] for bit, place in enumerate(places)}, MOUNTS, stand_ins or {})
    return {(row.device, row.path): row for row in found}


def test_a_place_is_where_its_file_system_has_it() -> None:
    found = rows(
        Place("/etc/", Access.WRITE),
        Place("/home/", Access.WRITE),
        Place("/srv/data/", Access.READ),
        Place("/run/user/", Access.CONNECT),
    )
    assert found.keys() == {
        (kernel(ROOT), "/etc/"),
        (kernel(HOME), "/sub/"),
        (kernel(ROOT), "/var/elsewhere/data/"),
        (kernel(RUN), "/user/"),
        (kernel(USER), "/"),
    }
    assert found[kernel(ROOT), "/etc/"].on == (0, 1, 0, 0)
    assert found[kernel(USER), "/"].on == (0, 0, 0, 8)


def test_a_containers_own_root_below_a_place_is_none() -> None:
    found = rows(Place("/var/lib/docker/", Access.WRITE))
    assert found.keys() == {(kernel(ROOT), "/var/lib/docker/")}


def test_what_is_spared_is_not_denied_and_what_lies_around_is() -> None:
    places = [Place("/var/lib/docker/", Access.WRITE), Place("/var/lib/docker/volumes/", Access.WRITE, spared=True)]
    other = [Place("/var/", Access.WRITE)]
    found = {row.path: row.on[Access.WRITE] for row in deny_places.entries({0: places, 1: other}, MOUNTS, {})}
    assert found == {"/var/lib/docker/": 0b11, "/var/lib/docker/volumes/": 0b10, "/var/": 0b10}


def test_a_stand_in_is_denied_as_what_it_stands_for() -> None:
    found = rows(Place("/etc/cron.d/", Access.WRITE), Place("/root/", Access.WRITE), stand_ins={"/stage/7": "/etc"})
    assert (kernel(ROOT), "/stage/7/cron.d/") in found
    wide = rows(Place("/etc/", Access.WRITE), stand_ins={"/stage/7": "/etc/cron.d"})
    assert wide[kernel(ROOT), "/stage/7/"].on == (0, 1, 0, 0)


@given(
    st.dictionaries(
        st.integers(0, 126),
        st.lists(
            st.builds(
                Place,
                st.lists(st.sampled_from(["etc", "var", "home", "run", "a"]), max_size=4).map(
                    lambda pieces: "/" + "".join(f"{piece}/" for piece in pieces)
                ),
                st.sampled_from(Access),
            ),
            max_size=4,
        ),
        max_size=6,
    )
)
def test_a_longer_path_is_denied_all_that_a_shorter_one_is(named: dict[int, list[Place]]) -> None:
    found = list(deny_places.entries(named, MOUNTS, {}))
    assert len({(row.device, row.path) for row in found}) == len(found)
    for row in found:
        for shorter in found:
            if shorter.device == row.device and row.path.startswith(shorter.path):
                assert all(mine & above == above for mine, above in zip(row.on, shorter.on, strict=True))


@given(st.binary(max_size=400))
def test_any_mount_table_is_read(text: bytes) -> None:
    named = {0: [Place("/etc/", Access.WRITE)]}
    list(deny_places.entries(named, text.decode("utf-8", "surrogateescape"), {}))


def test_programs_are_left_out_where_the_kernel_has_no_place_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "vmlinux"
    known.write_bytes(b"\0bpf_lsm_file_open\0security_file_open\0bpf_lsm_userns_create\0")
    monkeypatch.setattr(deny, "_BTF", known)
    offered = ("lsm_create_user_ns", "lsm_file_open", "lsm_sb_mount", "mod_create_user_ns", "mod_file_open")
    assert deny.available(deny.Grade.LSM, offered) == (("lsm_create_user_ns", "lsm_file_open"), ("sb_mount",))
    assert deny.available(deny.Grade.FMOD_RET, offered) == (("mod_file_open",), ("create_user_ns",))


def test_a_kernel_that_is_not_asked_is_found_out() -> None:
    from holdfast.sensor import canary

    assert canary._judged("0", ["1", "0"], told=True, took_s=0).enforced
    for first, then in (
        ("0", ["0", "0"]),
        ("0", ["13", "0"]),
        ("0", ["1", "1"]),
        ("1", ["1", "0"]),
        ("", []),
        ("0", []),
    ):
        proof = canary._judged(first, then, told=False, took_s=0)
        assert not proof.enforced
        assert proof.why


def test_links_are_replaced_without_a_moment_without_and_kept_when_it_fails(tmp_path: Path) -> None:
    from holdfast.sensor import deny_pins

    folder = tmp_path / "holdfast/deny"
    with deny_pins.replaced(folder) as fresh:
        assert "." not in fresh.name, "the BPF file system allows none"
        (fresh / "one").touch()
    assert deny_pins.pinned(folder) == ("one",)
    with pytest.raises(FileNotFoundError), deny_pins.replaced(folder) as fresh:
        (fresh / "absent/two").touch()
    assert deny_pins.pinned(folder) == ("one",)
    with deny_pins.replaced(folder) as fresh:
        (fresh / "two").touch()
        assert deny_pins.pinned(folder) == ("one",)
    assert deny_pins.pinned(folder) == ("two",)
    assert deny_pins.unpin(folder) == 1
    assert deny_pins.pinned(folder) == ()
    assert deny_pins.unpin(folder) == 0


def test_the_forms_are_as_long_as_the_programs_structs() -> None:
    from holdfast.sensor import bpf_file
    from holdfast.sensor.btf import Types

    types = Types(bpf_file.image("deny"))
    for name, form in (
        ("condition", deny._CONDITION), ("place_key", deny._PLACE_KEY), ("place", deny._PLACE), ("home", deny._HOME),
        ("tally", deny._TALLY), ("mask", deny._MASK), ("program", struct.Struct("<QII")),
    ):  # fmt: skip
        assert types.size(name) == form.size, name
