"""Which records of process life are not worth a look: of the host's processes that began and ended since the last one.

Most of what a host starts lives a few milliseconds. Where no rule is about it, where it did nothing that is wanted and
left no child, nobody will ever ask for it. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from holdfast.sensor.decode import CONTAINED, ENDED, EXEC, FORK, RUNTIME, SEPARATE, URGENT
from holdfast.sensor.layout import Layout

_MATTERS = CONTAINED | SEPARATE | RUNTIME | URGENT
_SUBJECT = (("subject.start_ns", "Q"), ("subject.flags", "I"), ("subject.pid", "I"))


class Brief:
    """Finds them among the records of one object."""

    def __init__(self, layout: Layout) -> None:
        """Prepare for a layout."""
        self._kind = layout.head.offsets["kind"]
        self._forms = {
            kind: _form(layout.records[kind].offsets, (*_SUBJECT, *more))
            for kind, more in ((FORK, (("by", "I"),)), (EXEC, ()), (ENDED, ()))
        }

    def among(self, records: Sequence[bytes]) -> frozenset[int]:
        """Find them.

        Args:
            records: Of the ring of process life, in their order.

        Returns:
            Indexes of records that may be left out.
        """
        told: list[tuple[int, int, int, int]] = []
        begun: dict[tuple[int, int], int] = {}
        ended: set[tuple[int, int]] = set()
        matter: set[tuple[int, int]] = set()
        for index, record in enumerate(records):
            form = self._forms.get(record[self._kind]) if len(record) > self._kind else None
            if form is None or len(record) < form.size:
                continue
            start, flags, pid, *by = form.unpack_from(record)
            key = pid, start
            told.append((index, pid, start, by[0] if by else 0))
            if by:
                begun[key] = index
            elif record[self._kind] == ENDED:
                ended.add(key)
            if flags & _MATTERS:
                matter.add(key)
        brief = {pid: (pid, start) for pid, start in begun.keys() & ended - matter}
        # A process that stays needs its ancestors. Children are told after their parents.
        for _, pid, start, by_pid in reversed(told):
            if by_pid and brief.get(pid) != (pid, start):
                brief.pop(by_pid, None)
        return frozenset(index for index, pid, start, _ in told if brief.get(pid) == (pid, start))


def _form(offsets: Mapping[str, int], members: Sequence[tuple[str, str]]) -> struct.Struct:
    """Unpack some members alone. They lie in the order in which they are named."""
    form, at = "<", 0
    for name, code in members:
        form += f"{offsets[name] - at}x{code}"
        at = offsets[name] + struct.calcsize(f"<{code}")
    return struct.Struct(form)
