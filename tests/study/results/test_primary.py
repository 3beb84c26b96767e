"""The primary comparisons: declared once, measured once, put into words once."""

import copy
import json

import numpy as np
import pytest

from study.results import primary
from study.results.arms import arms_of, pairs_of, read
from tests.study.results.conftest import PRIMARY, write_run


@pytest.fixture
def cells(use_grid):
    return use_grid(PRIMARY)


def write_arms(folder, cells, values, condition, dataset="fer2013"):
    """Records of the runs whose options fit, by seed: ``{(strategy, landmark_source, labels): [score of each seed]}``."""
    for cell in cells:
        key = (cell.options["strategy"], cell.options.get("landmark_source", "own"), cell.options.get("labels", "own"))
        seed = cell.options["seed"]
        if cell.options["dataset"] == dataset and "train_share" not in cell.options and seed < len(values.get(key, ())):
            write_run(folder, cell, **{condition: values[key][seed]})


NONE, MEAN, TEMPLATE = ("none", "own", "own"), ("mean", "own", "own"), ("mean", "template", "own")
NOISE = np.array([0.0, 0.004, -0.003, 0.002, -0.002])


@pytest.mark.parametrize(
    ("gains", "outcome", "words"),
    [
        (0.05 + NOISE, "higher", "is 5.0 points higher with this than with that (between +4.7 and +5.3; with other"),
        (-0.05 + NOISE, "lower", "the accuracy is 5.0 points lower with this than with that (between -5."),
        (NOISE, "same", "is the same with this and with that to within 1 point (between -0.3 and +0.3; with other"),
        (0.02 + 30 * NOISE, "inconclusive", "2.6 points higher with this than with that (between -6.3 and +11.5; with"),
        ([0.1], "early", "is 10.0 points higher with this than with that in one seed, which cannot tell"),
        ([], "missing", "whether the accuracy is higher with this than with that is not known yet"),
    ],
)
def test_outcomes_in_words(tmp_path, cells, gains, outcome, words):
    write_arms(tmp_path, cells, {NONE: [0.5] * len(gains), MEAN: 0.5 + np.asarray(gains, float)}, "test")
    found = primary.measure(tmp_path).loc["P1"]
    assert found["outcome"] == outcome
    assert (found["seeds"], found["planned"]) == (len(gains), 5)
    sentence = primary.sentence(primary.declared()["P1"], found)
    assert words in sentence[0].lower() + sentence[1:]
    assert ("So far 1 of 5 seeds" in sentence) == (len(gains) == 1)
    assert ("four times in five" in sentence) == (outcome == "inconclusive")


def test_the_whole_family_is_corrected_and_nothing_else(tmp_path, use_grid):
    content, gains = copy.deepcopy(PRIMARY), 0.03 + 8 * NOISE
    cells = use_grid(content)
    write_arms(tmp_path, cells, {NONE: [0.5] * 5, MEAN: 0.5 + gains}, "test")
    found = primary.measure(tmp_path)
    assert found.index.tolist() == ["P1", "P2", "P4", "P5"]
    # One test of four can be made so far: it is corrected for all four.
    assert found.loc["P1", "p_holm"] == pytest.approx(4 * found.loc["P1", "p"])
    assert found.loc["P2", "outcome"] == "missing" and np.isnan(found.loc["P2", "p_holm"]) and found.loc["P2", "levels"] == []
    assert found.loc["P1", "levels"] == pytest.approx([0.5 + gains.mean(), 0.5])
    table = primary.table(found)
    assert table.loc["P1", "outcome"] == "inconclusive" and table.loc["P2", "p of no difference"] == "-"
    assert table.loc["P1", "found with 80 % power"].endswith(" points")
    content["comparisons"]["P5"]["family"] = "second"
    found = primary.measure(tmp_path)
    assert found.loc["P1", "p_holm"] == pytest.approx(3 * found.loc["P1", "p"])


def test_what_other_test_faces_may_turn_round_is_not_called_higher(tmp_path, cells):
    """All seeds agree on a difference of a point, and each arm is right on the faces on which the other is wrong."""
    write_arms(tmp_path, cells, {NONE: [0.5, 0.5, 0.5, 0.5, 0.5005], MEAN: [0.51] * 5}, "test")
    for path in (tmp_path / "runs").glob("*-mean-*.npz"):
        with np.load(path) as arrays:
            np.savez(path, **{name: array[::-1] for name, array in arrays.items()})
    row = primary.measure(tmp_path).loc["P1"]
    assert row["p_holm"] < 0.05 and row["low"] > 0 >= row["low_faces"] and row["outcome"] == "faces"
    assert "on these test faces (" in primary.sentence(primary.declared()["P1"], row)
    assert "on these test faces only" in primary.answers(tmp_path)


