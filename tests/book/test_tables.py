import json

import jupytext
import numpy as np
import pandas as pd
import pytest
import yaml
from papermill.cli import _resolve_type

from palcore.book import tables
from palcore.book.grid import settings_sentence
from palcore.runs.options import check_options
from palcore.runs.records import repository_root
from workflow.cells import defaults

ARMS = {"none": {"strategy": "none"}, "PAL": {"strategy": "mean", "loss": "pal"}, "energy": {"strategy": "mean", "loss": "energy"}}
SCORES = {"test_accuracy": "accuracy"}


def write(folder, name, accuracy, right=(), **config):
    """A record and the predictions of eight test faces, of which those in ``right`` are named rightly."""
    options = check_options(**{"epochs": 12, "learning_rate": 1e-3, "image_size": 48, **config})
    kept = {key: value for key, value in vars(options).items() if key not in ("data_dir", "out_dir", "landmarks")}
    record = {"config": kept, "metrics": {"test": {"accuracy": accuracy}}, "seconds": 90, "device": "a processor", "commit": "abc"}
    record["history"] = {"val_expression_accuracy": [0.1, accuracy - 0.1]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record))
    called = np.ones(8, int)
    called[list(right)] = 0
    arrays = {"test_labels": np.zeros(8, np.uint8), "test_probabilities": np.eye(7, dtype=np.float16)[called]}
    np.savez(folder / f"{name}.npz", **arrays, blur_1_called=called.astype(np.uint8))


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Records of one question, `q`, which every run there answers."""
    every = {"q": lambda: [path.stem for path in (tmp_path / "runs").glob("*.json")], "nothing": list}
    monkeypatch.setattr(tables, "grid_cells", lambda question: every[question]())
    for seed, (none, pal, energy) in enumerate([(0.50, 0.60, 0.49), (0.52, 0.63, 0.53), (0.54, 0.63, 0.55)]):
        write(tmp_path / "runs", f"none-{seed}", none, range(4), strategy="none", seed=seed)
        write(tmp_path / "runs", f"pal-{seed}", pal, range(1, 8), strategy="mean", seed=seed)
        write(tmp_path / "runs", f"energy-{seed}", energy, range(4), strategy="mean", loss="energy", seed=seed)
    return tmp_path


def test_summary_by_hand(results):
    table = tables.read_question("q", results)
    found = tables.summary(table, ARMS, SCORES)
    assert found.index.tolist() == ["none", "PAL", "energy"]
    assert found["seeds"].tolist() == [3, 3, 3]
    assert found.loc["none", ("accuracy", "mean")] == pytest.approx(0.52)
    # Deviation 0.02, so the half width is 4.303 * 0.02 / sqrt(3).
    assert found.loc["none", ("accuracy", "high")] == pytest.approx(0.52 + 4.3027 * 0.02 / np.sqrt(3), rel=1e-4)
    assert tables.with_intervals(found).loc["none", "accuracy"] == "52.0 [47.0, 57.0]"
    assert tables.with_intervals(found, percent=False).loc["none", "accuracy"] == "0.52 [0.47, 0.57]"


def test_a_changed_record_changes_the_table(results):
    before = tables.comparisons(tables.read_question("q", results), ARMS)
    path = results / "runs" / "pal-1.json"
    record = json.loads(path.read_text())
    record["metrics"]["test"]["accuracy"] = 0.53
    path.write_text(json.dumps(record))
    table = tables.read_question("q", results)
    after = tables.comparisons(table, ARMS)
    assert after.loc["PAL", "difference"] == pytest.approx(before.loc["PAL", "difference"] - 0.1 / 3)
    assert tables.summary(table, ARMS, SCORES).loc["PAL", ("accuracy", "mean")] == pytest.approx((0.60 + 0.53 + 0.63) / 3)
    assert tables.verdict(before.loc["PAL"]) != tables.verdict(after.loc["PAL"])


def test_comparisons_are_paired_and_corrected_over_the_table(results):
    found = tables.comparisons(tables.read_question("q", results), ARMS)
    assert found.index.tolist() == ["PAL", "energy"]
    assert found.loc["PAL", "difference"] == pytest.approx(0.1)
    # Differences 0.10, 0.11, 0.09: t = 0.1 / (0.01 / sqrt(3)), two degrees of freedom, and two tests.
    t = 0.1 / (0.01 / np.sqrt(3))
    assert found.loc["PAL", "p"] == pytest.approx(1 - t / np.sqrt(t**2 + 2), rel=1e-3)
    assert found.loc["PAL", "p_holm"] == pytest.approx(2 * found.loc["PAL", "p"])
    assert found.loc["energy", "p_holm"] == found.loc["energy", "p"]
    with pytest.raises(ValueError, match="no baseline 'crop' among the arms: choose from none, PAL, energy"):
        tables.comparisons(tables.read_question("q", results), ARMS, baseline="crop")


def test_arms_may_have_baselines_of_their_own(results):
    table = tables.read_question("q", results)
    found = tables.comparisons(table, ARMS, baseline={"PAL": "energy"})
    assert found.index.tolist() == ["PAL"]
    assert found.loc["PAL", "difference"] == pytest.approx((0.60 + 0.63 + 0.63 - 0.49 - 0.53 - 0.55) / 3)
    assert found.loc["PAL", "p_holm"] == found.loc["PAL", "p"]
    with pytest.raises(ValueError, match="no baseline 'crop' among the arms"):
        tables.comparisons(table, ARMS, baseline={"PAL": "crop"})


def test_verdicts_say_what_the_corrected_test_says(results):
    found = tables.comparisons(tables.read_question("q", results), ARMS)
    raised = tables.verdict(found.loc["PAL"])
    assert raised.startswith(
        "PAL raised the accuracy (+10.0 points over 3 seeds, 95 % interval +7.5 to +12.5, corrected p = 0.0066"
    )
    nothing = tables.verdict(found.loc["energy"], cause="the energy loss")
    assert nothing.startswith("No effect of the energy loss on the accuracy is shown (+0.3 points over 3 seeds")
    unsure = tables.verdict({**found.loc["PAL"], "p_holm": 0.06})
    assert unsure.startswith("PAL may raise the accuracy, but not beyond doubt once p is corrected (+10.0 points")
    worse = tables.verdict({**found.loc["PAL"], "p_holm": 0.06, "difference": -0.1}, cause="another loss")
    assert worse.startswith("Another loss may lower the accuracy")
    wide = tables.verdict({**found.loc["PAL"], "p_holm": 0.06, "low": -0.01})
    assert wide.startswith("No effect of PAL on the accuracy is shown")
    lowered = tables.verdict({**found.loc["PAL"], "difference": -0.1})
    assert lowered.startswith("PAL lowered the accuracy (-10.0 points")
    alone = tables.verdict({**found.loc["PAL"], "seeds": 1, "low": np.nan})
    assert alone == "PAL changed the accuracy by +10.0 points in one seed, which cannot tell an effect from chance."
    equal = tables.verdict({**found.loc["PAL"], "p_holm": np.nan})
    assert equal.startswith("No effect of PAL on the accuracy is shown") and "no test possible" in equal


def test_faces_within_seeds(results):
    """PAL is right on faces 1 to 7, the baseline on 0 to 3: one face is only the baseline's, four are only PAL's."""
    table = tables.read_question("q", results)
    for condition in ("test", "blur_1"):
        rows, (difference, low, high) = tables.face_tests(table, ARMS["PAL"], ARMS["none"], results / "runs", condition)
        assert rows["only_baseline"].tolist() == [1, 1, 1] and rows["only_arm"].tolist() == [4, 4, 4]
        assert rows["p"].iloc[0] == pytest.approx(2 * (1 + 5) / 2**5)
        assert rows["p_holm"].tolist() == [1, 1, 1]
        assert difference == pytest.approx(3 / 8)
        assert low < difference < high
    np.savez(results / "runs" / "pal-0.npz", test_labels=np.ones(8, np.uint8), test_probabilities=np.eye(7)[np.ones(8, int)])
    with pytest.raises(ValueError, match="none-0 and pal-0 were tested on other faces"):
        tables.face_tests(table, ARMS["PAL"], ARMS["none"], results / "runs")


def test_the_weight_is_chosen_on_validation(results):
    assert tables.best_on_validation(tables.read_question("q", results), ARMS) == "PAL"
    with pytest.raises(ValueError, match="no runs to choose from among half"):
        tables.best_on_validation(tables.read_question("q", results), {"half": {"strategy": "half"}})


def test_only_shared_seeds_choose(results):
    # A further seed of the arm that lost, better than all others, must not make it win.
    table = tables.read_question("q", results)
    best = tables.best_on_validation(table, ARMS)
    other = next(label for label in ARMS if label not in (best, "none"))
    lucky = tables.arm_rows(table, ARMS[other]).iloc[[0]].assign(seed=99, validation_accuracy=5.0)
    grown = pd.concat([table, lucky], ignore_index=True)
    assert tables.best_on_validation(grown, ARMS) == best
    alone = grown[(grown["loss"] != ARMS[other]["loss"]) | (grown["seed"] == 99)]
    with pytest.raises(ValueError, match="no seed that .* share, to choose by"):
        tables.best_on_validation(alone, ARMS)


def test_the_settings_in_words_are_those_of_the_grid():
    settings = yaml.safe_load((repository_root() / "workflow" / "grid.yml").read_text())["settings"]
    for dataset, words in settings.items():
        sentence = settings_sentence(dataset)
        assert f"backbone {words['backbone']}" in sentence and f" {words['epochs']} epochs " in sentence
        share = f"{100 * words['train_share']:g} % of the training faces" if "train_share" in words else "all training faces"
        assert share in sentence


def test_arms_that_are_not_there_yet_leave_gaps_and_ambiguous_ones_are_refused(results):
    table = tables.read_question("q", results)
    arms = {**ARMS, "half": {"strategy": "half"}}
    assert tables.comparisons(table, arms).index.tolist() == ["PAL", "energy"]
    shown = tables.with_intervals(tables.summary(table, arms, SCORES))
    assert shown.loc["half"].tolist() == [0, "-"]
    with pytest.raises(ValueError, match="has two runs of one seed, energy-0 and pal-0: name the option"):
        tables.arm_rows(table, {"strategy": "mean"})
    with pytest.raises(ValueError, match="no option 'los' in the records"):
        tables.arm_rows(table, {"los": "pal"})
    empty = tables.read_question("nothing", results)
    assert tables.summary(empty, ARMS, SCORES)["seeds"].tolist() == [0, 0, 0]
    assert tables.comparisons(empty, ARMS).empty
    assert tables.listing(empty, SCORES).empty


def test_records_older_than_an_option_have_its_default(results):
    for path in (results / "runs").glob("*.json"):
        record = json.loads(path.read_text())
        if record["config"]["loss"] == "energy":
            path.unlink()
            continue
        del record["config"]["loss"], record["config"]["crop"]
        path.write_text(json.dumps(record))
    table = tables.read_question("q", results)
    assert tables.arm_rows(table, {"strategy": "mean", "loss": "pal", "crop": None})["name"].tolist() == ["pal-0", "pal-1", "pal-2"]


def test_a_row_leads_to_its_record_and_to_the_command_that_made_it(results):
    write(results / "runs", "noisy", 0.5, strategy="none", label_noise=0.2, shortcut=None, seed=7)
    shown = tables.listing(tables.read_question("q", results), SCORES).set_index("seed")
    assert shown.loc[7, "record"] == "[noisy](../results/runs/noisy.json)"
    assert shown.loc[7, "minutes"] == 1.5
    words = shown.loc[7, "command"].split()
    assert words[:3] == ["papermill", "notebooks/train.ipynb", "OUT.ipynb"]
    told = {name: _resolve_type(value) for name, value in zip(words[4::3], words[5::3], strict=True)}
    options = check_options(**{**defaults(), **told})
    assert (options.strategy, options.label_noise, options.shortcut, options.seed, options.epochs) == ("none", 0.2, None, 7, 12)


def test_commands_state_what_the_notebook_would_do_otherwise():
    source = jupytext.read(repository_root() / "notebooks" / "train.py")
    [cell] = [cell for cell in source.cells if "parameters" in cell.metadata.get("tags", [])]
    names = {}
    exec(cell.source, names)
    differ = {name for name, value in vars(check_options()).items() if names[name] != value}
    assert differ == set(tables.ALWAYS)
    assert "-p data_dir DIR" in tables.command({"dataset": "fer2013", **{name: 1 for name in tables.ALWAYS}})


def test_progress_counts_what_the_grid_wants_and_what_failed(tmp_path):
    names = tables.grid_cells("shortcut-weight")
    assert len(names) > 3
    assert tables.progress_sentence("shortcut-weight", tmp_path) == f"0 of {len(names)} runs are in."
    write(tmp_path / "runs", names[0], 0.5, strategy="none")
    write(tmp_path / "runs", "by hand", 0.5, strategy="none")
    lines = ["cell,attempts,finished,failed", f"{names[0]},3,1,2", f"{names[1]},1,0,1", "of another question,5,5,0"]
    (tmp_path / "runs" / "attempts.csv").write_text("\n".join(lines))
    expected = f"1 of {len(names)} runs are in. Training was started 4 times and failed 3 times."
    assert tables.progress_sentence("shortcut-weight", tmp_path) == expected


def test_every_question_of_the_grid_reads_as_a_table():
    for question in ("faces-strategies", "rafdb", "affectnet"):
        assert isinstance(tables.read_question(question), pd.DataFrame)
        assert tables.progress(question)["runs"] > 0
