"""What a running sensor counted, in the text format of Prometheus.

Source:
    https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Without the leading ``holdfast_``; a counter's ends in ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: One line.
        values: Labels and value of each series. For a histogram the labels ``le`` stand here already, the names of the
            series in ``suffixes``.
        suffixes: For a histogram, ``_bucket``, ``_sum`` or ``_count``, one for each value; empty otherwise.
    """

    name: str
    kind: str
    help: str
    values: tuple[tuple[Labels, float], ...]
    suffixes: tuple[str, ...] = ()


@dataclass(slots=True)
class Histogram:
    """Counts observations by upper bound.

    Attributes:
        bounds: Upper bounds, rising; one that is infinite is added.
        counts: How many observations fell between a bound and the one before.
        total: Sum of all.
    """

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one."""
        self.total += value
        for at, bound in enumerate(self.bounds):
            if value <= bound:
                self.counts[at] += 1
                return
        self.counts[-1] += 1

    def quantile(self, part: float) -> float:
        """Return the upper bound under which a part of the observations lie; 0.0 where there are none."""
        wanted = part * sum(self.counts)
        seen = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return bound
        return 0.0

    def metric(self, name: str, help_: str) -> Metric:
        """Return it as a metric."""
        values: list[tuple[Labels, float]] = []
        seen = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            seen += count
            values.append(({"le": "+Inf" if bound == float("inf") else f"{bound:g}"}, seen))
        suffixes = ("_bucket",) * len(values)
        return Metric(name, "histogram", help_, (*values, ({}, self.total), ({}, seen)), (*suffixes, "_sum", "_count"))


def counter(name: str, help_: str, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Make a counter."""
    return Metric(name, "counter", help_, tuple(values))


def gauge(name: str, help_: str, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Make a gauge."""
    return Metric(name, "gauge", help_, tuple(values))


def render(metrics: Iterable[Metric]) -> bytes:
    """Write metrics.

    Args:
        metrics: In the order they shall have; each name once. Labels may hold any text.

    Returns:
        UTF-8; lines end with a line feed.
    """
    lines = []
    for metric in metrics:
        name = f"holdfast_{metric.name}"
        told = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {name} {told}", f"# TYPE {name} {metric.kind}"]
        suffixes = metric.suffixes or ("",) * len(metric.values)
        for suffix, (labels, value) in zip(suffixes, metric.values, strict=True):
            spelled = ",".join(f'{key}="{_label(text)}"' for key, text in labels.items())
            number = repr(float(value)) if value != int(value) else str(int(value))
            lines.append(f"{name}{suffix}{{{spelled}}} {number}" if spelled else f"{name}{suffix} {number}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
