from pathlib import Path

from holdfast.model.drill import PLAYED, Layer, Outcome
from holdfast.model.technique import DrillClass, ProvedBy
from holdfast.reports import drill_terminal
from holdfast.reports._words import ENGLISH
from holdfast.reports._words_drill import DRILL


def test_every_member_of_an_enum_has_a_word_and_no_sentence_is_unused():
    reports = Path(drill_terminal.__file__).parent
    source = "".join(path.read_text() for path in reports.glob("*.py") if path.name != "_words_drill.py")
    source = source.replace("'", '"')
    computed = {
        *(f"drill.played.{fact.name}" for fact in PLAYED),
        *(f"drill.layer.{each.name}" for each in Layer),
        *(f"drill.proof.{each.name}" for each in ProvedBy),
        *(f"drill.class.{each.name}" for each in (DrillClass.D0, DrillClass.D2)),
        *(f"drill.outcome.{each.name}" for each in Outcome),
        *(f"drill.missed.{each}" for each in ("ESCAPED", "WORKED")),
        "drill.outcome.WORKED",
        *(f"drill.column.{each}" for each in ("technique", "predicted", "attempted", "blocked_by", "detected")),
        *(f"drill.junit.machine.{each}" for each in ("changed", "left")),
        *(f"drill.{each}" for each in ("changed", "left")),
        *(f"drill.html.tile.{each}" for each in ("escaped", "disagree", "blocked")),
        *(f"drill.html.tile.word.{each}" for each in ("escaped", "disagree", "blocked")),
    }
    assert computed <= set(ENGLISH)
    one_word = {key for key in DRILL if key.startswith("drill.replica.")}
    for key in set(DRILL) - computed:
        bare = key.removesuffix(".one").removesuffix(".many")
        last = bare.rsplit(".", 1)[-1]
        assert f'"{bare}"' in source or (key in one_word and f'"{last}"' in source), key
