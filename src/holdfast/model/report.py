"""What a scan found, ready to be rendered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Fact, Seen
from holdfast.model.proof import Proof
from holdfast.model.technique import Technique
from holdfast.model.truth import Truth
from holdfast.model.workload import Workload


class Verdict(Enum):
    """One word for one workload."""

    ESCAPABLE = "escapable"
    UNKNOWN = "unknown"
    CONTAINED = "contained"


class Bearing(Enum):
    """How much a finding weighs on the verdict of its workload."""

    PATH = "path"
    """It leads, alone or with others, to a goal."""
    SURFACE = "surface"
    """It only widens the attack surface."""
    HOST_ONLY = "host-only"
    """It is unknown for the most restricted workload too: only the host, which nobody saw, can decide."""
    ASSUMPTION = "assumption"
    """It needs something no scan can see (``--assume``)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A technique that is open, or may be open, to a workload. Verdict NO makes no finding.

    Attributes:
        technique: The way.
        verdict: YES or UNKNOWN.
        proof: Why.
        bearing: How it weighs.
    """

    technique: Technique
    verdict: Truth
    proof: Proof
    bearing: Bearing


@dataclass(frozen=True, slots=True)
class EscapePath:
    """A minimal chain of techniques that ends at a goal.

    Attributes:
        steps: The findings, in the order an attacker would go. Minimal: without any one of them the goal is not
            reached.
        reaches: The goal's fact (``reach.host_root``, ...).
        verdict: The weakest step's verdict.
    """

    steps: tuple[Finding, ...]
    reaches: Fact[Any]
    verdict: Truth


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Declared and effective state of one container do not say the same.

    Attributes:
        fact: The question.
        declared: What the document or engine says.
        effective: What the kernel says. This one is judged.
    """

    fact: Fact[Any]
    declared: Seen[Any]
    effective: Seen[Any]


@dataclass(frozen=True, slots=True)
class Assessment:
    """The judgement of one workload.

    Attributes:
        workload: Which.
        verdict: One word.
        paths: Minimal escape paths, worst and shortest first; YES before UNKNOWN.
        findings: Open and possibly open techniques.
        contradictions: Between declared and effective state.
        host: Name of the host it was judged against, empty where none was seen.
    """

    workload: Workload
    verdict: Verdict
    paths: tuple[EscapePath, ...] = ()
    findings: tuple[Finding, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One container leads to another, or to a goal on the host.

    Attributes:
        start: Name of the workload.
        end: Name of a workload, or a goal's fact name.
        verdict: YES or UNKNOWN.
        techniques: Ids, in order.
    """

    start: str
    end: str
    verdict: Truth
    techniques: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one scan has to say.

    Attributes:
        assessments: One for each workload, worst first is the renderer's business; here in the order found.
        not_understood: Documents that could not be read.
        edges: The whole machine as one graph.
        notes: One-line remarks: what more privilege would show, what was not there.
        tool_version: Version of Holdfast.
        host: Name of the host judged against, empty where none was. What runs here is judged against this machine
            even where documents of the same scan saw no host; each assessment names its own.
        baseline_left_out: How many findings a baseline hid.
        baseline_workloads: How many workloads are left out because nothing about them is new.
    """

    assessments: tuple[Assessment, ...]
    not_understood: tuple[NotUnderstood, ...] = ()
    edges: tuple[Edge, ...] = ()
    notes: tuple[str, ...] = ()
    tool_version: str = ""
    host: str = ""
    baseline_left_out: int = 0
    baseline_workloads: int = 0
