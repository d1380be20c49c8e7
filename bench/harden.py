"""Fix sets of drawn containers: are they right, minimal, written and contained, and how long does each take?"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from holdfast import techniques
from holdfast.app.documents import Reader
from holdfast.app.harden import Order, harden
from holdfast.app.settings import Settings
from holdfast.model.facts import Facts
from holdfast.model.remedy import Fixes, Made, Remedy
from holdfast.model.workload import Described
from holdfast.reason.assess import Judge
from holdfast.reason.catalogue import Catalogue
from holdfast.reason.fixes import Extent, Ground, assessed, fixes, patched
from holdfast.reason.remedies.candidates import asked_capabilities, candidates
from holdfast.reason.remedies.settling import starts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from harden_made import drawn

COUNT = 500
SMALL = 8
"""Changes of which all subsets are tried."""
SEED = 2026


@dataclass
class Found:
    """What was counted.

    Attributes:
        seconds: Processor time for each workload, its judgement before included.
        open: Workloads with a path.
        ended: Of those: for which every set leaves no path by evaluation, and needs each of its changes.
        compared: Workloads whose sets were compared with all subsets of a few changes.
        right: Of those: for which they were the same.
        written: Workloads whose cheapest set lies in the file and was written.
        contained: Of those: contained when the file is read again, as it stands.
        cut: Searches that were cut short.
        wrong: Names of what was not right.
    """

    seconds: list[float] = field(default_factory=list)
    open: int = 0
    ended: int = 0
    compared: int = 0
    right: int = 0
    written: int = 0
    contained: int = 0
    cut: int = 0
    wrong: list[str] = field(default_factory=list)


def measured(count: int = COUNT, seed: int = SEED) -> Found:
    """Harden drawn containers."""
    catalogue = Catalogue(techniques.load().values())
    asked = asked_capabilities(catalogue)
    found = Found()
    fresh = Ground(Judge(catalogue, Facts()))
    for name, text in drawn(seed, count):
        (described,) = Reader().read("compose.yaml", text.encode(), named=True, dialect="compose").workloads
        # a judge remembers; each workload pays for itself
        ground = Ground(Judge(catalogue, Facts()))
        begun = time.process_time()
        before = assessed(described.workload, described.facts, ground, ())
        met = {step.technique.id: step.technique for path in before.paths for step in path.steps}
        remedies = candidates(described.facts, Facts(), asked, None, met.values())
        sets = fixes(described.workload, described.facts, ground, remedies)
        found.seconds.append(time.process_time() - begun)
        if not before.paths:
            continue
        found.open += 1
        found.cut += not sets.complete
        if _ends_all(described, fresh, sets):
            found.ended += 1
        else:
            found.wrong.append(f"does not end, or needs not all: {name}")
        _compare(found, described, fresh, _some(remedies, sets, name), name)
        _write(found, text, sets, name)
    return found


def _ends_all(described: Described, ground: Ground, sets: Fixes) -> bool:
    def enough(chosen: tuple[Remedy, ...]) -> bool:
        asked, effective = patched(described.facts, ground, chosen)
        return starts(asked) and not ground.judge.escapes(effective)

    return bool(sets.sets) and all(
        enough(each.remedies)
        and not any(enough(tuple(one for one in each.remedies if one is not left_out)) for left_out in each.remedies)
        for each in sets.sets
    )


def _some(remedies: tuple[Remedy, ...], sets: Fixes, name: str) -> tuple[Remedy, ...]:
    wanted = list(dict.fromkeys(one for each in sets.sets[:3] for one in each.remedies))[: SMALL - 2]
    others = [one for one in remedies if one not in wanted]
    chance = random.Random(name)
    chosen = [*wanted, *chance.sample(others, min(SMALL - len(wanted), len(others)))]
    return tuple(one for one in remedies if one in chosen)


def _compare(found: Found, described: Described, ground: Ground, few: tuple[Remedy, ...], name: str) -> None:
    enough: list[frozenset[str]] = []
    for size in range(len(few) + 1):
        for chosen in combinations(few, size):
            names = frozenset(one.name for one in chosen)
            if any(less <= names for less in enough):
                continue
            asked, effective = patched(described.facts, ground, chosen)
            if starts(asked) and not ground.judge.escapes(effective):
                enough.append(names)
    if not enough:
        return
    sets = fixes(described.workload, described.facts, ground, few, Extent(most=10_000, budget=100_000)).sets
    found.compared += 1
    if {frozenset(one.name for one in each.remedies) for each in sets} == set(enough):
        found.right += 1
    else:
        found.wrong.append(f"not the sets that all subsets give: {name}")


def _write(found: Found, text: str, sets: Fixes, name: str) -> None:
    if not sets.sets or any(one.made is not Made.FILE for one in sets.sets[0].remedies):
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        path = Path(folder) / "compose.yaml"
        path.write_text(text, encoding="utf-8")
        found.written += 1
        (result,) = harden([str(path)], Settings(quiet=True), Order(write=True)).workloads
        again = harden([str(path)], Settings(quiet=True), Order())
        if result.ended and not result.left and again.workloads[0].chosen is None:
            found.contained += 1
        else:
            found.wrong.append(f"not contained after it was written: {name}: {result.left}")


def told(found: Found) -> str:
    """Spell the figures."""
    found.seconds.sort()
    return (
        f"median {statistics.median(found.seconds) * 1000:.0f} ms, 99 of 100 within "
        f"{found.seconds[int(len(found.seconds) * 0.99) - 1] * 1000:.0f} ms, slowest {found.seconds[-1] * 1000:.0f} ms"
    )


if __name__ == "__main__":
    result = measured(*map(int, sys.argv[1:3]))  # how many, and which draw
    print(told(result))
    print({name: value for name, value in vars(result).items() if name not in {"seconds", "wrong"}})
    print("\n".join(result.wrong))