def test_pace_is_epochs_until_the_baselines_own_level(tmp_path, use_grid):
    assert primary.epochs_until([0.1, 0.3, 0.2], 0.3) == 2 and primary.epochs_until([0.1, 0.2], 0.3) == 3
    content = copy.deepcopy(PRIMARY)
    content["comparisons"]["P1"] |= {"score": primary.PACE, "what": "the number of epochs until the baseline's level"}
    cells = use_grid(content)
    write_arms(tmp_path, cells, {NONE: [0.5] * 5, MEAN: [0.5] * 5}, "test")
    curves = {"none": [0.1, 0.2, 0.496, 0.5], "mean": [0.2, 0.497, 0.4, 0.45]}  # half a point below 0.5 is enough
    for path in (tmp_path / "runs").glob("*.json"):
        record = json.loads(path.read_text())
        curve = list(curves[record["config"]["strategy"]])
        if record["config"]["seed"] == 4:
            curve[1] = 0.3  # once a network without PAL is no slower, one with it is a whole epoch
        record["history"]["val_expression_accuracy"] = curve
        path.write_text(json.dumps(record))
    row = primary.measure(tmp_path).loc["P1"]
    assert row["values"] == {0: -1, 1: -1, 2: -1, 3: -1, 4: 2} and np.isnan(row["p_same"]) and np.isnan(row["low_faces"])
    asked = primary.declared()["P1"]
    assert primary.table(primary.measure(tmp_path)).loc["P1", "difference"] == "-0.4 epochs"
    assert asked.amount(1.0) == "1.0 epoch" and "of 5 seeds" not in primary.sentence(asked, row)


def test_an_interaction_is_a_difference_of_differences(tmp_path, cells):
    clean = {("none", "own", "ferplus"): [0.6] * 3, ("mean", "own", "ferplus"): [0.61, 0.62, 0.63]}
    write_arms(tmp_path, cells, {NONE: [0.5] * 5, MEAN: [0.55, 0.57, 0.56, 0.9, 0.9], **clean}, "ferplus")
    found = primary.measure(tmp_path).loc["P4"]
    assert list(found["values"]) == [0, 1, 2]
    assert list(found["values"].values()) == pytest.approx([0.04, 0.05, 0.03])
    assert "with this: +6.0 points" in primary.answers(tmp_path) and "+4.0 points" in primary.answers(tmp_path)
    assert found["outcome"] == "higher"
    assert "what PAL adds is 4.0 points higher" in primary.sentence(primary.declared()["P4"], found)


def test_the_answers_stand_in_one_table(tmp_path, use_grid):
    content = copy.deepcopy(PRIMARY)
    cells = use_grid(content)
    assert primary.answers(tmp_path) == "No runs are in yet."
    write_arms(tmp_path, cells, {NONE: 0.5 + NOISE, MEAN: 0.55 - NOISE, TEMPLATE: [0.52, 0.518]}, "test")
    lines = primary.answers(tmp_path).splitlines()
    head, _, first, *others = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert lines[-1] == "Not in this table: P4, P5; the page of the tests has all."
    assert first[0] == "P1, on the faces of P1" and first[2:] == ["yes, higher", "with this: 55.0 %", "with that: 50.0 %", "5 of 5"]
    assert first[1].startswith("+5.0 points (+4.") and len(head) == len(first)
    assert [(row[0], row[5]) for row in others][0] == ("P2, on the faces of P2", "2 of 5")
    assert "So far 2 of 5 seeds are in." in primary.sentence(primary.declared()["P2"], primary.measure(tmp_path).loc["P2"])
    content["comparisons"]["P2"] |= {"family": "second"}
    rows = [row[:4] for row in primary.answers(tmp_path).splitlines()[2:]]
    assert rows[:2] == ["| P2", "| P1"], "the second family stands first"
    content["comparisons"]["P2"] |= {"glance": False}
    lines = primary.answers(tmp_path).splitlines()
    assert all(not row.startswith("| P2") for row in lines) and lines[-1].startswith("Not in this table: P2, ")


def test_a_grid_that_names_no_comparison(use_grid, tmp_path):
    use_grid({**PRIMARY, "comparisons": {}})
    assert primary.declared() == {} and primary.measure(tmp_path).empty
    assert primary.answers(tmp_path) == "No runs are in yet."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cout": 1}, "comparison P1 of study/grid.yml: .* unexpected keyword argument 'cout'"),
        ({"where": None}, "comparison P1 of study/grid.yml: .* missing 1 required .* 'where'"),
        ({"arms": ["PAL", "half"]}, "comparison P1 of study/grid.yml: question faces has no arm 'half'"),
        ({"question": "face"}, "question face has no arm 'PAL'"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(use_grid, change, sentence):
    content = copy.deepcopy(PRIMARY)
    entry = content["comparisons"]["P1"] | change
    content["comparisons"]["P1"] = {key: value for key, value in entry.items() if value is not None}
    use_grid(content)
    with pytest.raises(ValueError, match=sentence):
        primary.declared()


def test_an_arm_finds_its_runs_in_the_grid(cells):
    assert set(arms_of("faces")["PAL"]) == {0, 1, 2, 3, 4} and arms_of("nothing") == {}
    assert arms_of("aligned-landmarks")["PAL"] == arms_of("faces")["PAL"]
    assert pairs_of("aligned-landmarks") == {"without PAL": "PAL", "a template": "PAL"}
    assert pairs_of("faces") == {"PAL": "without PAL"}
    assert read()[0] is PRIMARY
