"""Records as the kernel's program lays them out: read from the object itself, and never trusted."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.errors import NotUnderstood
from holdfast.sensor import bpf_file, layout
from holdfast.sensor.calls import SHAPES, names, places
from holdfast.sensor.decode import CALL, CONTAINED, EXEC, FILE, Call, Decoder, Exec
from holdfast.sensor.interests import EVERY, Interest, Want, entries, values

LAYOUT = layout.read(bpf_file.image("watch"))
DECODER = Decoder(LAYOUT)


def record(kind: int, text: bytes = b"", **members: object) -> memoryview:
    """Lay out a record; members are named as in events.h, with ``__`` for a dot."""
    known = LAYOUT.records[kind]
    width = len(known.parser.unpack(bytes(known.size)))
    row: list[object] = list(known.parser.unpack(bytes(known.size)))
    assert len(row) == width
    wanted = {"head.kind": kind, "head.text": len(text), **{name.replace("__", "."): v for name, v in members.items()}}
    for name, value in wanted.items():
        row[known.places[name]] = value
    return memoryview(known.parser.pack(*row).ljust(LAYOUT.text, b"\0") + text)


def test_every_record_has_a_head_first() -> None:
    for known in LAYOUT.records.values():
        assert known.places["head.at_ns"] == 0
        assert known.size <= LAYOUT.text


def test_a_call_tells_who_what_and_on_which_object() -> None:
    text = b"/h/shadow" + b"/etc" + b"../h/shadow"
    made = record(
        CALL, text, number=places("openat")[0], result=3, subject__pid=7, subject__flags=CONTAINED,
        subject__name=b"cat", object__flags=FILE, object__path=9, object__inside=2, object__above=4, strings=11,
        object__device=(8 << 20) | 1, object__mode=0o100600,
    )  # fmt: skip
    told = DECODER.decode(made)
    assert isinstance(told, Call)
    assert (told.name, told.result, told.who.pid, told.who.values["name"]) == ("openat", 3, 7, "cat")
    assert told.file is not None
    assert (told.file.path, told.file.raw, told.file.kind) == ("/h/shadow", "../h/shadow", "regular")
    assert told.file.device == os.makedev(8, 1)
    assert told.inside == ("/etc", "/shadow", os.makedev(8, 1))
    assert told.arguments["pathname"] == "../h/shadow"


def test_a_refused_call_is_placed_by_the_path_it_was_given() -> None:
    made = record(CALL, b"/srv" + b"a/../../etc/x", number=places("openat")[0], result=-13, base=4, strings=13)
    told = DECODER.decode(made)
    assert isinstance(told, Call)
    assert told.file is not None
    assert (told.file.path, told.file.raw, told.file.resolved) == ("/etc/x", "a/../../etc/x", False)


def test_an_exec_tells_its_arguments_apart() -> None:
    text = b"/bin/sh" + b"/tmp" + b"sh\0-c\0a b\0" + b"A=1\0B=\xff\0"
    made = record(EXEC, text, object__flags=FILE, object__path=7, directory=4, arguments=10, environment=9)
    told = DECODER.decode(made)
    assert isinstance(told, Exec)
    assert told.values["arguments"] == ("sh", "-c", "a b")
    assert told.values["environment"] == ("A=1", "B=\udcff")
    assert told.values["directory"] == "/tmp"


@given(st.binary(max_size=1200))
def test_bytes_that_are_no_record_are_refused_and_nothing_else_happens(data: bytes) -> None:
    try:
        DECODER.decode(memoryview(data))
    except NotUnderstood:
        return


@given(st.sampled_from(sorted(LAYOUT.records)), st.data())
def test_no_number_in_a_record_makes_the_decoder_fail(kind: int, data: st.DataObject) -> None:
    size = LAYOUT.text + 64
    body = bytearray(data.draw(st.binary(min_size=size, max_size=size)))
    body[16:18] = kind.to_bytes(2, "little")
    body[22:24] = (64).to_bytes(2, "little")
    assert DECODER.decode(memoryview(body)).head.kind == kind


def test_an_object_without_type_information_is_refused() -> None:
    for image in (b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(200)):
        with pytest.raises(NotUnderstood):
            layout.read(image)


def test_every_shape_fits_the_kernels_record() -> None:
    known = names()
    for name, shape in SHAPES.items():
        assert places(name), name
        assert all(known[place] == name for place in places(name)), name
        assert len(shape.strings) <= 4, name
        assert all(index < len(shape.arguments) for index in shape.strings), name


def test_interests_are_laid_out_for_both_tables_and_joined_without_loss() -> None:
    wanted = {
        "ioctl": Interest(contained_write=EVERY, argument="request", values=frozenset((0x5412,))),
        "openat": Interest(contained_read=Want.FOREIGN) | Interest(host_read=Want.MATCHING, contained_read=Want.ALL),
    }
    made = {int.from_bytes(key, "little"): value for key, value in entries(wanted)}
    assert set(places("ioctl")) | set(places("openat")) <= set(made)
    assert made[places("openat")[0]][:4] == bytes((Want.MATCHING, 0, Want.FOREIGN | Want.ALL, 0))
    assert len(list(values(wanted))) == len(places("ioctl"))
    assert (wanted["ioctl"] | Interest(contained_write=EVERY)).argument == ""
