"""Proofs as JSON text: leaves name the fact, what was asked, what was seen and where.

Of a thousand workloads most are asked the same and answer alike, and only the places differ. What repeats is encoded
once; a plain encoder spends half the time of a scan on it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from holdfast.model.facts import Absent, Seen
from holdfast.model.logic import All, Atom
from holdfast.model.place import Where
from holdfast.model.proof import Proof
from holdfast.reports._digest import place_of, reached
from holdfast.reports._json_text import text_of
from holdfast.reports._values import machine

_MOST_KEPT = 20_000
_UNASKED = "nobody answers this question here"


class Proofs:
    """Writes the proofs of one report."""

    def __init__(self) -> None:
        """Begin with nothing remembered."""
        self._texts: dict[str, str] = {}
        self._asked: dict[int, tuple[Atom, str]] = {}
        self._answers: dict[Hashable, tuple[str, str, tuple[object, ...]]] = {}

    def tree(self, proof: Proof) -> str:
        """Write a proof with all its parts."""
        expr = proof.expr
        if isinstance(expr, Atom):
            return self._leaf(proof, expr)
        join = "all" if isinstance(expr, All) else "any"
        parts = ",".join([self.tree(part) for part in proof.parts])
        return f'{{"truth":"{proof.truth.word}","text":"{join} of","join":"{join}","parts":[{parts}]}}'

    def place(self, where: Where | None) -> str:
        """Write a place."""
        if where is None:
            return "null"
        document, pointer = self._text(where.document), text_of(where.pointer)
        return f'{{"document":{document},"pointer":{pointer},"line":{where.line or "null"}}}'

    def _leaf(self, proof: Proof, atom: Atom) -> str:
        head = f'{{"truth":"{proof.truth.word}",{self._question(atom)}'
        seen = proof.seen
        if not isinstance(seen, Seen):
            where, reason = (seen.where, seen.reason) if isinstance(seen, Absent) else (None, _UNASKED)
            return f'{head},"place":{self.place(where)},"reason":{self._text(reason)}}}'
        value, through, members = self._answer(proof, atom, seen.value)
        note = f',"note":{self._text(seen.note)}' if seen.note else ""
        return f'{head},"seen":{value},"place":{self.place(place_of(seen, members))}{through}{note}}}'

    def _text(self, text: str) -> str:
        """Write a text that is likely to come again: a document's name, a note, a reason."""
        known = self._texts.get(text)
        if known is None:
            if len(self._texts) > _MOST_KEPT:
                self._texts.clear()
            known = self._texts[text] = text_of(text)
        return known

    def _question(self, atom: Atom) -> str:
        """Write what was asked. Atoms belong to the catalogue: there are few, and holding one keeps its id its own."""
        known = self._asked.get(id(atom))
        if known is None:
            told = {"text": str(atom), "fact": atom.fact.name, "op": atom.op.value, "value": machine(atom.value)}
            known = self._asked[id(atom)] = (atom, text_of(told)[1:-1])
        return known[1]

    def _answer(self, proof: Proof, atom: Atom, value: Any) -> tuple[str, str, tuple[object, ...]]:
        """Return what was seen, and the members through which it answers, as text and as they are."""
        key = (id(atom), value.__class__, value)
        try:
            known = self._answers.get(key)
        except TypeError:  # it cannot be hashed: a malformed document
            return self._answered(proof, atom, value)
        if known is None:
            if len(self._answers) > _MOST_KEPT:
                self._answers.clear()
            known = self._answers[key] = self._answered(proof, atom, value)
        return known

    def _answered(self, proof: Proof, atom: Atom, value: Any) -> tuple[str, str, tuple[object, ...]]:
        members = reached(proof)
        through = f',"through":{text_of([machine(member) for member in members])}' if members else ""
        return text_of(machine(value, atom.value)), through, members
