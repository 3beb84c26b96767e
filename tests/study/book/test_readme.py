"""The README's lines do what they say, as they stand; each row of the page "What happens when ..." names a test that is there."""

import ast
import re
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import yaml

from palcore.models import build_classifier
from palcore.runs.records import read_record
from palcore.training import check_options
from study.book import readme
from study.book.front_page import patch_means
from study.results.pages import Page
from study.results.primary import beside, declared, leads
from study.results.tables import comparisons

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text()
TEXT = " ".join(README.split())
REPORT = (ROOT / "book" / "reproducibility.md").read_text()


def test_the_lines_that_add_pal_to_your_own_model_work_as_they_stand(tmp_path):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    lines = ast.parse(code).body
    assert len([line for line in lines if not isinstance(line, ast.Import | ast.ImportFrom)]) == 4 and "import keras\n" in code
    assert max(map(len, code.splitlines())) <= 100
    rng = np.random.default_rng(0)
    classifier = build_classifier("compact", 32, units=8)
    before = classifier.get_layer("block1_conv1").kernel.numpy().copy()
    names = {
        "keras": keras,
        "classifier": classifier,
        "images": rng.integers(0, 256, (16, 32, 32, 3)).astype(np.uint8),
        "labels": rng.integers(0, 7, 16),
        "landmarks": rng.uniform(0.1, 0.9, (16, 68, 2)),
    }
    exec(code, names)
    assert {"loss", "attribution_loss", "expression_loss"} <= names["model"].history.history.keys()
    assert np.abs(classifier.get_layer("block1_conv1").kernel.numpy() - before).max() > 0
    classifier.save(tmp_path / "mine.keras")


def _levels(epochs, seeds=(5, 6)):
    """Mean accuracies of the trainings with a tenth of the faces, without PAL and with it: ``{split: (2,)}``."""
    weights = {"none": "", "mean": "pal_weight=3.0-"}
    names = [[f"{strategy}-batch_size=64-{epochs}{weight}seed={seed}" for seed in seeds] for strategy, weight in weights.items()]
    records = [[read_record(ROOT / "results" / "runs" / f"fer2013-few-compact-{name}.json") for name in arm] for arm in names]
    splits = ("validation", "test")
    return {split: np.array([np.mean([run["metrics"][split]["accuracy"] for run in arm]) for arm in records]) for split in splits}


def test_the_readmes_answer_is_what_the_records_say(measured):
    assert "accuracy is 1.4 points higher where faces are aligned, and three where they lie at random places" in TEXT
    assert "landmarks do better than one template for all, by one point and by three" in TEXT
    found, aside = measured, beside(measured)
    points = 100 * found["difference"].astype(float)
    assert (found.loc[["P1", "P2", "P3", "P3 against none", "P5"], "outcome"] == "higher").all()
    assert round(points["P1"], 1) == 1.4 and [round(points[name]) for name in ("P2", "P3", "P3 against none")] == [1, 3, 3]
    assert "The lead is as large on the faces that the network trains on, and the baseline is weak: 63 %" in TEXT
    assert all(abs(float(aside.loc[name, "training faces"].split()[0]) - points[name]) < 0.3 for name in ("P1", "P3 against none"))
    assert round(100 * found.loc["P1", "levels"][1]) == 63
    assert points["P5"] > 10
    good, sooner, tenth = (found.loc[name] for name in ("C1", "C5 sooner", "C6"))
    assert "68 % of FER2013's test faces are right without PAL and with it (C1" in TEXT
    assert [round(100 * level) for level in good["levels"]] == [68, 68] and good["outcome"] == "inconclusive" and good["seeds"] == 5
    difference, low, high = (f"{100 * good[name]:+.1f}" for name in ("difference", "low", "high"))
    assert f"{difference} points over five seeds ({low} to {high}), which leaves a small gain open" in TEXT
    assert "PAL is not seen to come to that level sooner (C5)" in TEXT and sooner["outcome"] == "inconclusive"
    assert tenth["seeds"] == 5 and tenth["outcome"] == "higher"
    low, high, level = f"{100 * tenth['low']:+.1f}", f"{100 * tenth['high']:+.1f}", f"{100 * tenth['levels'][0]:.1f} %"
    assert f"PAL ends {points['C6']:.1f} points higher ({low} to {high}), at {level}" in TEXT
    lead = 100 * leads(declared()["C6"])
    assert "what is left after 100 epochs of a lead of ten after the sixth" in TEXT and len(lead) == 100
    assert lead.argmax() == 5 and round(lead.max()) == 10
    assert "Twice the epochs end lower in both arms, and the lead stays (two seeds)." in TEXT
    assert "the lead stays (two seeds)" in REPORT
    ends = {epochs: _levels(epochs) for epochs in ("", "epochs=200-")}
    assert (ends["epochs=200-"]["validation"] < ends[""]["validation"]).all()
    assert np.diff(ends["epochs=200-"]["test"])[0] > np.diff(ends[""]["test"])[0] - 0.005
    assert f"On the faces that it trains on the lead is {aside.loc['C6', 'training faces'].replace('(', 'points (')}" in TEXT
    assert "The surest effect is that on faces placed at random; the largest is on drawn faces" in REPORT
    first = found["family"] == "first"
    assert found["p_holm"][first].astype(float).idxmin() in ("P3", "P3 against none") and points[first].idxmax() == "P5"


