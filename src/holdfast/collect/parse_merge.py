"""The merge key ``<<``, in the two ways in which engines read it."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.collect.parse_limits import Refused
from holdfast.model.tree import Mapping, Node, Sequence


@dataclass(slots=True)
class Merge:
    """One ``<<`` of a mapping.

    Attributes:
        before: Keys that were written out before it.
        duplicates: How many repeated keys had been seen before it.
        line: Of the ``<<``.
        value: A mapping or a list of mappings.
    """

    before: frozenset[str]
    duplicates: int
    line: int
    value: Node | None = None


def merge(mapping: Mapping, merges: list[Merge]) -> None:
    """Add what the merge keys bring.

    A key that is written out keeps its value in ``entries``. Where it was written before the ``<<``, go-yaml v2 sets
    it again when it comes to the ``<<``; that value goes to ``late``. Of several mappings in a list the first wins.

    Raises:
        Refused: The value is neither a mapping nor a list of mappings.

    Source:
        https://yaml.org/type/merge.html and the decoder of go-yaml v2 as sigs.k8s.io/yaml carries it.
    """
    written = frozenset(mapping.entries)
    late: dict[str, Node] = {}
    for one in merges:
        again = {key for key, _ in mapping.duplicates[one.duplicates :]}
        for source in _sources(one):
            overridden = source.late or {}
            for key, node in source.entries.items():
                if key not in written:
                    mapping.entries[key] = node
                    mapping.key_lines[key] = source.key_lines.get(key, node.line)
                    late.pop(key, None)
                    if key in overridden:
                        late[key] = overridden[key]
                elif key in one.before and key not in again:
                    late[key] = overridden.get(key, node)
    if late:
        mapping.late = late


def _sources(one: Merge) -> list[Mapping]:
    if isinstance(one.value, Mapping):
        return [one.value]
    if isinstance(one.value, Sequence):
        sources = [element for element in one.value.elements if isinstance(element, Mapping)]
        if len(sources) == len(one.value.elements):
            return sources[::-1]
    raise Refused("<< takes a mapping or a list of mappings", "merge a mapping, or quote the key", one.line)
