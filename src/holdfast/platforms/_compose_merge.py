"""How Compose merges two definitions: mappings key by key, lists one after the other, scalars by the later one.

``!reset`` takes away what the earlier definition says, ``!override`` replaces it. The same rules hold for override
files, for ``extends`` and for an include of several files.

Source:
    https://docs.docker.com/reference/compose-file/merge/, compose-go ``override/merge_node.go``.
"""

from __future__ import annotations

from holdfast.model.errors import NotUnderstood
from holdfast.platforms._compose_tree import OVERRIDE, RESET, Branch, Leaf, Row, Tree

_LIKE_LISTS = frozenset({"annotations", "labels", "sysctls", "tmpfs"})
_LIKE_MAPPINGS = frozenset({"networks"})


def merged(base: Tree, later: Tree, problems: list[NotUnderstood], key: str = "") -> Tree:
    """Merge two trees; neither is changed.

    Args:
        base: The earlier definition.
        later: The later one; it wins.
        problems: Takes what does not fit together.
        key: Name of the field.
    """
    if later.tag == OVERRIDE:
        return later
    if key in _LIKE_LISTS:
        base, later = _listed(base), _listed(later)
    elif key in _LIKE_MAPPINGS:
        base, later = _mapped(base), _mapped(later)
    if isinstance(base, Branch) and isinstance(later, Branch):
        return _branches(base, later, problems)
    if isinstance(base, Row) and isinstance(later, Row):
        return Row([*base.items, *later.items], base.where, base.source)
    if isinstance(later, Leaf) and later.value is None and not later.unknown and not isinstance(base, Leaf):
        return base
    if isinstance(base, Leaf) and (isinstance(later, Leaf) or (base.value is None and not base.unknown)):
        return later
    reason = f"{key or 'this'} is of another kind than what it is merged with; Compose refuses that"
    problems.append(NotUnderstood(reason, str(later.where), "write both in the same form", later.where.line))
    return Leaf(None, "", later.where, later.source, reason)


def _branches(base: Branch, later: Branch, problems: list[NotUnderstood]) -> Branch:
    entries = dict(base.entries)
    places = dict(base.places)
    for key, child in later.entries.items():
        place = later.place(key)
        present = entries.get(key)
        if child.tag == RESET:
            entries.pop(key, None)
            places.pop(key, None)
            continue
        entries[key] = child if present is None else merged(present, child, problems, key)
        if present is None or not isinstance(child, Branch | Row) or child.tag == OVERRIDE:
            places[key] = place
    return Branch(entries, later.where, later.source, places, "", base.gap or later.gap)


def _listed(tree: Tree) -> Tree:
    if isinstance(tree, Branch):
        items: list[Tree] = []
        for key, child in tree.items():
            text = child.text if isinstance(child, Leaf) else ""
            unknown = child.unknown if isinstance(child, Leaf) else f"{key} is no plain value"
            items.append(Leaf(f"{key}={text}", f"{key}={text}", tree.place(key), tree.source, unknown))
        return Row(items, tree.where, tree.source)
    if isinstance(tree, Leaf) and (tree.value is not None or tree.unknown):
        return Row([tree], tree.where, tree.source)
    return Row([], tree.where, tree.source) if isinstance(tree, Leaf) else tree


def _mapped(tree: Tree) -> Tree:
    if isinstance(tree, Row):
        entries: dict[str, Tree] = {}
        for item in tree.items:
            if isinstance(item, Leaf):
                entries[item.text] = Leaf(None, "", item.where, item.source, item.unknown)
        return Branch(entries, tree.where, tree.source, {key: item.where for key, item in entries.items()})
    if isinstance(tree, Leaf) and tree.value is None and not tree.unknown:
        return Branch({}, tree.where, tree.source)
    return tree
