"""The README's lines do what they say, as they stand; each row of the page "What happens when ..." names a test that is there."""

import ast
import re
from dataclasses import asdict

import keras
import numpy as np
import yaml
from scipy import stats

from palcore.models import build_classifier
from palcore.runs.records import read_record
from palcore.training import check_options
from study.book import readme
from study.book.front_page import patch_means
from study.results.pages import Page
from study.results.primary import BESIDE, beside, over_test_faces
from study.results.probabilities import with_log_losses
from study.results.tables import comparisons, span, with_intervals
from tests.conftest import ROOT

DETECTED, GUESSED = BESIDE["detected_accuracy"], BESIDE["guessed_accuracy"]
README = (ROOT / "README.md").read_text()
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


SAID = " ".join(REPORT.split())


def test_the_reports_answer_is_what_the_records_say(measured):
    points, page = 100 * measured["difference"].astype(float), Page([])
    falls = page.lengthened("tenth", "tenth-twice-as-long")
    change, lead = 100 * (falls["after"] - falls["before"]), page.differences("tenth-twice-as-long")[0].iloc[0]
    assert "lower the accuracy on validation faces in both arms, by half a point and by one" in SAID
    assert change.round(1).abs().round().tolist() == [0, 1] and (change < -0.4).all() and lead["seeds"] == 2
    assert f"PAL's lead is then {100 * lead['difference']:.1f} points, and two seeds leave it anywhere" in SAID
    assert f"between {100 * lead['low']:.1f} and {100 * lead['high']:+.1f}." in SAID
    sixty, lead = page.lengthened("end", "twice-as-long"), page.differences("twice-as-long")[0].iloc[0]
    assert "With all faces: thirty epochs are not long enough." in SAID.replace("Pace or end, with", "With")
    plain, guided = 100 * (sixty["after"] - sixty["before"])
    low, high = (f"{100 * lead[name]:+.1f}" for name in ("low", "high"))
    assert f"validation faces by {plain:.1f} points without PAL and by {guided:.1f} with it" in SAID and min(plain, guided) > 0.5
    assert f"is then {100 * lead['difference']:+.1f} points ({low} to {high}; {WORDS[lead['seeds']]} seeds; " in SAID
    trained = page.runs("twice-as-long")[0].groupby("arm")["training_accuracy"].mean()
    behind = 100 * (trained["without PAL, twice as long"] - trained["PAL, twice as long"])
    assert f"on the faces that the network trains on it is {behind:.1f} points behind" in SAID
    cleaner = comparisons(page.runs("twice-as-long")[0], page.runs("twice-as-long")[2], "ferplus_accuracy").iloc[0]
    size, least, most = (f"{100 * cleaner[name]:+.1f}" for name in ("difference", "low", "high"))
    assert f"by FER+'s labels of these faces {size} ({least} to {most})," in SAID and 0 < lead["low"] < 0.001
    plain = page.differences("tenth-plain")[0].iloc[0]
    size, low, high = (f"{100 * plain[name]:+.1f}" for name in ("difference", "low", "high"))
    assert f"has a lead of {size} points on test faces ({low} to {high}; {WORDS[plain['seeds']]} seeds," in SAID
    assert plain["high"] > measured.loc["C6", "low"] and "which is not told apart from that of C6." in SAID
    few = page.differences("little-data")[0].loc["PAL, 5 % of the faces"]
    assert f"PAL's lead on test faces is {100 * few['difference']:.1f} points ({WORDS[few['seeds']]} seeds, exploratory)" in SAID
    assert "The surest effect is that on faces placed at random; the largest is on drawn faces" in SAID
    first = measured["family"] == "first"
    assert measured["p_holm"][first].astype(float).idxmin() in ("P3", "P3 against none") and points[first].idxmax() == "P5"


