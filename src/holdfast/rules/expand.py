"""Lists and macros written out.

A list's items may name lists that were defined before it; those are written out one level deep, from their items as
they stand. Everything else about lists is substitution of text. A macro is a tree, and may use the macros that were
defined before its own last definition.

Source:
    falcosecurity/falco, ``userspace/engine/{rule_loader_compiler,filter_macro_resolver}.cpp``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.rules.condition import NotACondition, parse
from holdfast.rules.definitions import Definitions, MacroDefinition
from holdfast.rules.exceptions import quoted_item
from holdfast.rules.nodes import And, Condition, Name, Not, Or
from holdfast.rules.problems import Place, Problem, Wrong
from holdfast.rules.spelling import leaves
from holdfast.rules.written import LONGEST, TooLong, Written, substituted

SIZE = 50_000
"""Most comparisons of one condition with its macros written out. The largest stock rule has 1,100."""
DEPTH = 250
"""Deepest nesting of one condition with its macros written out."""
_CHAIN = 100
"""Longest chain of macros of which each uses one that is defined later."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """A condition.

    Attributes:
        own: As it was written, lists written out.
        whole: Macros written out too. Parts that came from one macro are one object.
        lists, macros: What it uses itself.
        written: Where it was written.
        added: What exceptions added to the text.
        size: Comparisons in ``whole``.
        depth: Nesting of ``whole``.
    """

    own: Condition
    whole: Condition
    lists: tuple[str, ...]
    macros: tuple[str, ...]
    written: Written
    added: str = ""
    size: int = 1
    depth: int = 1


def compiled_lists(definitions: Definitions) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the items of each list, one level of other lists written out, and which lists each one named."""
    made: dict[str, list[str]] = {}
    named: dict[str, list[str]] = {}
    for one in definitions.lists.values():
        items: list[str] = []
        named[one.name] = []
        for item in one.items:
            other = definitions.lists.get(item)
            if other is not None and other.index < one.visible:
                named[one.name].append(item)
                items.extend(quoted_item(value) for value in other.items)
            else:
                items.append(quoted_item(item))
        made[one.name] = items
    return made, named


