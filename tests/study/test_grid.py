"""The grid is what grid.yml says, every cell of it can run, and a run is repeated when what it depends on changes."""

import fcntl
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from papermill.cli import _resolve_type

from palcore.models import build_classifier, with_attribution
from palcore.runs.options import check_options
from study import grid as grid_commands
from study.cells import RUNS, Cell, cell_name, command, expand, parameters, read_grid, selected
from study.fingerprints import code_fingerprint, data_fingerprint, imported_modules
from study.results.committed import read_predictions, read_results

ROOT = Path(__file__).resolve().parents[2]
GRID = read_grid()
CELLS = expand(GRID)
FOLDERS = {"fer2013": "some place/fer2013", "rafdb": "R", "affectnet": "A"}


def folder(cell):
    return FOLDERS.get(cell.options["dataset"])


def test_names_are_unique_and_safe_in_a_path():
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert all(re.fullmatch(r"[A-Za-z0-9_.=-]{10,240}", cell.name) for cell in CELLS)
    assert len({tuple(sorted(cell.options.items(), key=str)) for cell in CELLS}) == len(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_is_a_run_that_the_options_allow_and_its_line_says_so(cell):
    options = check_options(**parameters(cell, folder(cell)))
    words = command(cell, folder(cell))
    assert words[:3] == ["papermill", "notebooks/train.ipynb", f"runs/grid/{cell.name}/log.ipynb"]
    told = {}
    for flag, name, value in zip(words[3::3], words[4::3], words[5::3], strict=True):
        assert flag == "-p"
        told[name] = _resolve_type(value)
    assert check_options(**told) == options
    assert options.out_dir == f"runs/grid/{cell.name}"


def test_each_question_has_its_cells_and_shared_ones_are_listed_once():
    counts = Counter(title for cell in expand(GRID, tuned={}) for title in cell.questions)
    assert counts == {
        "tries-baseline": 15,
        "tries-few-baseline": 12,
        "shortcut": 4 * 5,
        "tuning": 3 + 1 + 4,
        "faces": 2 * 5,
        "aligned-landmarks": 3 * 5 + 3 * 3,
        "placed": 3 * 5,
        "labels": 2 * 5 + 2 * 3,
        "width": 2 * 3,
        "shortcut-full": 2 * 3,
        "shortcut-strategies": (1 + 3 * 2) * 5,
        "shortcut-landmarks": (2 + 1 + 2) * 3,
        "shortcut-strength": 2 * 3 * 3,
        "shortcut-weight": 4 * 3,
        "faces-strategies": (4 + 3) * 3,
        "landmarks": (2 + 2 + 1 + 2 + 1 + 4) * 3,
        "rivals": 3 + 4 * (4 + 2) + 3 + 4 * 3,
        "noisy-labels": 2 * (3 + 2) * 3,
        "little-data": 2 * (4 + 2) * 3,
        "imbalance": 3 * 3,
        "knows-faces": 2 * 2 * 3,
        "template-weight": 4 + 2 + 3,
        "vgg16-short": 3 * 3,
        "rafdb": (2 * 4 + 2 * 4 + 3) * 3,
        "affectnet": (2 * 4 + 2 * 4 + 3) * 3,
    }
    [shared] = [cell for cell in CELLS if cell.name == "fer2013-compact-none-seed=0"]
    primary, exploratory = ["tuning", "faces", "aligned-landmarks", "labels"], ["faces-strategies", "landmarks", "rivals"]
    assert shared.questions == [*primary, *exploratory, "noisy-labels", "little-data"]
    assert shared.options["robustness"] is True


def test_every_primary_comparison_is_of_runs_that_the_grid_has():
    assert 0 < GRID["margin"] < 0.1
    for comparison in GRID["comparisons"].values():
        question = GRID["questions"][comparison["question"]]
        arms = {arm["name"]: arm for arm in question["arms"]}
        for name in (*comparison["arms"], *comparison.get("minus", ())):
            assert len(arms[name].get("seeds", question["seeds"])) >= (3 if "minus" in comparison else 5)
        assert comparison["asks"].endswith("?") and comparison["counts"]


def test_the_layers_that_the_grid_names_exist():
    for layer in {cell.options["layer"] for cell in CELLS if "layer" in cell.options}:
        with_attribution(build_classifier("compact", 48, units=8), layer)


def small(**arms):
    return {
        "settings": {"synthetic": {"backbone": "compact", "epochs": 2}},
        "questions": {name: {"asks": "?", "dataset": "synthetic", "seeds": [0], "arms": arm} for name, arm in arms.items()},
    }


def test_a_baseline_is_one_run_whatever_the_loss_it_does_not_have():
    [cell] = expand(small(a=[{"strategy": "none", "pal_weight": [0.1, 3.0], "loss": ["pal", "rrr"]}]))
    assert cell.name == "synthetic-compact-none-seed=0"
    assert cell.options == {"backbone": "compact", "epochs": 2, "dataset": "synthetic", "strategy": "none", "seed": 0}


def test_an_arm_may_have_seeds_of_its_own():
    cells = expand(small(a=[{"strategy": "none"}, {"strategy": "mean", "seeds": [3, 4]}]))
    assert [(cell.options["strategy"], cell.options["seed"]) for cell in cells] == [("none", 0), ("mean", 3), ("mean", 4)]


def test_a_question_may_have_settings_in_place_of_its_data_set_s():
    grid = small(a=[{"strategy": "mean"}], b=[{"strategy": "mean"}, {"strategy": "mean", "epochs": 2}])
    grid["questions"]["b"]["settings"] = {"epochs": 9, "backbone": "vgg16"}
    names = ["synthetic-compact-mean-seed=0", "synthetic-vgg16-mean-epochs=9-seed=0", "synthetic-vgg16-mean-seed=0"]
    assert [cell.name for cell in expand(grid)] == names, "a name says what differs from the data set's settings"
    assert [cell.options["epochs"] for cell in expand(grid)] == [2, 9, 2]
    grid["questions"]["b"]["settings"] = {"epoch": 9}
    with pytest.raises(ValueError, match="question b: unknown option 'epoch'"):
        expand(grid)


def test_what_repeats_a_default_is_the_same_run():
    cells = expand(small(a=[{"strategy": "mean"}], b=[{"strategy": "mean", "attribution": ["grad", "grad_input"], "epochs": 2}]))
    assert [cell.name for cell in cells] == ["synthetic-compact-mean-seed=0", "synthetic-compact-mean-attribution=grad-seed=0"]
    assert [cell.questions for cell in cells] == [["a", "b"], ["b"]]


def test_a_run_that_one_question_wants_tested_harder_is_one_run():
    for arms in ([True, False], [False, True]):
        cells = expand(small(**{f"q{number}": [{"strategy": "mean", "robustness": arm}] for number, arm in enumerate(arms)}))
        assert [cell.options["robustness"] for cell in cells] == [True]


def test_a_grid_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="question a: unknown option 'strategey'"):
        expand(small(a=[{"strategey": "mean"}]))
    file = tmp_path / "grid.yml"
    for change, sentence in (
        ({"seed": [1]}, "unknown 'seed'"),
        ({"settings": {"dataset": "rafdb"}}, "its settings name 'dataset', which is the question's own"),
        ({"dataset": "ck+"}, "no settings for data set 'ck\\+'"),
    ):
        broken = small(a=[{"strategy": "mean"}])
        broken["questions"]["a"] |= change
        file.write_text(yaml.safe_dump(broken))
        with pytest.raises(ValueError, match=sentence):
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