def test_the_reports_log_losses_are_what_the_records_say():
    runs, why = (with_log_losses(Page([]).runs(question)[0]) for question in ("end", "why"))
    plain, scaled = (comparisons(runs, {"PAL": "without PAL"}, name).loc["PAL"] for name in ("log_loss", "scaled_log_loss"))
    size, least, most = (f"{-plain[name]:.3f}" for name in ("difference", "high", "low"))
    assert f"with PAL by {size} nats a face ({least} to {most}; {WORDS[plain['seeds']]} seeds), and after" in SAID
    assert f"temperature scaling by {-scaled['difference']:.3f}, so" in SAID and scaled["high"] < 0
    runs, _, pairs = Page([]).runs("twice-as-long-dropout")
    runs, arm = with_log_losses(runs), "dropout 0.25, twice as long"
    spans = {}
    for name, scale, digits in (("test_accuracy", 100, 1), ("ferplus_accuracy", 100, 1), ("log_loss", 1, 3)):
        row = comparisons(runs, {arm: pairs[arm]}, name).loc[arm]
        spans[name] = [*(f"{scale * row[part]:+.{digits}f}" for part in ("difference", "low", "high")), WORDS[row["seeds"]]]
    said = "dropout of 0.25 in place of PAL ends {} points from the baseline on test faces ({} to {}; {} seeds, exploratory)"
    assert said.format(*spans["test_accuracy"]) in SAID
    assert "and {} by FER+'s labels of them ({} to {}), with".format(*spans["ferplus_accuracy"]) in SAID
    assert "with a log loss of {} ({} to {})".format(*spans["log_loss"]) in SAID
    others = comparisons(why, {"another face's landmarks": "without PAL"}, "log_loss")
    assert others["low"].iloc[0] > -0.01  # they do not lower it


def test_what_the_report_says_of_cleaner_labels_is_what_the_records_say(measured_once):
    clean = measured_once.loc["C2"]
    size, least, most = (f"{100 * clean[name]:+.1f}" for name in ("difference", "low", "high"))
    assert f"(C2): PAL's lead is {size} points ({least} to {most}; {WORDS[clean['seeds']]} seeds)." in SAID
    assert clean["outcome"] == measured_once.loc["C1", "outcome"] == "inconclusive"


WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}


def test_what_the_report_grants_a_sceptic_is_what_the_records_say(measured_once):
    page, twice = Page([]), "twice-as-long"
    runs, _, pairs = page.runs(twice)
    low, high = over_test_faces(runs, next(iter(pairs.items())), "test_accuracy", range(5, 10))
    assert f"the one with other test faces too does not ({span(low, high)}), and on validation faces" in SAID
    assert f"the lead is {with_intervals(comparisons(runs, pairs, 'validation_accuracy')).iloc[0]}." in SAID
    means = [100 * page.runs(question)[0].groupby("arm")["ferplus_accuracy"].mean() for question in ("end", twice)]
    (plain, guided), (plain_after, guided_after) = ([mean[arm] for arm in mean.index[::-1]] for mean in means)
    said = f"{plain:.1f} and then {plain_after:.1f} % without PAL, {guided:.1f} and {guided_after:.1f} with it. PAL loses less"
    assert said in SAID and plain_after < plain and guided_after < guided
    aside = beside(measured_once.loc[["C1", "C6", "P1", "P2"]])
    each = aside["mean over classes"]
    (c1, c1_span), (c6, c6_span), (p1, p1_span) = (each[name].rstrip(")").split(" (") for name in ("C1", "C6", "P1"))
    assert f"the lead is {c1} points in C1 ({c1_span}) and {c6} in C6 ({c6_span}), both" in SAID
    assert f"from the weak baseline only ({p1}, {p1_span})" in SAID
    with_them, without = ([cell.split()[0].lstrip("+") for cell in aside[name]] for name in (DETECTED, GUESSED))
    assert f"({without[2]} points against {with_them[2]} in P1, {without[0]} against {with_them[0]} in C1)" in SAID
    assert f"in P2: {without[3]} points there, and {aside.loc['P2', DETECTED].lstrip('+')} on the others" in SAID
    paired = stats.ttest_1samp(list(measured_once.loc["C6", "values"].values()), 0)
    assert f"Paired by seed, C6 is {span(*paired.confidence_interval())} points (p {paired.pvalue:.2f} before" in SAID
    assert min(map(abs, measured_once.loc["C6", "values"].values())) < 0.001


