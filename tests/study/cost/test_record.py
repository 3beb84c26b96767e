"""The committed record is one run's, and the chapter says what it holds."""

import html
import json

import nbformat
import papermill
import pytest

from palcore.runs.records import repository_root
from study.cost.__main__ import SECTIONS, line, record
from study.results.tables import read_question

ROOT = repository_root(__file__)
RECORD = json.loads((ROOT / "results" / "benchmark" / "cost.json").read_text())


def chapter(tmp_path, results):
    """All that the chapter shows."""
    out = tmp_path / "out.ipynb"
    papermill.execute_notebook(
        ROOT / "notebooks" / "cost.ipynb",
        out,
        {"results_dir": str(results)},
        cwd=tmp_path,
        kernel_name="python3",
        progress_bar=False,
    )
    cells = nbformat.read(out, as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = ("text/markdown", "text/html")
    return html.unescape("\n".join("".join(output.get("data", {}).get(kind, "")) for output in outputs for kind in kinds))


def test_the_chapter_renders_from_the_committed_record(tmp_path):
    text = chapter(tmp_path, ROOT / "results")
    assert RECORD["device"] in text
    for found in RECORD["figures"].values():
        kind, _, of = found["what"].rpartition(": ")
        assert of in text and (found["what"] if "not_measured" in found else kind[:1].upper() + kind[1:]) in text
    # What was measured on a card: PAL's step over the plain one, and how long many trainings take side by side.
    card = ROOT / "results" / "benchmark" / "gpu"
    cases = json.loads((card / "step-jax.json").read_text())["cases"]
    assert cases and all(f"{case['faces_per_second_fit_pal']:,}" in text for case in cases.values())
    many = json.loads((card / "side_by_side.json").read_text())
    assert f"{many['processes']} trainings" in text and len(many["seconds_of_the_first_epoch"]) == many["processes"]


def test_the_record_holds_every_figure_with_its_spread():
    assert {"figures", "gpu", "half_precision", "load_before", "device", "versions", "commit"} <= RECORD.keys()
    for name, found in RECORD["figures"].items():
        if "not_measured" not in found:
            assert found["low"] <= found["median"] <= found["high"], name
        assert line(name, found)
    assert all(callable(section) for section in SECTIONS.values())


@pytest.mark.parametrize("gpu", [None, {"vgg16": {"median": 1.0}}])
def test_a_record_has_a_place_for_a_gpu(gpu):
    found = record({}, 1.0, 0.5, gpu)["gpu"]
    assert found == gpu or "no GPU" in found["not_measured"]


@pytest.mark.parametrize("strategy", ["none", "mean"])
@pytest.mark.parametrize("condition", ["test", "shortcut_free"])
def test_a_whole_training_on_jax_scores_within_the_spread_of_tensorflows_seeds(strategy, condition):
    on_jax = json.loads((ROOT / "results" / "benchmark" / "jax" / f"{strategy}.json").read_text())
    runs = read_question("shortcut")
    runs = runs[(runs["strategy"] == strategy) & (runs["landmark_source"] == "own")]
    seeds = runs[f"{condition}_accuracy"]
    assert on_jax["backend"] == "jax" and len(seeds) == 5
    assert abs(on_jax["metrics"][condition]["accuracy"] - seeds.mean()) < 3 * seeds.std()