def test_the_whole_fits_two_cores():
    hours = sum(cell.minutes for cell in CELLS if not cell.gpu) / 60
    assert 2 < hours < 30


def test_a_name_shows_what_differs():
    options = {"dataset": "fer2013", "backbone": "compact", "strategy": "mean", "layer": "a/b", "seed": 3, "jaw": 0, "epochs": 1}
    assert cell_name(options, {"epochs": 1, "jaw": 1.0, "layer": None}) == "fer2013-compact-mean-jaw=0-layer=a_b-seed=3"


@pytest.fixture
def code(tmp_path):
    """A copy of palcore to change."""
    shutil.copytree(ROOT / "palcore", tmp_path / "palcore", ignore=shutil.ignore_patterns("__pycache__"))

    def change(name, old, new):
        path = tmp_path / "palcore" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    def fingerprint(dataset="synthetic"):
        code_fingerprint.cache_clear()
        return code_fingerprint(dataset, tmp_path)

    return change, fingerprint


def test_a_run_depends_on_the_code_that_it_executes(code):
    change, fingerprint = code
    before = fingerprint()
    change("losses.py", "return -attribution_correlation", "return -2 * attribution_correlation")
    changed = fingerprint()
    assert changed != before
    change("data/fer2013.py", "SIDE = 48", "SIDE = 49")
    assert fingerprint() == changed
    assert fingerprint("fer2013") != changed


