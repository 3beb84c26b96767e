"""The result pages run without a record, with some, and with all of the grid's, and say what the records say."""

import copy
import functools
import json
import re
from pathlib import Path

import IPython.display
import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pytest

from palcore.runs.records import repository_root
from study.results import glance, pages, primary, tables
from study.results.arms import SHORT, arms_of, lengths_sentence, pairs_of, question_cells, read
from study.results.effects import draw_pace
from study.results.glance import CIRCUMSTANCES, HARDER, INSTEAD
from study.results.measures import CONDITIONS
from study.results.scores import fair_scores, read_facts
from tests.study.results.conftest import PRIMARY, write_run

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
PAGES = sorted(path.stem for path in NOTEBOOKS.glob("results*.py"))


@pytest.fixture
def show(monkeypatch):
    """Runs a page's cells; returns what it displays as one text, and the number of its figures."""

    def run(name, results):
        shown, figures = [], 0
        plt.close("all")  # what other tests left open
        for module in (IPython.display, glance, pages):
            monkeypatch.setattr(module, "display", lambda thing: shown.append(thing.data))
        names = {"In": []}
        for cell in jupytext.read(NOTEBOOKS / f"{name}.py").cells:
            if cell.cell_type == "code":
                before = len(shown)
                exec(cell.source, names)  # `In` is IPython's list of the cells that ran
                drawn = len(plt.get_fignums())
                assert drawn <= 1 and not (drawn and len(shown) > before), "one figure a cell, and alone: it has a caption"
                figures += drawn
                plt.close("all")
            if "parameters" in cell.metadata.get("tags", []):
                names["results_dir"] = str(results)
        return "\n".join(shown), figures

    return run


def write_all(folder, cells):
    for cell in cells:
        write_run(folder, cell)
    return folder


