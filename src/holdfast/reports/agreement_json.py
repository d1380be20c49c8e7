"""The agreement of prediction and reality as JSON (``docs/agreement.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from statistics import median
from typing import Any

from holdfast.model.agreement import GVISOR, Agreement
from holdfast.model.drill import Tally
from holdfast.model.technique import Technique

MEDIA_TYPE = "application/json"
FORMAT = 1


def render(
    agreement: Agreement, *, seed: int, techniques: Mapping[str, Technique], why_not: Mapping[str, str]
) -> bytes:
    """Write the agreement.

    Args:
        agreement: What all drills together say.
        seed: Of the draw.
        techniques: The catalogue by id.
        why_not: Techniques that were attempted nowhere, with the reason.
    """
    data = {
        "format": FORMAT,
        "seed": seed,
        "totals": totals(agreement),
        "places": {
            place: {
                "kernel": agreement.kernels.get(place.removeprefix(f"{GVISOR}, "), ""),
                "configurations": agreement.configurations[place],
                "median_seconds": round(median(seconds), 4) if (seconds := agreement.seconds[place]) else None,
                **_cells(agreement.total([place])),
            }
            for place in agreement.places
        },
        "techniques": {
            name: {
                place: _cells(agreement.cells[name, place])
                for place in agreement.places
                if (name, place) in agreement.cells
            }
            for name in techniques
            if any((name, place) in agreement.cells for place in agreement.places)
        },
        "confirmed": sorted(agreement.confirmed()),
        "disagreements": [
            {
                "place": each.place,
                "configuration": each.configuration,
                "technique": each.attempt.technique,
                "predicted": each.attempt.predicted.word if each.attempt.predicted is not None else "",
                "outcome": each.attempt.outcome.value,
                "steps": [f"{step.act} {step.told}: {step.answer}" for step in each.attempt.steps],
                "explained": each.explained,
            }
            for each in agreement.disagreements
        ],
        "not_attempted": dict(why_not),
        "troubles": agreement.troubles,
    }
    return (json.dumps(data, indent=1) + "\n").encode()


def totals(agreement: Agreement) -> dict[str, Any]:
    """Return the sums over all places."""
    whole = agreement.total()
    machines = [place for place in agreement.places if not place.startswith((GVISOR, "this machine"))]
    return {
        "configurations": sum(agreement.configurations.values()),
        "attempts": whole.attempts,
        "attempts_on_the_machine": sum(
            agreement.total([place]).attempts for place in agreement.places if place.endswith("this machine")
        ),
        "flavours": len(machines),
        "right": whole.right_yes + whole.right_no,
        "escaped_as_predicted": whole.right_yes,
        "stopped_as_predicted": whole.right_no,
        "missed": whole.missed,
        "false": whole.false_yes,
        "unknown": whole.unknown,
    }


def _cells(tally: Tally) -> dict[str, int]:
    return {
        "attempts": tally.attempts,
        "yes_escaped": tally.right_yes,
        "yes_stopped": tally.false_yes,
        "no_escaped": tally.missed,
        "no_stopped": tally.right_no,
        "unknown": tally.unknown,
    }