def test_a_run_does_not_depend_on_words_or_on_modules_that_training_does_not_use(code):
    change, fingerprint = code
    before = fingerprint()
    change("losses.py", '"""PAL: minus the correlation', '"""PAL, minus the correlation')
    change("losses.py", "# Guarded inside", "# It is guarded inside")
    change("runs/card.py", "not set", "none")
    change("runs/model_card.md", "What it is for", "What it serves")
    change("progress.py", "def ", "def _")
    assert fingerprint() == before
    assert {"palcore.losses", "palcore.data.changes"} <= set(imported_modules("palcore.runs.training"))


def test_a_run_depends_on_its_data(tmp_path):
    def fingerprint():
        data_fingerprint.cache_clear()
        return data_fingerprint(tmp_path)

    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.jpg").write_bytes(b"face")
    (tmp_path / "landmarks.csv").write_text("0.1")
    found = [fingerprint()]
    (tmp_path / "train" / "a.jpg").touch()
    assert fingerprint() == found[0]
    (tmp_path / "landmarks.csv").write_text("0.2")
    found.append(fingerprint())
    (tmp_path / "train" / "b.jpg").write_bytes(b"face")
    found.append(fingerprint())
    assert len(set(found)) == 3


@pytest.fixture
def study(tmp_path):
    """A study whose notebook writes a record; where the strategy is `half` it fails, for `all` it hangs, for `dies` dies once."""

    def run(strategy, **options):
        code = "import json, os, pathlib, time\nif strategy == 'half':\n    raise ValueError('no channels')\n"
        code += "if strategy == 'all':\n    time.sleep(600)\n"
        code += "folder = pathlib.Path(out_dir)\nstate = folder / 'resume.npz'\n"
        code += "if strategy == 'dies' and not state.exists():\n    state.touch()\n    os._exit(9)\n"
        code += "(folder / 'record.json').write_text('{}')\n"
        cells = [nbformat.v4.new_code_cell("strategy = 'mean'\nout_dir = ''", metadata={"tags": ["parameters"]})]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        notebook = nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_code_cell(code)], metadata=kernel)
        nbformat.write(notebook, tmp_path / "notebooks" / "train.ipynb")
        cell = Cell(strategy, {"dataset": "synthetic", "strategy": strategy}, False, ["question"])
        return cell, grid_commands.attempt(cell, root=tmp_path, **options)

    return tmp_path, run


def test_an_attempt_notes_how_it_ended_and_keeps_the_log_of_a_failure(study):
    root, run = study
    good, code = run("mean")
    assert code == 0
    bad, code = run("half")
    assert code != 0
    run("half")
    with pytest.raises(ValueError, match="mean has a record already"):  # whose record and log an attempt would remove
        run("mean")
    assert [grid_commands.state(cell, root) for cell in (good, bad)] == ["finished", "failed"]
    assert "no channels" in (root / bad.folder / "log.ipynb").read_text()
    assert grid_commands.attempts(root / RUNS) == {
        "mean": {"attempts": 1, "finished": 1, "failed": 0},
        "half": {"attempts": 2, "finished": 0, "failed": 2},
    }


