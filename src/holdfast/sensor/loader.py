"""Load the programs into the kernel and attach them. The only file of the house that does."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from holdfast.model.errors import Error, NotPermitted
from holdfast.sensor.libbpf import Library, library

TOLD = 40
"""Lines of the verifier's log that an error shows."""


class BpfRefused(Error):
    """The kernel refused a program; the end of its verifier's log is part of the message."""


class Program:
    """One program of a loaded object."""

    def __init__(self, called: Library, address: int) -> None:
        """Wrap libbpf's pointer."""
        self._library = called
        self._address = address
        self.name: str = called.calls.bpf_program__name(address).decode()
        self.section: str = called.calls.bpf_program__section_name(address).decode()
        self._links: list[int] = []

    def attach(self) -> None:
        """Attach it where its section says.

        Raises:
            BpfRefused: The kernel refused.
        """
        link = self._library.calls.bpf_program__attach(self._address)
        if not link:
            raise refused(f"The kernel refuses to attach {self.section}", ctypes.get_errno(), self._library)
        self._links.append(link)

    def run_through(self) -> bytes:
        """Run an iterator program once over everything it iterates over, and return what it printed."""
        link = self._library.calls.bpf_program__attach_iter(self._address, None)
        if not link:
            raise refused(f"The kernel refuses to attach {self.section}", ctypes.get_errno(), self._library)
        try:
            reader = self._library.calls.bpf_iter_create(self._library.calls.bpf_link__fd(link))
            if reader < 0:
                raise refused(f"The kernel refuses to run {self.section}", -reader, self._library)
            with os.fdopen(reader, "rb") as file:
                return file.read()
        finally:
            self._library.calls.bpf_link__destroy(link)

    def attach_to_group(self, group: int) -> None:
        """Attach it to a control group of version 2, for what is in it and below.

        Args:
            group: Descriptor of the group's directory.

        Raises:
            BpfRefused: The kernel refused.
        """
        link = self._library.calls.bpf_program__attach_cgroup(self._address, group)
        if not link:
            raise refused(f"The kernel refuses to attach {self.section}", ctypes.get_errno(), self._library)
        self._links.append(link)

    def pin(self, path: str) -> None:
        """Keep what is attached, under a path of the BPF file system, when this process ends.

        Raises:
            BpfRefused: The kernel refused.
        """
        for link in self._links:
            failed = self._library.calls.bpf_link__pin(link, path.encode())
            if failed:
                raise refused(f"{self.section} cannot be pinned at {path}", -failed, self._library)

    def detach(self) -> None:
        """Detach it; nothing happens where it is not attached."""
        while self._links:
            self._library.calls.bpf_link__destroy(self._links.pop())

    def fd(self) -> int:
        """Return the program's descriptor."""
        found: int = self._library.calls.bpf_program__fd(self._address)
        return found


class Table:
    """One map of a loaded object."""

    def __init__(self, called: Library, address: int) -> None:
        """Wrap libbpf's pointer."""
        self._library = called
        self.fd: int = called.calls.bpf_map__fd(address)
        self.value_size: int = called.calls.bpf_map__value_size(address)
        self.entries: int = called.calls.bpf_map__max_entries(address)

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry.

        Raises:
            Error: The map is full, or the kernel refused otherwise.
        """
        failed = self._library.calls.bpf_map_update_elem(self.fd, key, value, 0)
        if failed:
            raise refused("An entry of a BPF map cannot be written", -failed, self._library)

    def take(self, key: bytes, size: int | None = None) -> bytes | None:
        """Read an entry; None where there is none.

        Args:
            key: As many bytes as the map's key has.
            size: Bytes to make room for; a per-processor map needs one value for each possible processor.
        """
        room = ctypes.create_string_buffer(size or self.value_size)
        return None if self._library.calls.bpf_map_lookup_elem(self.fd, key, room) else room.raw

    def remove(self, key: bytes) -> None:
        """Remove an entry; nothing happens where there is none."""
        self._library.calls.bpf_map_delete_elem(self.fd, key)

    def keys(self, size: int) -> Iterator[bytes]:
        """Iterate over the keys, each ``size`` bytes."""
        before, after = None, ctypes.create_string_buffer(size)
        while not self._library.calls.bpf_map_get_next_key(self.fd, before, after):
            yield after.raw
            before = ctypes.create_string_buffer(after.raw, size)


class Loaded:
    """An object in the kernel. Closing it detaches and removes everything that was not pinned."""

    def __init__(self, image: bytes, name: str, only: Sequence[str] | None = None) -> None:
        """Load an object; nothing is attached yet.

        Args:
            image: The compiled object.
            name: How errors call it.
            only: Names of the programs to load; all where it is None.

        Raises:
            NotPermitted: The process may not load programs, or the kernel is locked down.
            BpfRefused: The verifier refused a program, or the kernel lacks what it needs.
        """
        self._library = library()
        self._library.said = b""
        self._image = ctypes.create_string_buffer(image, len(image))
        self._object = self._library.calls.bpf_object__open_mem(self._image, len(image), None)
        if not self._object:
            raise refused(f"libbpf cannot open the object {name}", ctypes.get_errno(), self._library)
        every = list(self._walk(self._library.calls.bpf_object__next_program))
        for address in every:
            label = self._library.calls.bpf_program__name(address).decode()
            if only is not None and label not in only:
                self._library.calls.bpf_program__set_autoload(address, False)
        failed = self._library.calls.bpf_object__load(self._object)
        if failed:
            self._library.calls.bpf_object__close(self._object)
            self._object = None
            raise refused(f"The kernel refuses the programs of {name}", -failed, self._library)
        self.programs = {one.name: one for one in (Program(self._library, address) for address in every)}

    def table(self, name: str) -> Table:
        """Return a map by its name."""
        found = self._library.calls.bpf_object__find_map_by_name(self._object, name.encode())
        if not found:
            raise Error(f"The BPF object has no map {name}", "watch", "install Holdfast again")
        return Table(self._library, found)

    def close(self) -> None:
        """Detach every program and remove the object from the kernel."""
        if self._object:
            for program in self.programs.values():
                program.detach()
            self._library.calls.bpf_object__close(self._object)
            self._object = None

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def _walk(self, following: ctypes._NamedFuncPointer) -> Iterator[int]:
        found = following(self._object, None)
        while found:
            yield found
            found = following(self._object, found)


def processors() -> int:
    """Return how many processors a per-processor map has values for."""
    found: int = library().calls.libbpf_num_possible_cpus()
    return found


def per_processor(value: bytes, form: struct.Struct) -> Iterator[tuple[int, ...]]:
    """Split what a per-processor map returned; each value is padded to 8 bytes."""
    step = (form.size + 7) // 8 * 8
    for at in range(0, len(value) - form.size + 1, step):
        yield form.unpack_from(value, at)


def refused(what: str, number: int, called: Library) -> Error:
    """Make the error of a call that the kernel refused, with the end of what libbpf said."""
    said = called.said.decode(errors="replace").strip()
    last = "\n".join(said.splitlines()[-TOLD:])
    name = errno.errorcode.get(number, str(number))
    if number in {errno.EPERM, errno.EACCES} and "verifier" not in said and "PROG LOAD LOG" not in said:
        return NotPermitted(
            f"{what}: {name}", "bpf(2)",
            "run as root with CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE, on a kernel that is not locked down",
        )  # fmt: skip
    return BpfRefused(
        f"{what}: {name}" + (f"\n{last}" if last else ""), "bpf(2)", "see the log above; holdfast watch --check"
    )
