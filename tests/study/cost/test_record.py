"""The committed record is one run's, and the chapter says what it holds."""

import html
import json
import shutil

import pytest

from study.results.tables import read_question
from tests.conftest import ROOT, executed

RECORD = json.loads((ROOT / "results" / "benchmark" / "cost.json").read_text())


def chapter(tmp_path, results):
    """All that the chapter shows."""
    cells = executed("cost", tmp_path, results_dir=str(results)).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = ("text/markdown", "text/html")
    return html.unescape("\n".join("".join(output.get("data", {}).get(kind, "")) for output in outputs for kind in kinds))


def over(**values):
    return {name.replace("_", " "): {"median": value, "low": value, "high": value} for name, value in values.items()}


CARD = {
    "device": "a card",
    "backend": "jax",
    "seconds": 350,
    "fed": over(fed=0.97)["fed"],
    "not_reached": ["resnet50 at 112 px, batches of 64, float32"],
    "cases": {
        "vgg16 at 224 px, batches of 64, mixed_bfloat16": {
            "time_over_plain": over(PAL=1.02, PAL_earlier=1.07),
            "faces_per_second": over(plain=4100, PAL=4014, PyTorch=3182),
            "gigabytes": {"plain": 9.0, "PAL": 9.5},
            "share_of_ceiling": over(matrix=0.41, convolution=0.83),
            "earlier": "block4_conv3",
        },
        "vgg16 at 224 px, batches of 256, float32": {"not_measured": "out of memory"},
    },
}


def test_the_chapter_renders_from_the_committed_record_and_from_a_card_s_when_there_is_one(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(ROOT / "results" / "benchmark", results / "benchmark")
    (results / "runs").symlink_to(ROOT / "results" / "runs")
    (results / "benchmark" / "gpu" / "card.json").write_text(json.dumps(CARD))
    text = chapter(tmp_path, results)
    assert RECORD["device"] in text
    for one in RECORD["figures"].values():
        kind, _, of = one["what"].rpartition(": ")
        assert of in text and (one["what"] if "not_measured" in one else kind[:1].upper() + kind[1:]) in text
    numbers = ("1.07", "4,014", "3,182", "41%", "9.5 (9.0)", "out of memory", "reaches 0.97")
    for shown in (*CARD["cases"], *CARD["not_reached"], *numbers):
        assert shown in text, shown
    assert "has not been run on a card yet" not in text
    many = json.loads((ROOT / "results" / "benchmark" / "gpu" / "side_by_side.json").read_text())
    assert f"{many['processes']} trainings" in text


@pytest.mark.parametrize("strategy", ["none", "mean"])
@pytest.mark.parametrize("condition", ["test", "shortcut_free"])
def test_a_whole_training_on_jax_scores_within_the_spread_of_tensorflows_seeds(strategy, condition):
    on_jax = json.loads((ROOT / "results" / "benchmark" / "jax" / f"{strategy}.json").read_text())
    runs = read_question("shortcut")
    runs = runs[(runs["strategy"] == strategy) & (runs["landmark_source"] == "own")]
    seeds = runs[f"{condition}_accuracy"]
    assert on_jax["backend"] == "jax" and len(seeds) == 5
    assert abs(on_jax["metrics"][condition]["accuracy"] - seeds.mean()) < 3 * seeds.std()