def row_of(text, name):
    """The cells of the first row of a table that begins so."""
    [line, *_] = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_records_says_so(show, tmp_path, page):
    text, figures = show(page, tmp_path)
    assert figures == 0 and "papermill notebooks" not in text and "Exploratory, " not in text
    assert all(line.startswith("0 of ") for line in text.splitlines() if line.endswith("runs are in."))
    assert "not known yet" in text or "runs are in" in text or "still to come" in text


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A folder with a record of every run, and what pages compute of them, each once for all pages: scores and comparisons."""
    fair = functools.cache(lambda folder, name: fair_scores(folder, name, records[name], facts))
    folder = write_all(tmp_path_factory.mktemp("everything"), read()[1])
    records = {path.stem: json.loads(path.read_text())["config"] for path in folder.glob("runs/*.json")}
    facts = read_facts(folder)
    return folder, lambda folder, name, *_: fair(folder, name), functools.cache(primary.measure)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_all_records_shows_figures_and_tables(show, everything, page, monkeypatch):
    folder, scores, measure = everything
    monkeypatch.setattr(tables, "fair_scores", scores)
    monkeypatch.setattr(primary, "measure", measure)
    text, figures = show(page, folder)
    done = re.findall(r"^(\d+) of (\d+) runs are in\.$", text, re.MULTILINE)
    assert all(some == all_ for some, all_ in done)
    if page not in ("results", "results_tests") and arms_of("end"):
        assert figures >= len(done) > 1 and "papermill notebooks/train.ipynb" in text
    assert not re.search(r"\bnan\b|-0\.0\b|\b1 times\b|\[(-|1\d\d)", text.replace("nan-", ""))


def test_every_question_is_on_a_page_and_each_of_its_runs_in_an_arm():
    shown = pages.homes()
    assert set(shown) == set(read()[0]["questions"]) and set(shown.values()) <= set(PAGES)
    for question in [name for name in shown if name != "tuning" and not name.startswith("tries")]:
        calls = re.findall(r"^page\.(\w+)\(.*" + f'"{question}"', (NOTEBOOKS / f"{shown[question]}.py").read_text(), re.MULTILINE)
        assert {"answer", "longer"} & set(calls) and "tables" in calls
        arms = arms_of(question)
        assert {run for runs in arms.values() for run in runs.values()} == {cell.name for cell in question_cells(question)}
        assert {name.endswith(SHORT) == base.endswith(SHORT) for name, base in pairs_of(question).items()} <= {True}
        lengths = [name.endswith(SHORT) for name in arms]
        assert lengths == sorted(lengths), f"question {question} mixes short runs with those at full length"


def test_the_weights_that_got_other_seeds_are_those_that_the_validation_faces_chose():
    for question in ("rivals", "template-weight"):
        arms, losses = arms_of(question), {}
        runs = pages.read_runs([run for tried in arms.values() for run in tried.values()])
        for name, tried in arms.items():
            if ", weight" in name and 0 in tried and (question != "rivals" or name.endswith(SHORT)):
                losses.setdefault(name.split(", weight")[0], {})[name] = runs.loc[tried[0], "validation_accuracy"]
        for scores in losses.values():
            chosen = [name for name in scores if len(arms[name]) > 1]
            assert len(scores) == 4 and len(chosen) == 1 and scores[chosen[0]] == max(scores.values())


def test_width_is_a_difference_of_differences(show, tmp_path):
    assert "with half of them" not in show("results_faces", tmp_path)[0]
    for name, gain in (("faces", 0.01), ("width", 0.03)):
        for cell in question_cells(name):
            guided, seed = cell.options["strategy"] == "mean", cell.options["seed"]
            write_run(tmp_path, cell, 0.5 + guided * (gain + 0.001 * seed * (name == "width")))
    text, _ = show("results_faces", tmp_path)
    assert "PAL adds 2.1 points more with all channels than with half of them (between +2.0 and +2.2; 3 seeds)." in text


def test_what_pages_know_of_runs_is_what_runs_do():
    from palcore.data import changes
    from palcore.runs import reliance
    from study.results import measures

    assert measures.SAMPLE == reliance.SAMPLE
    assert [*CONDITIONS] == ["test", *changes.CONDITIONS] and HARDER.keys() <= CONDITIONS.keys()
    assert all(words.keys() <= pairs_of(name).keys() for name, words in CIRCUMSTANCES.items())
    assert {*INSTEAD, "PAL, weight 1"} <= arms_of("rivals").keys()


def test_a_primary_comparison_is_stated_once_and_linked_from_elsewhere(show, tmp_path, use_grid):
    for cell in use_grid(PRIMARY):
        seed, gain = cell.options["seed"], 0.05 if cell.options["strategy"] == "mean" else 0.0
        write_run(tmp_path, cell, 0.5 + 0.001 * seed * (1 + gain) + gain)
    text, figures = show("results", tmp_path)
    assert figures == 1
    assert row_of(text, "P1, on the faces of P1")[3] == "with this: 55.2 %"
    assert show("results_tests", tmp_path)[1] == 1
    text, _ = show("results_faces", tmp_path)
    assert text.count("**P1: yes, higher.** On the faces of P1,") == 1
    # The same runs answer the question about strategies: the pair is not stated again, the short ones are apart.
    assert "PAL (mean) against without PAL is the primary comparison [P1](results_faces.html)." in text
    assert "against *without PAL, short*, and intervals; without zero, uncorrected: *PAL (mean), short* +5.0 (" in text
    assert "Short: 4 epochs on 30 % of the faces in batches of 32." in text
    controls, _ = show("results_controls", tmp_path)
    assert "**P2: " in controls and "Without PAL against PAL is the primary comparison [P1](results_faces.html)." in controls


def test_circumstances_and_other_uses_of_the_landmarks_stand_beside_pal(show, tmp_path):
    """By what each run is made to score; the order is that of what a reader looks for, not that of the grid."""
    empty, _ = show("results_tests", tmp_path)
    assert "No runs of these questions are in yet." in empty and "real, aligned faces" not in empty
    assert "beside that with PAL" not in empty
    for question, gain in {"noisy-labels": 0.03, "width": -0.02, "knows-faces": 0.0}.items():
        for cell in question_cells(question):
            seed, guided = cell.options["seed"], cell.options["strategy"] == "mean"
            if seed < 2 or question != "noisy-labels":
                write_run(tmp_path, cell, 0.5 + guided * (gain + 0.001 * (seed - 1)))
    for cell in question_cells("rivals"):
        options = cell.options
        gain = {"pal": 0.03, "cosine": 0.02}.get(options.get("loss", "pal"), 0) if options["strategy"] == "mean" else 0.0
        gain = -gain if "epochs=" in cell.name else gain  # short runs say the contrary: they are not what is compared
        write_run(tmp_path, cell, 0.5 + gain + 0.001 * options["seed"] * (options["strategy"] == "mean"))
    text, _ = show("results_tests", tmp_path)
    table = text[text.index("| real, aligned faces") :].split("\n\n")[0]
    outcomes = [line.split("|")[3].strip() for line in table.splitlines()[2:]]
    assert outcomes == sorted(outcomes, key=["above zero", "below zero", "around zero"].index)
    _, size, outcome, seeds = row_of(table, "with 40 % of the training labels replaced at random")
    assert (outcome, seeds) == ("above zero", "2") and size.startswith("+3.0 (")
    assert row_of(table, "with all of the network's channels")[1:] == ["-2.0 (-2.2 to -1.8)", "below zero", "3"]
    assert row_of(table, "from a network that knows faces")[2:] == ["around zero", "3"]
    [sentence] = [line for line in text.splitlines() if "beside that with PAL" in line]
    assert "aligned real faces, the accuracy, beside that with PAL, is 1.0 points lower with the feature cosine (" in sentence
    assert "; 3.1 points lower with face crops (between -3." in sentence


def test_a_page_says_how_long_runs_trained_where_not_as_the_settings_say():
    assert lengths_sentence("faces") == lengths_sentence("width") == ""
    assert "320 epochs on 5 % of the faces in batches of 64." in lengths_sentence("little-data")
    assert "settings of their own, the short ones but for their length: `backbone` face_resnet" in lengths_sentence("knows-faces")


def test_the_lead_is_drawn_below_what_it_is_a_lead_over(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("study.results.effects.draw_pace", lambda panels: drawn.append(panels) or draw_pace(panels))
    cells = question_cells("faces")
    write_all(tmp_path, cells)
    for cell in cells:
        path = tmp_path / "runs" / f"{cell.name}.json"
        record = json.loads(path.read_text())
        record["history"]["val_expression_accuracy"] = [0.2, 0.4] if cell.options["strategy"] == "none" else [0.3, 0.41]
        path.write_text(json.dumps(record))
    pages.Page([], tmp_path).learning({"faces": "a weak baseline", "labels": "other arms", "tenth": "none of its runs"})
    [panels] = drawn
    assert list(panels) == ["a weak baseline"] and sorted(panels["a weak baseline"][0]) == [0, 1, 2, 3, 4]
    below = draw_pace(panels).axes[1]
    assert below.lines[0].get_ydata() == pytest.approx([10, 1]) and below.get_ylabel().startswith("PAL's lead")


@pytest.mark.parametrize(("later", "words"), [(0.004, "are long enough"), (0.006, "are not long enough"), (-0.006, "end lower")])
def test_a_training_is_long_enough_where_twice_the_epochs_change_little(tmp_path, use_grid, monkeypatch, later, words):
    content, shown = copy.deepcopy(PRIMARY), []
    content["questions"]["longer"] = {**content["questions"]["faces"], "settings": {"epochs": 32}, "seeds": [3, 4, 5]}
    monkeypatch.setattr(pages, "display", lambda thing: shown.append(thing.data))
    use_grid(content)
    page = pages.Page([], write_all(tmp_path, [*question_cells("faces"), *question_cells("longer")]))
    for question, value in (("faces", 0.6), ("longer", 0.6 + later)):
        page.runs(question)[0].loc[:, "validation_accuracy"] = value
    page.longer("faces", "longer")
    assert words in shown[0] and f"60.0 % and {60 + 100 * later:.1f} % ({100 * later:+.1f} points; 2 seeds)" in shown[0]


def test_the_first_page_sets_the_lead_on_training_faces_beside_that_on_test_faces(show, tmp_path):
    for cell in [*question_cells("faces"), *question_cells("faces-strategies")]:
        gain = (0.04 if "epochs=" in cell.name else 0.01) if cell.options["strategy"] == "mean" else 0.0
        write_run(tmp_path, cell, 0.5 + gain + 0.001 * cell.options["seed"])
    text, _ = show("results", tmp_path)
    assert re.search(r"\| aligned, weak baseline +\| +\+1\.0 \(\+0\.8 to \+1\.2\) \| +\+1\.0 \(\+0\.8 to \+1\.2\) \|", text)
    lead = (
        "From the weak baseline the lead is 4.0 points after short trainings on 30 % of the faces and 1.0 after longer ones on all."
    )
    assert lead in text


def test_the_first_page_has_a_row_for_each_kind_of_wrong_landmarks(show, tmp_path):
    for cell in question_cells("shortcut"):
        seed, source = cell.options["seed"], cell.options.get("landmark_source", "own")
        loss = {"own": 0.0, "template": 0.02, "shuffled": 0.01 * seed - 0.02}[source]
        write_run(tmp_path, cell, 0.5 + 0.001 * seed - loss)
    text, _ = show("results", tmp_path)
    table = text[text.index("| in place of a face's own landmarks") :].split("\n\n")[0]
    assert row_of(table, "in place of a face's own landmarks")[1:] == ["drawn, patch at random"], "what has no runs is left out"
    assert row_of(table, "one template for all")[1].startswith("-2.0 (-") and "upside down" not in table
    assert row_of(table, "another face's")[1].startswith("0.0 (-")


def test_maps_are_of_the_same_faces(tmp_path, use_grid, rng, monkeypatch):
    """Drawn faces are others for each seed, and not every seed of every arm has maps."""
    use_grid(PRIMARY)
    (tmp_path / "maps").mkdir()
    drawn = []
    monkeypatch.setattr("study.results.effects.draw_maps", drawn.append)

    def maps(**arms):
        for arm, seeds in arms.items():
            runs = arms_of("aligned-landmarks")[{"own": "PAL", "template": "a template"}[arm]]
            for seed, face in seeds.items():
                arrays = {"maps": rng.random((3, 6, 6)), "landmarks": np.full((3, 68, 2), face), "mean": np.eye(6)}
                np.savez(tmp_path / "maps" / f"{runs[seed]}.npz", **arrays)
        pages.Page([], tmp_path).maps("aligned-landmarks")

    maps()
    assert not drawn
    maps(own={1: 1.0, 2: 2.0}, template={0: 0.0, 2: 2.0})
    assert [arrays["landmarks"][0, 0, 0] for arrays in drawn[0].values()] == [2.0, 2.0]
    with pytest.raises(ValueError, match="the maps of 'a template' are not of the same faces as those of 'PAL'"):
        maps(template={2: 2.5})
    (tmp_path / "maps" / f"{arms_of('aligned-landmarks')['a template'][2]}.npz").unlink()
    maps()
    assert len(drawn) == 1, "no seed is shared"


def test_a_large_networks_lead_on_test_faces_is_no_larger_than_on_the_faces_it_trained_on():
    """What the page of real faces says of VGG16, from the records."""
    names = [path.stem for path in (repository_root() / "results" / "runs").glob("fer2013-vgg16-*weights=hed*.json")]
    runs = tables.read_runs(names)
    arms = runs[runs["landmark_source"] == "own"].groupby("strategy")[["test_accuracy", "training_accuracy"]]
    assert len(runs) == 9 and arms.size().to_dict() == {"mean": 3, "none": 3}
    on_test, on_training = arms.mean().loc["mean"] - arms.mean().loc["none"]
    assert 0 < on_test < on_training
