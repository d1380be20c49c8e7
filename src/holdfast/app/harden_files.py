"""Files that are to be hardened: read as a scan reads them, patched in memory, read again, and written back."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.app.documents import Reader, is_override, overrides
from holdfast.app.troubles import as_trouble
from holdfast.collect import files
from holdfast.collect.parse import as_text, parse
from holdfast.collect.reading import read_bytes
from holdfast.model.change import Change
from holdfast.model.errors import Error, NotPermitted, NotUnderstood, Unsafe
from holdfast.model.facts import Facts
from holdfast.model.place import Where
from holdfast.model.tree import Document
from holdfast.model.workload import Described, Reading
from holdfast.model.written import Unwritten, Written
from holdfast.platforms import Platform, kubernetes

STANDARD_INPUT = "standard input"


@dataclass(slots=True)
class Source:
    """One file with the workloads that it describes.

    Attributes:
        path: As the person reached it; ``STANDARD_INPUT`` for what was piped in.
        data: Its bytes.
        over: Files that are merged over it, with their bytes.
        named: The person named this very file.
        workloads: What it describes.
        text: Its text with the changes made so far; None where it cannot be edited.
    """

    path: str
    data: bytes
    over: tuple[tuple[str, bytes], ...]
    named: bool
    workloads: list[Described] = field(default_factory=list)
    text: str | None = None

    @property
    def before(self) -> str:
        """The text as it was read."""
        return self.data.decode("utf-8")


class Sources:
    """Reads files, and reads again what became of them."""

    def __init__(self, reader: Reader) -> None:
        """Prepare."""
        self.reader = reader
        self.troubles: list[NotUnderstood] = []
        self.shared: list[Facts] = []
        self._last: tuple[str, str, tuple[Described, ...]] = ("", "", ())

    def read(self, paths: Sequence[str], seen: Callable[[int, str], None]) -> list[Source]:
        """Read every file below some paths that describes a workload.

        Args:
            paths: Files, folders, or ``-``.
            seen: Told how many files were found, and the last of them.
        """
        found: list[Source] = []
        if "-" in paths:
            data = b"" if sys.stdin is None else sys.stdin.buffer.read(self.reader.max_bytes + 1)
            self._take(Source(STANDARD_INPUT, data, (), True), found)
        names = [path for path in paths if path != "-"]
        met: set[str] = set()
        for one in files.walk(names, seen) if names else ():
            if isinstance(one, Error):
                self.troubles.append(as_trouble(one))
                continue
            whole = os.path.realpath(one.path)
            if whole in met or (not one.named and is_override(one.path)):
                continue
            met.add(whole)
            data_or_error = read_bytes(one.path, self.reader.max_bytes)
            if isinstance(data_or_error, Error):
                self.troubles.append(as_trouble(data_or_error))
                continue
            if one.named or files.may_hold_documents(one.path, data_or_error):
                self._take(Source(one.path, data_or_error, self._over(one.path, names), one.named), found)
        other = kubernetes.others(self.shared)
        for source in found:
            source.workloads = [other(each) if kubernetes.waits(each) else each for each in source.workloads]
        return found

    def _over(self, path: str, names: Sequence[str]) -> tuple[tuple[str, bytes], ...]:
        named_too = sum(os.path.isfile(name) for name in names) > 1  # noqa: PTH113 - plain strings
        pairs = ((name, read_bytes(name, self.reader.max_bytes)) for name in (() if named_too else overrides(path)))
        return tuple((name, data) for name, data in pairs if isinstance(data, bytes))

    def _take(self, source: Source, found: list[Source]) -> None:
        reading = self._reading(source, source.data)
        self.troubles.extend(reading.problems)
        if len(reading.shared):
            self.shared.append(reading.shared)
        if reading.workloads:
            source.workloads = list(reading.workloads)
            with suppress(UnicodeDecodeError):
                source.text = source.before
            found.append(source)

    def _reading(self, source: Source, data: bytes) -> Reading:
        return self.reader.read(source.path, data, named=source.named, overlays=source.over)

    def again(self, source: Source, index: int) -> Described | None:
        """Return a workload as the present text describes it; None where it cannot be found there any more."""
        if source.text is None:
            return None
        if source.text == source.before:
            return source.workloads[index]
        if self._last[:2] != (source.path, source.text):
            workloads = self._reading(source, source.text.encode()).workloads
            self._last = (source.path, source.text, workloads)
        workloads = self._last[2]
        if len(workloads) != len(source.workloads):
            return None
        found = workloads[index]
        return kubernetes.others(self.shared)(found) if kubernetes.waits(found) else found

    def write(self, source: Source, described: Described, changes: Sequence[Change]) -> Written:
        """Write changes into the text of a file, in memory.

        Args:
            source: The file.
            described: The workload as the present text describes it.
            changes: What to change.
        """
        where = described.workload.source
        if source.text is None:
            return _unwritten("", changes, "the file is not UTF-8; make the change by hand", where)
        platform, document = self._dialect(source)
        write = getattr(platform, "write", None)
        if document is None or write is None:
            why = f"Holdfast does not write {getattr(platform, 'NAME', 'such')} files yet; make the change by hand"
            return _unwritten(source.text, changes, why, where)
        try:
            written: Written = write(source.text, document, described, changes)
        except NotUnderstood as error:
            return _unwritten(source.text, changes, f"{error.what}; make the change by hand", where)
        return written

    def _dialect(self, source: Source) -> tuple[Platform | None, Document | None]:
        data = (source.text or "").encode()
        try:
            document = parse(source.path, data)[0]
        except NotUnderstood:
            return None, None
        platform = self.reader.dialect(document)
        if platform is None and source.named:
            document = as_text(source.path, data)
            platform = self.reader.dialect(document)
        return platform, document


def _unwritten(text: str, changes: Sequence[Change], why: str, where: Where) -> Written:
    return Written(text, tuple(Unwritten(change, why, where) for change in changes))


def hold_writable(path: str, before: bytes) -> None:
    """See that a file can be replaced, before any other one is.

    Args:
        path: The file.
        before: What it held when it was read.

    Raises:
        NotPermitted: The file is read-only, or its folder lets nobody put a file beside it.
        Unsafe: It was changed since it was read.
        Error: It cannot be read any more.
    """
    place = Path(path).resolve()
    try:
        if not place.stat().st_mode & 0o222 or not os.access(place, os.W_OK):
            raise NotPermitted("the file is read-only", path, "make it writable, or apply the diff yourself")
        if not os.access(place.parent, os.W_OK):
            raise NotPermitted("nothing can be written into the file's folder", path, "apply the diff yourself")
        if place.read_bytes() != before:
            raise Unsafe("the file was changed while it was being hardened", path, "run the command again")
    except OSError as error:
        raise _refused(error, path) from error


def replace_file(path: str, before: bytes, after: bytes) -> None:
    """Put new bytes in a file's place, all at once; owner and mode stay. A symbolic link stays one.

    Args:
        path: The file.
        before: What it held when it was read.
        after: What it is to hold.

    Raises:
        NotPermitted: As from ``hold_writable``.
        Unsafe: The same.
        Error: It cannot be written.
    """
    hold_writable(path, before)
    place = Path(path).resolve()
    try:
        state = place.stat()
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        beside = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(state.st_mode & 0o7777)
            with suppress(PermissionError):
                os.chown(beside, state.st_uid, state.st_gid)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(error, path) from error


def _refused(error: OSError, path: str) -> Error:
    kind = NotPermitted if isinstance(error, PermissionError) or error.errno == 30 else Error  # EROFS
    return kind(f"the file cannot be written: {error.strerror}", path, "apply the diff yourself")