class Expander:
    """Everything that was defined, ready to be written out.

    Attributes:
        lists: The items of each list.
        list_names: Which lists each list named.
        macros: The macros that could be read.
        broken: Why the others could not be.
        used: Names of the lists and macros that something uses, as ``("macro", name)``.
    """

    def __init__(self, definitions: Definitions) -> None:
        """Read every macro. Nothing is raised; a macro that is wrong counts when a rule uses it."""
        self._definitions = definitions
        self.lists, self.list_names = compiled_lists(definitions)
        self.macros: dict[str, Expanded] = {}
        self.broken: dict[str, Wrong] = {}
        self.used: set[tuple[str, str]] = {("list", name) for named in self.list_names.values() for name in named}
        for macro in definitions.macros.values():
            try:
                self.macros[macro.name] = self._read(macro.condition, "")
            except Wrong as wrong:
                self.broken[macro.name] = wrong
        for macro in definitions.macros.values():
            if macro.name in self.macros:
                self._expand_macro(macro)

    def rule(self, condition: Written, added: str) -> Expanded:
        """Read a rule's condition and write everything out.

        Args:
            condition: As written.
            added: What its exceptions add.

        Raises:
            Wrong: It is no condition, or it uses a macro that is wrong or does not exist.
        """
        found = self._read(condition, added)
        self.used.update(("macro", name) for name in found.macros)
        return self._written_out(found, self.macros, (), {})

    def place(self, expanded: Expanded, at: int) -> Place:
        """Find the place of an offset in the text of a condition whose lists were written out."""
        return self._place(expanded.written, expanded.added, at)

    def _place(self, written: Written, added: str, at: int) -> Place:
        origins = substituted(written.text + added, self.lists, tracked=True).origins or [0]
        offset = origins[min(at, len(origins) - 1)] if at < len(origins) else len(written.text)
        return written.place(min(offset, max(len(written.text) - 1, 0)))

    def _read(self, written: Written, added: str) -> Expanded:
        try:
            made = substituted(written.text + added, self.lists)
        except TooLong as error:
            what = f"with the list {str(error)[:60]!r} written out the condition is longer than {LONGEST} characters"
            raise Wrong(what, written.place(0)) from error
        self.used.update(("list", name) for name in made.used)
        try:
            own = parse(made.text)
        except NotACondition as error:
            raise Wrong(error.what, self._place(written, added, error.at)) from error
        if _depth(own, {}) > DEPTH:
            raise Wrong(f"the condition is nested deeper than {DEPTH} levels", written.place(0))
        macros = tuple(dict.fromkeys(leaf.name for leaf in leaves(own) if isinstance(leaf, Name)))
        return Expanded(own, own, tuple(made.used), macros, written, added)

    def _expand_macro(self, macro: MacroDefinition) -> None:
        visible = {
            name: self.macros[name]
            for name, one in self._definitions.macros.items()
            if one.index < macro.visible and name in self.macros
        }
        read = self.macros[macro.name]
        self.used.update(("macro", name) for name in read.macros if name in visible)
        try:
            self.macros[macro.name] = self._written_out(read, visible, (macro.name,), {})
        except Wrong as wrong:
            self.broken[macro.name] = wrong
            del self.macros[macro.name]

    def _written_out(
        self, read: Expanded, visible: Mapping[str, Expanded], inside: tuple[str, ...], known: dict[str, Expanded]
    ) -> Expanded:
        """Write the macros of a condition out; ``known`` keeps those that were written out on the way."""
        made: dict[str, tuple[Condition, int, int]] = {}
        for name in read.macros:
            found = visible.get(name)
            if found is None:
                raise Wrong(self._missing(name), self._where(read, name), "define the macro before it is used")
            if name in inside:
                raise Wrong(f"the macro {name!r} uses itself", self._where(read, name))
            if found.macros and found.whole is found.own:
                if len(inside) > _CHAIN:
                    raise Wrong("macros use each other too deeply", self._where(read, name))
                if name not in known:
                    known[name] = self._written_out(found, visible, (*inside, name), known)
                found = known[name]
            made[name] = (found.whole, found.size, found.depth)
        return _measured(read, _replaced(read.own, made) if made else read.own, made)

    def _missing(self, name: str) -> str:
        broken = self.broken.get(name)
        if broken is not None:
            return f"the macro {name[:60]!r} cannot be used: {broken.what} ({broken.place})"
        late = " at this place; it is defined later" if name in self._definitions.macros else ""
        return f"there is no macro {name[:60]!r}{late}"

    def _where(self, read: Expanded, name: str) -> Place:
        at = next((leaf.at for leaf in leaves(read.own) if isinstance(leaf, Name) and leaf.name == name), 0)
        return self.place(read, at)

    def problems(self) -> list[Problem]:
        """Return the macros that are wrong, and the lists and macros that nothing uses."""
        found = [Problem(wrong.what, wrong.place, "macro", name, wrong.next) for name, wrong in self.broken.items()]
        for kind, table in (("macro", self._definitions.macros), ("list", self._definitions.lists)):
            for name, one in table.items():
                if (kind, name) not in self.used and name not in self.broken:
                    found.append(Problem(f"nothing uses the {kind}", one.place, kind, name, warning=True))
        return found


def _replaced(condition: Condition, made: Mapping[str, tuple[Condition, int, int]]) -> Condition:
    if isinstance(condition, Name):
        return made[condition.name][0]
    if isinstance(condition, Not):
        return Not(_replaced(condition.part, made))
    if isinstance(condition, And):
        return And(tuple(_replaced(part, made) for part in condition.parts))
    if isinstance(condition, Or):
        return Or(tuple(_replaced(part, made) for part in condition.parts))
    return condition


def _measured(read: Expanded, whole: Condition, made: Mapping[str, tuple[Condition, int, int]]) -> Expanded:
    size = sum(made[leaf.name][1] if isinstance(leaf, Name) else 1 for leaf in leaves(read.own))
    depth = _depth(read.own, made)
    if size > SIZE:
        raise Wrong(
            f"with its macros written out the condition has more than {SIZE} comparisons", read.written.place(0)
        )
    if depth > DEPTH:
        raise Wrong(f"with its macros written out the condition is nested deeper than {DEPTH}", read.written.place(0))
    return Expanded(read.own, whole, read.lists, read.macros, read.written, read.added, size, depth)


def _depth(condition: Condition, made: Mapping[str, tuple[Condition, int, int]]) -> int:
    deepest = 0
    open_: list[tuple[Condition, int]] = [(condition, 1)]
    while open_:
        one, depth = open_.pop()
        if isinstance(one, Name) and one.name in made:
            depth += made[one.name][2]
        elif isinstance(one, Not):
            open_.append((one.part, depth + 1))
        elif isinstance(one, And | Or):
            open_.extend((part, depth + 1) for part in one.parts)
        deepest = max(deepest, depth)
    return deepest
