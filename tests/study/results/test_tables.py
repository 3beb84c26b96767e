import json

import numpy as np
import pandas as pd
import pytest
from papermill.cli import _resolve_type
from scipy import stats

from palcore.runs.options import check_options
from study.cells import Cell, defaults
from study.results import tables
from study.results.arms import question_cells
from tests.study.results.conftest import write_run

ARMS = {"none": {0: "none-0", 1: "none-1", 2: "none-2"}, "PAL": {0: "pal-0", 1: "pal-1", 2: "pal-2"}, "half": {0: "half-0"}}


def write(folder, name, accuracy, **config):
    options = {"dataset": "synthetic", "epochs": 12, "learning_rate": 1e-3, "image_size": 48, **config}
    write_run(folder, Cell(name, options, False), accuracy)


@pytest.fixture
def runs(tmp_path):
    for seed, (none, pal) in enumerate([(0.50, 0.60), (0.52, 0.63), (0.54, 0.63)]):
        write(tmp_path, f"none-{seed}", none, strategy="none", seed=seed)
        write(tmp_path, f"pal-{seed}", pal, strategy="mean", seed=seed)
    return tables.by_arm(ARMS, tmp_path)


def test_summary_by_hand(runs):
    found = tables.summary(runs, ARMS, "test_accuracy")
    assert found.index.tolist() == ["none", "PAL", "half"]
    assert found.loc["none", "mean"] == pytest.approx(0.52)
    # Squared distances 0.0008 and 0.0006 over four degrees of freedom, t 2.776.
    half = 2.7764 * np.sqrt(0.0014 / 4) / np.sqrt(3)
    assert found.loc["none", "high"] == pytest.approx(0.52 + half, rel=1e-4)
    assert np.isnan(found.loc["half", "mean"])


def test_differences_are_over_the_seeds_that_both_have(runs):
    found = tables.comparisons(runs, {"PAL": "none", "half": "none"}, "test_accuracy")
    assert found.index.tolist() == ["PAL"]
    assert found.loc["PAL", "difference"] == pytest.approx(0.1)
    t, freedom = 0.1 / np.sqrt(0.0014 / 4 * 2 / 3), 4
    assert found.loc["PAL", "p"] == pytest.approx(2 * stats.t.sf(t, freedom))
    lone = runs.drop("none-1").iloc[::-1]
    assert tables.compared(lone, "test_accuracy", ["PAL", "none"])["values"] == pytest.approx({0: 0.1, 2: 0.09})
    assert tables.comparisons(runs, {"PAL": "none"}, "no_such_score").empty


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (tables.number(-0.04), "0.0"),
        (tables.number(0.04, 1, True), "0.0"),
        (tables.number(-0.06, 1, True), "-0.1"),
        (tables.number(2, 1, True), "+2.0"),
        (tables.number(np.nan), "-"),
        (tables.interval(0.98, 0.95, 1.01), "98.0 [95.0, 100.0]"),
        (tables.interval(0.5, np.nan, np.nan), "50.0"),
        (tables.interval(np.nan, np.nan, np.nan), "-"),
        (tables.span(-0.07, 0.46, "between {} and {}"), "between -7.0 and +46.0"),
        (tables.span(-0.0001, 0.46), "0.0 to +46.0"),
        (tables.span(-0.0254, 0.012, scale=1, digits=3), "-0.025 to +0.012"),
        (tables.span(np.nan, np.nan), "-"),
    ],
)
def test_numbers_as_texts(value, text):
    assert value == text


def test_a_table_has_numbers_to_the_right_and_long_texts_to_the_left():
    frame = pd.DataFrame({"seeds": ["3", "-"], "words": ["1 of 2 b", "a" * 40], "size": [0.5, 3]}, index=["[a](b.json)", "`code`"])
    head, sides, first, second = tables.to_markdown(frame, "arm").splitlines()
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["arm", "seeds", "words", "size"]
    assert [side.strip("-") for side in sides.strip("|").split("|")] == [":", ":", ":", ":"]
    assert [side.startswith(":") for side in sides.strip("|").split("|")] == [True, False, True, False]
    assert [cell.strip() for cell in first.strip("|").split("|")] == ["[a](b.json)", "3", "1 of 2 b", "0.500"]
    assert second.endswith("3 |")


def test_a_record_older_than_an_option_has_its_default_and_groups_of_scores_are_columns(runs, tmp_path):
    path = tmp_path / "runs" / "pal-0.json"
    record = json.loads(path.read_text())
    del record["config"]["loss"], record["config"]["crop"]
    record["metrics"]["test"] |= {"attribution": {"energy": 0.5}, "reliance": {"eyes": {"share": 0.2}}, "confusion": [[1]]}
    path.write_text(json.dumps(record))
    row = tables.read_runs(["pal-0"], tmp_path).loc["pal-0"]
    assert (row["loss"], row["crop"]) == ("pal", None)
    assert (row["test_energy"], row["test_reliance_eyes_share"], row["test_accuracy"]) == (0.5, 0.2, 0.6)
    assert not {"test_confusion", "test_attribution_energy"} & set(row.index)
    assert tables.read_runs(["nothing"], tmp_path).empty


def test_a_row_leads_to_its_record_and_to_the_command_that_made_it(tmp_path):
    write(tmp_path, "noisy", 0.5, strategy="none", label_noise=0.2, shortcut=None, seed=7)
    shown = tables.listing(tables.read_runs(["noisy"], tmp_path), {"test_accuracy": "accuracy (%)"})
    assert shown.index.tolist() == ["[noisy](../results/runs/noisy.json)"]
    assert shown.iloc[0][["seed", "accuracy (%)", "minutes"]].tolist() == [7, "50.0", "1.0"]
    words = shown.iloc[0][tables.COMMAND].strip("`").split()
    assert words[:3] == ["papermill", "notebooks/train.ipynb", "OUT.ipynb"]
    told = {name: _resolve_type(value) for name, value in zip(words[4::3], words[5::3], strict=True)}
    options = check_options(**{**defaults(), **told})
    assert (options.strategy, options.label_noise, options.shortcut, options.seed, options.epochs) == ("none", 0.2, None, 7, 12)
    assert "-p data_dir DIR" in tables.command({"dataset": "fer2013"})
    for name, changed in (("other", {"label_noise": 0.4}), ("seed", {"label_noise": 0.4, "seed": 8})):
        write(tmp_path, name, 0.5, **({"strategy": "none", "shortcut": None, "seed": 7} | changed))
    shown = tables.listing(tables.read_runs(["noisy", "other", "seed"], tmp_path), {})
    assert [text.split()[0] for text in shown[tables.COMMAND]] == ["`papermill", "`papermill", "`-p"]
    assert shown.iloc[2][tables.COMMAND] == "`-p seed 8`"


def test_progress_counts_what_is_wanted(tmp_path):
    names = [cell.name for cell in question_cells("shortcut-weight")]
    assert len(names) > 3
    assert tables.progress(names, tmp_path) == f"0 of {len(names)} runs are in."
    assert tables.progress(names[:1], tmp_path) == "0 of 1 runs is in."
    write(tmp_path, names[0], 0.5, strategy="none")
    assert tables.progress(names, tmp_path) == f"1 of {len(names)} runs are in."
