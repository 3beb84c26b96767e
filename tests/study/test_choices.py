"""Successive halving by the validation faces: which tries go on, what is combined, and what is trained with what was chosen."""

import json

import pytest

from study import cells
from study.choices import choose

GRID = {
    "series": {"long": {"dataset": "fer2013", "backbone": "compact", "epochs": 60, "dropout": 0.25, "learning_rate": 0.1}},
    "settings": {},
    "choices": {
        "baseline": {"question": "tries", "keep": 2, "epochs": 60, "combine": True},
        "pal": {"question": "weights", "keep": 1, "epochs": 60},
    },
    "questions": {
        "tries": {
            "asks": "?", "series": "long", "dataset": "fer2013", "seeds": [0], "settings": {"epochs": 12},
            "arms": [{"strategy": "none"}, {"strategy": "none", "dropout": [0.0, 0.5]}, {"strategy": "none", "learning_rate": 0.2}],
        },
        "weights": {
            "asks": "?", "series": "long", "dataset": "fer2013", "seeds": [0], "settings": {"epochs": 12},
            "arms": [{"use": "baseline", "strategy": "mean", "learning_rate": [{"times": 0.5}, {"times": 2}]}],
        },
        "end": {
            "asks": "?", "series": "long", "dataset": "fer2013", "seeds": [5, 6],
            "arms": [{"name": "without PAL", "use": "baseline"}, {"name": "PAL", "use": "pal"}],
        },
    },
}  # fmt: skip
KNOWN = {**dict.fromkeys(("dataset", "backbone", "epochs", "dropout", "learning_rate", "strategy", "seed"))}


def record(folder, cell, accuracy):
    (folder / cell.name).mkdir(exist_ok=True)
    name, content = (
        ("stopped.json", {}) if accuracy is None else ("record.json", {"history": {"val_expression_accuracy": [accuracy]}})
    )
    (folder / cell.name / name).write_text(json.dumps(content))


def asked(question, tuned):
    return [cell for cell in cells.expand(GRID, KNOWN, tuned) if question in cell.questions]


def test_the_best_go_on_and_what_bettered_the_first_is_combined(tmp_path):
    tries = asked("tries", {})
    for cell, accuracy in zip(tries, (0.60, 0.59, 0.61, 0.62), strict=True):
        assert choose(GRID, tries, (tmp_path, tmp_path), {}) == {}  # not before the last one is in
        record(tmp_path, cell, accuracy)
    tuned = choose(GRID, tries, (tmp_path, tmp_path), {})
    first, combined = tuned["baseline"]["finals"]
    assert (first["learning_rate"], first["dropout"], first["epochs"]) == (0.2, 0.25, 60)
    assert (combined["learning_rate"], combined["dropout"]) == (0.2, 0.5)
    assert not asked("weights", tuned) and not asked("end", tuned)  # nothing is trained with what is not chosen yet


def test_what_is_chosen_is_what_the_arms_use(tmp_path):
    tuned = {"baseline": {"finals": [{"strategy": "none", "backbone": "compact", "dropout": d, "learning_rate": 0.2, "epochs": 60}
                                     for d in (0.25, 0.5)]}}  # fmt: skip
    for cell, accuracy in zip(asked("tries", tuned), (0.60, 0.59, 0.61, None, 0.66, 0.67), strict=True):
        record(tmp_path, cell, accuracy)
    tuned = choose(GRID, cells.expand(GRID, KNOWN, tuned), (tmp_path, tmp_path), tuned)
    assert tuned["baseline"]["chosen"] == {"strategy": "none", "backbone": "compact", "dropout": 0.5, "learning_rate": 0.2}
    rates = [cell.options["learning_rate"] for cell in asked("weights", tuned)]
    assert rates == pytest.approx([0.1, 0.4])
    [five, six] = asked("end", tuned)
    assert five.arms["end"] == six.arms["end"] == "without PAL" and (five.options["seed"], six.options["seed"]) == (5, 6)
    assert five.options["dropout"] == 0.5 and "fer2013-long-compact-none" in five.name


def test_a_try_whose_loss_was_no_number_is_the_worst(tmp_path):
    for cell, accuracy in zip(asked("tries", {}), (0.60, None, 0.58, None), strict=True):
        record(tmp_path, cell, accuracy)
    finals = choose(GRID, asked("tries", {}), (tmp_path, tmp_path), {})["baseline"]["finals"]
    assert [options["dropout"] for options in finals] == [0.25, 0.5]
