"""Every sentence that a report for people says, in one table for each language.

A report never spells a sentence itself: it asks for a key and hands over the parts. A translation is one more table
with the same keys; a key it lacks falls back to English, so that a half-finished one is still usable. Names of facts,
techniques and files are never translated: people search for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.model.facts import Fact
from holdfast.model.report import Verdict
from holdfast.model.truth import Truth
from holdfast.reports._words_drill import DRILL
from holdfast.reports._words_harden import HARDEN
from holdfast.reports._words_told import TOLD

ENGLISH: Mapping[str, str] = {
    # --- verdicts, truths, goals, comparisons
    "verdict.escapable": "escapable",
    "verdict.unknown": "unknown",
    "verdict.contained": "contained",
    "truth.yes": "yes",
    "truth.no": "no",
    "truth.unknown": "unknown",
    "goal.reach.host_root": "host root",
    "goal.reach.engine_api": "engine API",
    "goal.reach.host_file_write": "host file write",
    "goal.reach.host_file_read": "host file read",
    "goal.reach.host_process": "host process",
    "goal.reach.engine_user": "engine's user",
    "goal.reach.node_credentials": "node credentials",
    "goal.reach.other_container": "other container",
    "op.IS": "is",
    "op.IS_NOT": "is not",
    "op.ONE_OF": "is one of",
    "op.NONE_OF": "is none of",
    "op.HAS": "has",
    "op.LACKS": "lacks",
    "op.COVERS": "covers",
    "op.NOT_COVERS": "does not cover",
    "op.BELOW": "reaches below",
    "op.NOT_BELOW": "does not reach below",
    "op.AT_LEAST": "is at least",
    "op.LESS_THAN": "is less than",
    "op.STARTS_WITH": "starts with",
    "op.NOT_STARTS_WITH": "does not start with",
    "op.ENDS_WITH": "ends with",
    "op.NOT_ENDS_WITH": "does not end with",
    "op.CONTAINS": "contains",
    "op.NOT_CONTAINS": "does not contain",
    "join.all": "all of",
    "join.any": "any of",
    "join.always": "always",
    "join.never": "never",
    # --- values
    "value.yes": "yes",
    "value.no": "no",
    "value.none": "nothing",
    "value.everything": "everything",
    "value.everything_but": "everything but {names}",
    "value.rest_unknown": "{names}; the rest is unknown",
    "value.perhaps": "{names}; perhaps {maybe}",
    "value.names": "{count} names",
    "value.opaque": "judged name by name",
    "value.holds.yes": "has {name}",
    "value.holds.no": "lacks {name}",
    "value.holds.unknown": "nobody knows about {name}",
    "value.other_than": "not {value}",
    "value.structure": "a structure of {count} entries",
    "value.is": "it is {value}",
    "value.through": "through {value}",
    "change.set": "{fact} becomes {value}",
    "change.with": "{fact} also has {names}",
    "change.without": "{fact} without {names}",
    "change.instead": "{fact}: {old} becomes {new}",
    "told.holds": ", which holds {names}",
    # --- one workload
    "path.arrow": "->",
    "path.leads": "leads to",
    "path.more": "more ways: {ways}",
    "path.more_counted": "and {count} more (--verbose)",
    "path.alike": "as {name} above: {ways}",
    "path.maybe": "may be open too: {ways}",
    "facts.more.one": "and 1 more fact (--verbose)",
    "facts.more.many": "and {count} more facts (--verbose)",
    "mark.unconfirmed": "confirmed by no drill yet",
    "fix": "fix: {text}",
    "look_at": "look at:",
    "look_at.how.host": "who knows what to look at can say so: --assume FACT=VALUE",
    "look_at.how.no_host": "to decide what is unknown: --host this, or --assume FACT=VALUE for what to look at",
    "not_seen": "not seen: {reason}",
    "not_seen.bare": "not seen",
    "not_seen.names": "not known about {names}",
    "seen_in_part": "known only in part: {value}",
    "seen": "seen: {value}",
    "place.line": "line {line}",
    "place.unknown": "place not recorded",
    "surface": "wider attack surface: {ids}",
    "surface.all": "wider attack surface, no way out by itself: {ids}",
    "surface.one": "{id} ({count})",
    "contradiction": "contradiction: {fact} is declared as {declared}, but is {effective}; the latter was judged",
    # --- the whole report
    "left_out": "{count} more are not shown (--verbose): {verdicts}",
    "host_only.no_host.one": "1 way depends only on the host, which was not seen: give --host this",
    "host_only.no_host.many": "{count} ways depend only on the host, which was not seen: give --host this",
    "host_only.host.one": "1 way depends only on what {host} did not show: {facts}",
    "host_only.host.many": "{count} ways depend only on what {host} did not show: {facts}",
    "assumption.one": "1 way needs something that no scan can see; count it with {options}",
    "assumption.many": "{count} ways need something that no scan can see; count them with {options}",
    "assumption.option": "--assume {fact}",
    "not_understood.title": "not understood",
    "not_understood.where": "where: {where}",
    "not_understood.next": "next: {next}",
    "note": "note: {text}",
    "baseline.one": "1 finding of the baseline is left out",
    "baseline.many": "{count} findings of the baseline are left out",
    "baseline.workloads.one": "1 container is left out: nothing about it is new",
    "baseline.workloads.many": "{count} containers are left out: nothing about them is new",
    "edges.title": "who leads to whom",
    "edge": "{start} -> {end}",
    "edge.through": "through {techniques}",
    "summary.one": "1 container: {verdicts}",
    "summary.many": "{count} containers: {verdicts}",
    "summary.nothing": "no container found",
    "summary.nothing_new": "nothing new",
    "summary.verdict": "{count} {verdict}",
    "summary.not_understood.one": "1 document not understood",
    "summary.not_understood.many": "{count} documents not understood",
    # --- a technique's page
    "page.id": "id",
    "page.row": "row in the list of escapes",
    "page.attack": "ATT&CK",
    "page.evidence": "evidence",
    "page.since": "since",
    "page.drill": "drill",
    "page.confirmed": "{evidence}; confirmed by a drill",
    "page.unconfirmed": "{evidence}; confirmed by no drill yet",
    "evidence.SOURCE": "read in a source",
    "evidence.DEDUCED": "deduced from a source",
    "evidence.COMMON_KNOWLEDGE": "common knowledge",
    "page.condition": "Open when",
    "page.gives": "What it gives",
    "page.closed_by": "Closed by",
    "page.seen_as": "How it is seen",
    "page.seen_never": "It makes no call that a sensor could see.",
    "page.examples": "Examples",
    "page.example": "situation",
    "page.verdict": "verdict",
    "page.steps": "Steps of the drill",
    "page.sources": "Sources",
    # --- the list of facts
    "listing.unanswered": "nobody answers: {names}",
    "listing.title": "{name} ({kind})",
    "listing.empty": "no fact is known",
    # --- SARIF
    "sarif.result.yes": "{workload} can be escaped through {technique}: {title}.",
    "sarif.result.unknown": "{workload} may be escapable through {technique}: {title}.",
    "sarif.result.surface": "{workload} has a wider attack surface through {technique}: {title}.",
    "sarif.way": "Way out: {chain}.",
    "sarif.not_seen": "Nobody could see: {facts}.",
    "sarif.unconfirmed": "No drill has confirmed this yet.",
    "sarif.fix": "Fix: {text}.",
    "sarif.root": "The folder that was scanned",
    "sarif.engine": "Objects that a container engine describes; not a folder",
    "sarif.host": "The file system of the machine that was scanned",
    # --- HTML
    "html.title": "Holdfast: who can leave their container",
    "html.skip": "Skip to the containers",
    "html.heading": "Can somebody who takes over a container reach the host?",
    "html.host": "Judged against the host {host}.",
    "html.some_host": "What runs is judged against the host {host}, documents without a host: what depends on the host "
    "alone is summed up below.",
    "html.no_host": "Judged without a host: what depends on the host alone is summed up below.",
    "html.tool": "Holdfast {version}",
    "html.tool.bare": "Holdfast",
    "html.graph": "Escape graph",
    "html.graph.about": "Containers on the left, ways out in the middle, what is reached on the right. A solid line is "
    "certain; a dashed line hangs on facts that nobody saw. Choose a container to read its reasons.",
    "html.graph.none": "No way out of any container is open, as far as the facts show.",
    "html.graph.left_out": "{count} more groups of containers are in the list below only.",
    "html.graph.scroll": "Escape graph, drawn; can be scrolled",
    "html.graph.list": "Escape graph as a list",
    "html.graph.group": "{count} containers with the same ways out",
    "html.graph.others.one": "1 other container",
    "html.graph.others.many": "{count} other containers",
    "html.column.others": "and from there",
    "html.more": "and {count} more",
    "html.explained": "The ways out, explained",
    "html.column.workloads": "container",
    "html.column.ways": "way out",
    "html.column.goals": "reaches",
    "html.workloads": "Containers",
    "html.filter": "Show",
    "html.filter.all": "all",
    "html.search": "Name, image or file contains",
    "html.shown": "{count} shown",
    "html.expand": "Open all",
    "html.collapse": "Close all",
    "html.none": "No container was found.",
    "html.image": "image",
    "html.paths": "Ways out",
    "html.findings": "Reasons",
    "html.surface": "Wider attack surface",
    "html.look_at": "Look at",
    "html.closed_by": "Any of these ends it",
    "html.proof": "Why: every condition, what was seen, and where",
    "html.contradictions": "Contradictions",
    "html.contradiction": "declared as {declared}, but is {effective}; the latter was judged",
    "html.summed_up": "Also open to question",
    "html.edges": "Who leads to whom",
    "html.not_understood": "Not understood",
    "html.not_understood.about": "These documents could not be read. What they describe is unknown, not safe.",
    "html.notes": "Notes",
    "html.glossary": "The questions that were asked",
    "html.verdict.escapable": "a way out of which every condition is met",
    "html.verdict.unknown": "a way out with conditions that nobody could see",
    "html.verdict.contained": "no way out",
    **DRILL,
    **HARDEN,
    **TOLD,
}

TABLES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH}
"""Languages by their RFC 5646 tag."""


class Words:
    """One language's sentences."""

    __slots__ = ("language", "table")

    def __init__(self, language: str = "en") -> None:
        """Choose a language; an unknown one is English."""
        self.language = language if language in TABLES else "en"
        self.table = TABLES[self.language]

    def __call__(self, key: str, **parts: object) -> str:
        """Fill a sentence. Parts must be safe for the format already; they are put in as they are."""
        sentence = self.table.get(key) or ENGLISH[key]
        return sentence.format_map(parts) if parts else sentence

    def knows(self, key: str) -> bool:
        """Tell whether there is such a sentence."""
        return key in ENGLISH

    def counted(self, key: str, count: int, **parts: object) -> str:
        """Fill a sentence that counts: ``key.one`` for one, ``key.many`` otherwise."""
        return self(f"{key}.one" if count == 1 else f"{key}.many", count=count, **parts)

    def verdict(self, verdict: Verdict) -> str:
        """Name a workload's verdict."""
        return self(f"verdict.{verdict.value}")

    def truth(self, truth: Truth) -> str:
        """Name a truth."""
        return self(f"truth.{truth.word}")

    def goal(self, fact: Fact[object]) -> str:
        """Name what a path reaches; a goal of a plug-in goes by its own name."""
        return self.goal_named(fact.name)

    def goal_named(self, name: str) -> str:
        """Name a goal by its fact's name."""
        key = f"goal.{name}"
        return self(key) if key in ENGLISH else name.split(".", 1)[-1].replace("_", " ")