def test_the_reports_words_about_the_runs_are_what_the_records_say(measured_once):
    cosine, own = "feature cosine, weight 3", "PAL, weight 1"
    page = Page([])
    knows = page.differences("knows-faces")[0].loc["PAL"]
    assert "From a network that knew faces before, no gain is seen (three seeds: -1.4 to +0.9 points)." in TEXT
    assert knows["seeds"] == 3 and (round(100 * knows["low"], 1), round(100 * knows["high"], 1)) == (-1.4, 0.9)
    template = page.differences("template-weight", single=True)[0].loc["a template, weight 0.3"]
    assert "a template may do as well: three seeds leave it open" in TEXT and "three seeds leave open which is better" in REPORT
    assert template["seeds"] == 3 and template["low"] < 0 < template["high"]
    row = comparisons(page.runs("rivals")[0], {cosine: own}, "test_accuracy").loc[cosine]
    assert "guides the features themselves by the same heatmap, the feature cosine, does about as well in three seeds." in REPORT
    assert row["seeds"] == 3 and row["low"] < 0 < row["high"] and abs(row["difference"]) < 0.005
    other = page.differences("why")[0].loc["another face's landmarks"]
    level, none = (100 * page.runs("why")[0].groupby("arm")["test_accuracy"].mean()[arm] for arm in (other.name, "without PAL"))
    low, high = (f"{100 * other[name]:+.1f}" for name in ("low", "high"))
    lower = f"ends at {level:.1f} %, {-100 * other['difference']:.1f} points lower ({low} to {high}; exploratory)"
    assert f"with another face's landmarks the network {lower}, no better than without PAL" in TEXT
    assert other["seeds"] == 5 and level < none
    changed = [path for path in (ROOT / "results" / "runs").glob("fer2013-*.json") if read_record(path)["commit"].endswith("+")]
    assert f"for {len(changed)} of FER2013's runs" in REPORT


def test_the_readmes_table_is_what_the_records_say(measured_once):
    assert readme.with_tables(README) == README, "a table is out of date: run `python -m study.book.readme`"
    assert README.count("| C1, on aligned real faces") == 1


def test_the_readmes_caption_is_what_the_records_say():
    assert patch_means() in TEXT


def test_the_readmes_line_for_real_faces_is_that_of_the_records():
    [line] = [line for line in README.replace("\\\n", "").splitlines() if "papermill" in line and "fer2013" in line]
    options = dict(re.findall(r"-p (\w+) (\S+)", line))
    given = check_options(**{"image_size": 48, **{name: yaml.safe_load(value) for name, value in options.items()}})
    record = read_record(ROOT / "results" / "runs" / "fer2013-compact-mean-seed=0.json")["config"]
    asked = {name: value for name, value in asdict(given).items() if name in record and name != "width_multiplier"}
    assert asked == {name: record[name] for name in asked}


def test_the_files_that_the_readme_names_exist():
    links = re.findall(r"\]\((?!https:)([^)]+)\)", README)
    assert len(links) > 10 and all((ROOT / link).exists() for link in links)
    for name in re.findall(r"(?:notebooks|study|book)/[\w/.-]+\.\w+", README):
        assert (ROOT / name).exists(), name


def test_every_row_is_held_by_a_test():
    rows = [
        line for line in (ROOT / "book" / "what_happens.md").read_text().splitlines() if line.startswith("| ") and "---" not in line
    ]
    rows = [row for row in rows if not row.startswith("| ... |")]
    assert len(rows) >= 20
    for row in rows:
        path, name = re.search(r"<!-- ([\w/]+\.py)::(\w+) --> \|$", row).groups()
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), row