def test_what_the_report_says_of_a_template_and_of_pal_at_first_is_what_the_records_say(measured_once):
    (own, outcome), (first, same) = (
        (with_intervals(measured_once.loc[[name]]).iloc[0].rstrip(")"), measured_once.loc[name, "outcome"])
        for name in ("C3", "C5 at first")
    )
    size, interval = own.split(" (")
    assert f"own landmarks end {size} points above a template ({interval}; C3), which is inconclusive" in SAID
    size, interval = first.split(" (")
    assert f"ends where PAL throughout does: {size} points ({interval}; C5 at first), the same within a point." in SAID
    assert (outcome, same) == ("inconclusive", "same")
    aside = beside(measured_once.loc[["C5 at first"]]).loc["C5 at first"]
    cleaner, trained = aside["by FER+'s labels"].replace(" (", " points from it ("), aside["training faces"].split()[0]
    assert f"By FER+'s labels it ends {cleaner}, and on the faces that it trains on {trained} (exploratory)" in SAID


def test_the_reports_words_about_the_runs_are_what_the_records_say(measured_once):
    cosine, own = "feature cosine, weight 3", "PAL, weight 1"
    page = Page([])
    template = page.differences("template-weight", single=True)[0].loc["a template, weight 0.3"]
    assert "three seeds leave open which is better" in REPORT
    assert template["seeds"] == 3 and template["low"] < 0 < template["high"]
    row = comparisons(page.runs("rivals")[0], {cosine: own}, "test_accuracy").loc[cosine]
    assert "guides the features themselves by the same heatmap, the feature cosine, does about as well in three seeds." in REPORT
    assert row["seeds"] == 3 and row["low"] < 0 < row["high"] and abs(row["difference"]) < 0.005
    why, runs = page.differences("why")[0], page.runs("why")[0]
    rows = [why.loc[arm] for arm in ("a template", "another face's landmarks")]
    below = [f"{-100 * row['difference']:.1f}" for row in rows]
    assert f"end {below[0]} and {below[1]} points below own landmarks (five seeds, exploratory)" in SAID
    assert all(row["high"] < 0 and row["seeds"] == 5 for row in rows)
    none = comparisons(runs, {row.name: "without PAL" for row in rows}, "test_accuracy")
    spans = [f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})" for _, row in none.iterrows()]
    assert f"They lie {' and '.join(spans)} points from no PAL" in SAID and (none["high"] > 0.01).all()
    features = why.loc["feature cosine"]
    apart, low, high = (100 * features[name] for name in ("difference", "low", "high"))
    assert f"ends {-apart:.1f} points below PAL ({low:+.1f} to {high:+.1f}; five seeds" in SAID
    changed = [path for path in (ROOT / "results" / "runs").glob("fer2013-*.json") if read_record(path)["commit"].endswith("+")]
    assert f"for {len(changed)} of FER2013's runs" in REPORT


def test_the_readmes_answer_tables_and_caption_are_what_the_records_say(measured_once):
    assert patch_means() in " ".join(README.split())
    assert readme.with_tables(README) == README, "it is out of date: run `python -m study.book.readme`"
    assert README.count("| C1, on aligned real faces") == 1


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
    text = (ROOT / "book" / "what_happens.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ... |", "| ---"))]
    assert len(rows) >= 20
    for row in rows:
        path, name = re.search(r"<!-- ([\w/]+\.py)::(\w+) --> \|$", row).groups()
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), row
