"""Where the members of a record lie, as the object's own type information says it. Pure; no hand-written twin."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.model.errors import NotUnderstood
from holdfast.sensor.btf import Types

KINDS = {1: "call", 2: "fork", 3: "exec", 4: "ended", 5: "grouped"}
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True)
class Record:
    """One struct.

    Attributes:
        size: Bytes.
        parser: Unpacks all members at once.
        places: Index in what ``parser`` returns, by member; the first element of an array of numbers.
        offsets: Bytes before a member, by member.
    """

    size: int
    parser: struct.Struct
    places: Mapping[str, int]
    offsets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Every record of an object.

    Attributes:
        records: By their kind's number.
        text: Where the text of a record begins that has some, in bytes from the record's start.
        head: The part that all of them begin with.
    """

    records: Mapping[int, Record]
    text: int
    head: Record


def read(image: bytes) -> Layout:
    """Read the layouts of the records that an object sends.

    Args:
        image: The compiled object, an ELF file.

    Raises:
        NotUnderstood: There is no type information, or a record is missing in it.
    """
    types = Types(image)
    records = {number: record(types, name) for number, name in KINDS.items()}
    return Layout(records, types.size("record"), record(types, "head"))


def record(types: Types, name: str) -> Record:
    """Lay out one struct.

    Raises:
        NotUnderstood: It is missing, or a member is of a size that is no machine number.
    """
    size, at, form, places, offsets, index = types.size(name), 0, "<", {}, {}, 0
    for leaf in types.leaves(name):
        if leaf.offset < at or leaf.size not in _CODES:
            raise NotUnderstood(f"Struct {name} of the BPF object cannot be laid out", leaf.name)
        form += f"{leaf.offset - at}x" if leaf.offset > at else ""
        places[leaf.name], offsets[leaf.name] = index, leaf.offset
        code = _CODES[leaf.size]
        bytes_ = leaf.text or (leaf.size == 1 and leaf.count > 1)
        form += f"{leaf.count}s" if bytes_ else (code.lower() if leaf.signed else code) * leaf.count
        index += 1 if bytes_ else leaf.count
        at = leaf.offset + leaf.size * leaf.count
    form += f"{size - at}x" if size > at else ""
    return Record(size, struct.Struct(form), places, offsets)
