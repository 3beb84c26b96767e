"""The grid is what grid.yml says, every cell of it can run, and a run is repeated when what it depends on changes."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml
from papermill.cli import _resolve_type

from palcore.models import build_classifier, with_attribution
from palcore.runs.options import check_options
from palcore.runs.records import predictions_of
from study import grid as grid_commands
from study.cells import RUNS, Cell, command, expand, parameters, read_grid, selected
from study.fingerprints import code_fingerprint, data_fingerprint, imported
from study.results.tables import read_runs
from tests.conftest import ROOT

GRID = read_grid()
CELLS = expand(GRID)
FOLDERS = {"fer2013": "some place/fer2013", "rafdb": "R", "affectnet": "A"}


def test_names_are_unique_and_safe_in_a_path():
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=-]{10,240}", cell.name) for cell in CELLS)
    assert len({tuple(sorted(cell.options.items(), key=str)) for cell in CELLS}) == len(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_is_a_run_that_the_options_allow_and_its_line_says_so(cell):
    folder = FOLDERS.get(cell.options["dataset"])
    options, words = check_options(**parameters(cell, folder)), command(cell, folder)
    assert words[:3] == ["papermill", "notebooks/train.ipynb", f"runs/grid/{cell.name}/log.ipynb"]
    told = {}
    for flag, name, value in zip(words[3::3], words[4::3], words[5::3], strict=True):
        assert flag == "-p"
        told[name] = _resolve_type(value)
    assert check_options(**told) == options
    assert options.out_dir == f"runs/grid/{cell.name}"


def test_the_layers_that_the_grid_names_exist():
    for layer in {cell.options["layer"] for cell in CELLS if "layer" in cell.options}:
        with_attribution(build_classifier("compact", 48, units=8), layer)


def small(**arms):
    return {
        "settings": {"synthetic": {"backbone": "compact", "epochs": 2}},
        "questions": {name: {"asks": "?", "dataset": "synthetic", "seeds": [0], "arms": arm} for name, arm in arms.items()},
    }


def test_what_repeats_another_run_or_a_default_is_the_same_run():
    baseline = [{"strategy": "none", "pal_weight": [0.1, 3.0], "loss": ["pal", "rrr"]}]  # which has no such loss
    [cell] = expand(small(a=baseline))
    assert cell.name == "synthetic-compact-none-seed=0"
    assert cell.options == {"backbone": "compact", "epochs": 2, "dataset": "synthetic", "strategy": "none", "seed": 0}
    cells = expand(small(a=[{"strategy": "mean"}], b=[{"strategy": "mean", "attribution": ["grad", "grad_input"], "epochs": 2}]))
    assert [cell.name for cell in cells] == ["synthetic-compact-mean-seed=0", "synthetic-compact-mean-attribution=grad-seed=0"]
    assert [cell.questions for cell in cells] == [["a", "b"], ["b"]]
    for first in (True, False):  # what one question wants tested harder
        cells = expand(small(**{name: [{"strategy": "mean", "robustness": (name == "a") == first}] for name in "ab"}))
        assert [cell.options["robustness"] for cell in cells] == [True]


def test_an_arm_may_have_seeds_of_its_own():
    cells = expand(small(a=[{"strategy": "none"}, {"strategy": "mean", "seeds": [3, 4]}]))
    assert [(cell.options["strategy"], cell.options["seed"]) for cell in cells] == [("none", 0), ("mean", 3), ("mean", 4)]


def test_a_question_may_have_settings_in_place_of_its_data_set_s():
    grid = small(a=[{"strategy": "mean"}], b=[{"strategy": "mean"}, {"strategy": "mean", "epochs": 2}])
    grid["questions"]["b"]["settings"] = {"epochs": 9, "backbone": "vgg16"}
    names = ["synthetic-compact-mean-seed=0", "synthetic-vgg16-mean-epochs=9-seed=0", "synthetic-vgg16-mean-seed=0"]
    assert [cell.name for cell in expand(grid)] == names, "a name says what differs from the data set's settings"
    assert [cell.options["epochs"] for cell in expand(grid)] == [2, 9, 2]


def test_a_grid_that_makes_no_sense_is_refused(tmp_path):
    file = tmp_path / "grid.yml"
    for change, sentence in (
        ({"arms": [{"strategey": "mean"}]}, "question a: unknown option 'strategey'"),
        ({"settings": {"epoch": 9}}, "question a: unknown option 'epoch'"),
        ({"seed": [1]}, "unknown 'seed'"),
        ({"settings": {"dataset": "rafdb"}}, "its settings name 'dataset', which is the question's own"),
        ({"dataset": "ck+"}, "no settings for data set 'ck\\+'"),
    ):
        broken = small(a=[{"strategy": "mean"}])
        broken["questions"]["a"] |= change
        file.write_text(yaml.safe_dump(broken))
        with pytest.raises(ValueError, match=sentence):
            expand(read_grid(file))
    file.write_text(yaml.safe_dump(small(a=[{"strategy": "mean"}]) | {"b": {"asks": "a question that stands too far out"}}))
    with pytest.raises(ValueError, match="unknown key 'b' beside the questions"):
        read_grid(file)


def test_cells_are_selected_by_question_and_by_the_data_that_is_there():
    assert {cell.options["dataset"] for cell in selected(CELLS)} == {"synthetic"}
    both = selected(CELLS, folders=["fer2013"])
    assert not any(cell.gpu for cell in both) and len(both) == sum(not cell.gpu for cell in CELLS)
    assert len(selected(CELLS, ["vgg16-short"], ["fer2013"], GRID)) == 9
    with pytest.raises(ValueError, match="no folder for data set rafdb: give it as --config rafdb=DIR"):
        selected(CELLS, ["rafdb"], ["fer2013"], GRID)
    with pytest.raises(ValueError, match="unknown question 'speed': choose from shortcut, tuning"):
        selected(CELLS, ["speed"], [], GRID)


def test_the_whole_fits_two_cores_in_three_days():
    assert 2 < sum(cell.minutes for cell in CELLS if not cell.gpu) / 60 < 72


def test_a_run_depends_on_the_code_that_it_executes_and_not_on_words_or_what_training_does_not_use(tmp_path):
    shutil.copytree(ROOT / "palcore", tmp_path / "palcore", ignore=shutil.ignore_patterns("__pycache__"))
    before = {data: code_fingerprint(data) for data in ("synthetic", "fer2013")}

    def changed(name, old, new):
        """Whether the fingerprints of runs on drawn and on real faces are others than those of the code as it is."""
        path = tmp_path / "palcore" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
        code_fingerprint.cache_clear()
        return [code_fingerprint(data, tmp_path) != fingerprint for data, fingerprint in before.items()]

    assert changed("losses.py", '"""PAL: minus the correlation', '"""PAL, minus the correlation') == [False, False]
    assert changed("losses.py", "# Guarded inside", "# It is guarded inside") == [False, False]
    assert changed("progress.py", "def ", "def _") == [False, False]
    assert changed("data/fer2013.py", "SIDE = 48", "SIDE = 49") == [False, True]
    assert changed("losses.py", "return -attribution_correlation", "return -2 * attribution_correlation") == [True, True]
    assert {"palcore.losses", "palcore.data.changes"} <= set(imported(["palcore.runs.training"]))


def test_a_run_depends_on_its_data(tmp_path):
    (tmp_path / "train").mkdir()
    digests = []
    for name, content in (("train/a.jpg", "face"), ("train/a.jpg", "FACE"), ("landmarks.csv", "0.1"), ("landmarks.csv", "0.2")):
        (tmp_path / name).write_text(content)
        data_fingerprint.cache_clear()
        digests.append(data_fingerprint(tmp_path))
    assert digests[0] == digests[1] and len(set(digests)) == 3  # images are not read


@pytest.fixture
def attempt(tmp_path, monkeypatch):
    """Runs a cell whose command says how it ends: with a record, or with code 9."""
    ends = {"mean": "pathlib.Path(sys.argv[1], 'record.json').write_text('{}')", "half": "sys.exit(9)"}

    def command(cell, data_dir, python):
        log = "pathlib.Path(sys.argv[1], 'log.ipynb').write_text(f'{sys.argv} {os.environ}')"
        return [python, "-c", f"import os, pathlib, sys\n{log}\n{ends[cell.name]}", cell.folder]

    def attempt(name):
        cell = Cell(name, {"dataset": "synthetic"}, False, ["question"])
        code = grid_commands.attempt(cell, root=tmp_path)
        return code, grid_commands.state(cell, tmp_path)

    monkeypatch.setattr(grid_commands, "command", command)
    return attempt


def test_an_attempt_keeps_the_log_of_a_failure(attempt, tmp_path):
    assert attempt("mean") == (0, "finished")
    assert attempt("half") == attempt("half") == (9, "failed")
    log = (tmp_path / RUNS / "half" / "log.ipynb").read_text()
    assert "--no-progress-bar" in log and "'OMP_NUM_THREADS': " in log
    with pytest.raises(ValueError, match="mean has a record already"):  # whose record and log an attempt would remove
        attempt("mean")


def finish(root, cell, accuracy=0.5):
    """A run folder as training leaves it."""
    record = {"config": {"strategy": "mean", "seed": 0}, "metrics": {"test": {"accuracy": accuracy}}, "history": {}}
    record |= {"seconds": 60, "device": "none", "commit": None}
    place = root / cell.folder
    place.mkdir(parents=True, exist_ok=True)
    (place / "record.json").write_text(json.dumps(record))
    np.savez_compressed(place / "predictions.npz", test_labels=np.zeros(3, np.uint8))


def test_finished_runs_are_published_once_whatever_they_answer(tmp_path):
    cells = [Cell("a", {}, False, ["first", "second"]), Cell("b", {}, False, ["second"]), Cell("c", {}, False, ["second"])]
    results = tmp_path / "results" / "runs"
    finish(tmp_path, cells[0])
    finish(tmp_path, cells[1])
    assert grid_commands.publish(cells, tmp_path) == 2
    for name in ("b", "c"):
        (results / f"{name}.json.tmp").write_text('{"config"')  # a draft
    assert read_runs(["a", "b", "c"], tmp_path / "results").index.tolist() == ["a", "b"]
    assert predictions_of(results / "a.npz")["test_labels"].tolist() == [0, 0, 0]
    assert grid_commands.publish(cells, tmp_path) == 0
    finish(tmp_path, cells[1], 0.6)
    assert grid_commands.publish(cells, tmp_path, ["second"]) == 1
    # What another machine has run is taken from where it lies.
    finish(tmp_path / "elsewhere", cells[2])
    assert grid_commands.publish(cells, tmp_path, runs=tmp_path / "elsewhere" / "runs" / "grid") == 1
    assert [grid_commands.state(cell, tmp_path) for cell in cells] == ["finished", "finished", "published"]
    assert read_runs(["a", "b", "c"], tmp_path / "results")["test_accuracy"].tolist() == [0.5, 0.6, 0.5]


def test_the_command_line_lists_cells_and_refuses_what_is_none(capsys):
    grid_commands.main(["list", "little-data"])
    text = capsys.readouterr().out
    assert "fer2013-compact-none-batch_size=32-epochs=24-train_share=0.05-seed=2" in text
    assert "pal_weight=30.0" not in text
    with pytest.raises(SystemExit, match="no such cell: nothing"):
        grid_commands.main(["attempt", "nothing"])
    with pytest.raises(SystemExit, match="unknown question 'nothing'"):
        grid_commands.main(["publish", "nothing"])


@pytest.mark.parametrize(("name", "executor"), [("local", None), ("slurm", "slurm")])
def test_a_failed_cell_stops_no_other_wherever_the_grid_runs(name, executor):
    profile = yaml.safe_load((ROOT / "study" / "profiles" / name / "config.yaml").read_text())
    assert profile["keep-going"] is True
    assert profile["rerun-incomplete"] is True and profile["retries"] == 2
    assert profile.get("executor") == executor
