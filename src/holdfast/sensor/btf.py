"""Read the type information of a compiled BPF object: which structs there are, and where their members lie. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.model.errors import NotUnderstood

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _ENUM64 = 13, 14, 15, 17, 19
_THROUGH = frozenset((8, 9, 10, 11, 18))  # typedef, volatile, const, restrict, type tag: another name for a type
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_ONCE = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_MAGIC = 0xEB9F


@dataclass(frozen=True, slots=True)
class Leaf:
    """One number or byte string inside a struct.

    Attributes:
        name: With the members on the way to it, ``subject.pid``.
        offset: Bytes from the start of the struct.
        size: Bytes of one element.
        count: Elements; more than one only for arrays.
        signed: Holds negative numbers.
        text: An array of char.
    """

    name: str
    offset: int
    size: int
    count: int
    signed: bool
    text: bool


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    kind: int
    length: int
    size: int
    rest: bytes


class Types:
    """The types of one object."""

    def __init__(self, image: bytes) -> None:
        """Read an ELF object.

        Args:
            image: The whole file, little-endian, 64 bit.

        Raises:
            NotUnderstood: It is no such file, or holds no type information.
        """
        try:
            self._types = list(_types(_section(image, b".BTF")))
        except (struct.error, IndexError, ValueError) as error:
            raise NotUnderstood(f"The BPF object's type information cannot be read: {error}") from error

    def size(self, name: str) -> int:
        """Return a struct's or union's size in bytes."""
        return self._named(name).size

    def leaves(self, name: str) -> tuple[Leaf, ...]:
        """Return the members of a struct, those of inner structs in their place, in order of their offsets."""
        return tuple(self._leaves(self._named(name), "", 0))

    def _named(self, name: str) -> _Type:
        for found in self._types:
            if found.name == name and found.kind in {_STRUCT, _UNION}:
                return found
        raise NotUnderstood(f"The BPF object knows no struct {name}", next="install Holdfast again")

    def _plain(self, number: int) -> _Type:
        found = self._types[number]
        while found.kind in _THROUGH:
            found = self._types[found.size]
        return found

    def _leaves(self, outer: _Type, prefix: str, base: int) -> Iterator[Leaf]:
        for index in range(outer.length):
            name_at, number, bits = struct.unpack_from("<III", outer.rest, index * 12)
            member, offset = self._plain(number), base + (bits & 0xFFFFFF) // 8
            name = prefix + self._types[0].rest[name_at:].split(b"\0", 1)[0].decode()
            count, text = 1, False
            if member.kind == _ARRAY:
                element, _, count = struct.unpack_from("<III", member.rest)
                member = self._plain(element)
                text = member.name == "char"
            if member.kind in {_STRUCT, _UNION}:
                yield from self._leaves(member, name + ".", offset)
                continue
            signed = member.kind == _INT and bool(struct.unpack("<I", member.rest)[0] >> 24 & 1)
            yield Leaf(name, offset, member.size, count, signed, text)


def _section(image: bytes, wanted: bytes) -> bytes:
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", image, 0x28)
    each, count, names = struct.unpack_from("<HHH", image, 0x3A)
    rows = [struct.unpack_from("<IIQQQQ", image, table + index * each) for index in range(count)]
    text = image[rows[names][4] : rows[names][4] + rows[names][5]]
    for name, _, _, _, offset, size in rows:
        if text[name:].split(b"\0", 1)[0] == wanted:
            return image[offset : offset + size]
    raise ValueError(f"no section {wanted.decode()}")


def _types(data: bytes) -> Iterator[_Type]:
    magic, _, _, header, types_at, types_size, text_at, text_size = struct.unpack_from("<HBBIIIII", data)
    if magic != _MAGIC:
        raise ValueError("wrong magic number")
    text = data[header + text_at : header + text_at + text_size]
    yield _Type("void", 0, 0, 0, text)
    at, end = header + types_at, header + types_at + types_size
    while at < end:
        name, info, size = struct.unpack_from("<III", data, at)
        kind, length = info >> 24 & 0x1F, info & 0xFFFF
        extra = _EACH.get(kind, 0) * length + _ONCE.get(kind, 0)
        yield _Type(text[name:].split(b"\0", 1)[0].decode(), kind, length, size, data[at + 12 : at + 12 + extra])
        at += 12 + extra