def test_a_run_that_died_goes_on_as_long_as_it_gets_farther(study):
    root, run = study
    cell, code = run("dies")
    assert code == 0
    assert grid_commands.attempts(root / RUNS) == {"dies": {"attempts": 2, "finished": 1, "failed": 1}}
    assert grid_commands.state(cell, root) == "finished"


def test_a_run_that_hangs_is_given_up_and_counts_as_failed(study):
    root, run = study
    cell, code = run("all", patience=2, poll=0.2)
    assert code != 0
    assert grid_commands.attempts(root / RUNS) == {"all": {"attempts": 1, "finished": 0, "failed": 1}}
    assert grid_commands.state(cell, root) == "failed"


def test_a_cell_is_not_run_twice_at_a_time(tmp_path):
    cell = Cell("one", {"dataset": "synthetic"}, False, ["question"])
    (tmp_path / cell.folder).mkdir(parents=True)
    with (tmp_path / cell.folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="cell one is being run by another process"):
            grid_commands.attempt(cell, root=tmp_path)


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
    finish(tmp_path, cells[0])
    finish(tmp_path, cells[1])
    (tmp_path / "runs" / "grid" / "attempts.csv").write_text("a,started,1\na,finished,2\nc,started,3\nc,failed,4\nc,started,5\n")
    assert grid_commands.publish(cells, tmp_path) == 2
    assert read_results(tmp_path / "results" / "runs")["name"].tolist() == ["a", "b"]
    assert read_predictions(tmp_path / "results" / "runs", "a")["labels"].tolist() == [0, 0, 0]
    tried = (tmp_path / "results" / "runs" / "attempts.csv").read_text()
    assert tried == "cell,attempts,finished,failed\na,1,1,0\nc,2,0,1\n"
    assert grid_commands.publish(cells, tmp_path) == 0
    # Attempts of elsewhere stay, and so do those that were published before.
    (tmp_path / "runs" / "grid" / "attempts.csv").write_text("c,started,6\nc,finished,7\n")
    assert grid_commands.publish(cells, tmp_path) == 0
    tried = (tmp_path / "results" / "runs" / "attempts.csv").read_text()
    assert tried == "cell,attempts,finished,failed\na,1,1,0\nc,1,1,0\n"
    finish(tmp_path, cells[1], 0.6)
    assert grid_commands.publish(cells, tmp_path, ["second"]) == 1
    # What another machine has run is taken from where it lies.
    finish(tmp_path / "elsewhere", cells[2])
    assert grid_commands.publish(cells, tmp_path, runs=tmp_path / "elsewhere" / "runs" / "grid") == 1
    (tmp_path / "results" / "runs" / "c.json").unlink()
    assert grid_commands.state(cells[2], tmp_path) == "missing" and grid_commands.state(cells[1], tmp_path) == "finished"
    assert read_results(tmp_path / "results" / "runs")["test_accuracy"].tolist() == [0.5, 0.6]


def test_the_command_line_lists_cells_and_gives_their_lines(capsys):
    grid_commands.main(["list", "little-data"])
    text = capsys.readouterr().out
    assert "fer2013-compact-none-batch_size=32-epochs=24-train_share=0.05-seed=2" in text
    assert "pal_weight=30.0" not in text
    grid_commands.main(["command", "fer2013-compact-mean-batch_size=32-epochs=4-jaw=0-train_share=0.3-seed=1"])
    assert "-p jaw 0 -p seed 1 -p data_dir DIR" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no such cell: nothing"):
        grid_commands.main(["command", "nothing"])
    with pytest.raises(SystemExit, match="unknown question 'nothing'"):
        grid_commands.main(["publish", "nothing"])


@pytest.mark.parametrize(("name", "executor"), [("local", None), ("slurm", "slurm"), ("kubernetes", "kubernetes")])
def test_a_failed_cell_stops_no_other_wherever_the_grid_runs(name, executor):
    profile = yaml.safe_load((ROOT / "study" / "profiles" / name / "config.yaml").read_text())
    assert profile["keep-going"] is True
    assert profile["rerun-incomplete"] is True
    assert profile.get("executor") == executor
