"""Run code on a Mac through Docker Model Runner's MLX back end (CVE-2026-5843).

What happens: Model Runner answers every container at ``model-runner.docker.internal``. A container asks it to pull a
model from a registry of the attacker's and to run it. The MLX back end imports the Python file that the model's
settings name, outside every container, as the user of Docker Desktop.

Why the engine allowed it: the library loads such files without asking, Model Runner did not check the model, and the
back end runs on the Mac itself without a sandbox, because it needs the graphics processor.

What closes it: Docker Desktop 4.71.0 or later; switching Model Runner off where nobody uses it.

How it looks: nothing that a kernel inside the virtual machine could tell from ordinary use; Model Runner's own log
names the model that was pulled.
"""

from holdfast.model.change import Change
from holdfast.model.logic import NEVER, is_, less_than
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import engine, reach

_OPEN: Situation = {
    engine.DESKTOP: True,
    engine.DESKTOP_VERSION: (4, 70, 0),
    engine.MODEL_RUNNER: True,
}

TECHNIQUE = Technique(
    title="Run code on a Mac through Docker Model Runner",
    row=14,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(engine.DESKTOP, True)
    & less_than(engine.DESKTOP_VERSION, (4, 71, 0))
    & is_(engine.MODEL_RUNNER, True),
    gives=(Change(reach.ENGINE_USER, True, "the model's code runs on the host as the user of Docker Desktop"),),
    closed_by=(
        Change(engine.DESKTOP_VERSION, (4, 71, 0), "update Docker Desktop"),
        Change(engine.MODEL_RUNNER, False, "switch Docker Model Runner off"),
    ),
    seen_as=NEVER,
    seen_sample={},
    drill_class=DrillClass.D0,
    examples=(
        Example("Desktop 4.70.0 with Model Runner and MLX", _OPEN, YES),
        Example("Desktop 4.71.0", {**_OPEN, engine.DESKTOP_VERSION: (4, 71, 0)}, NO),
        Example("Model Runner off", {**_OPEN, engine.MODEL_RUNNER: False}, NO),
        Example("settings of Desktop not seen", unseen(_OPEN, engine.MODEL_RUNNER), UNKNOWN),
    ),
    sources=(
        "https://docs.docker.com/desktop/release-notes/#4710",
        "https://www.tenable.com/plugins/nessus/316463",
        "https://www.sentinelone.com/vulnerability-database/cve-2026-5843/",
    ),
)
