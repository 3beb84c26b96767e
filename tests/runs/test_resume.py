"""A run that dies: what is left, who may go on, and that it ends as one that was left alone."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from palcore.files import whole_file
from palcore.runs import resume, training
from palcore.runs.options import check_options
from palcore.runs.records import STATE
from palcore.runs.resume import Progress, only_process
from tests.runs.kill_twenty import SMALL, epochs_of, make_small, outcome

OPTIONS = {**SMALL, "epochs": 3, "strategy": "mean"}

KILLED = """
import os, sys
from palcore.runs import training
from palcore.runs.options import check_options
from palcore.runs.resume import Progress
from tests.runs.kill_twenty import make_small
make_small()
class Killed(Progress):
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if (self._now, batch) == (1, 2):
            os.kill(os.getpid(), {signal})
training.Progress = Killed
training.train(check_options(**{options}), verbose=0)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The outcome of a run that nothing befell."""
    patch = pytest.MonkeyPatch()
    make_small(patch.setattr)
    folder = training.train(check_options(**OPTIONS, out_dir=str(tmp_path_factory.mktemp("alone") / "run")), verbose=0)
    yield outcome(folder)
    patch.undo()


@pytest.mark.timeout(900)  # three trainings and one start of TensorFlow
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(alone, tmp_path, capsys):
    folder = tmp_path / "run"
    script = KILLED.replace("{signal}", "9").replace("{options}", repr({**OPTIONS, "out_dir": str(folder)}))
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert epochs_of(folder) == 1
    before = (folder / STATE).read_bytes()
    other = {**OPTIONS, "out_dir": str(folder), "learning_rate": 0.01, "strategy": "none"}
    sentence = r"run holds a half-finished run with strategy 'mean' \(now 'none'\), learning_rate 0.001 \(now 0.01\): give another"
    with pytest.raises(ValueError, match=sentence):
        training.train(check_options(**other), verbose=0)
    assert (folder / STATE).read_bytes() == before
    training.train(check_options(**OPTIONS, out_dir=str(folder)), verbose=0)
    assert "run: going on after epoch 1\n" in capsys.readouterr().err
    assert outcome(folder) == alone


def test_sigterm_ends_a_run_with_a_sentence_and_the_test_is_repeated(alone, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as a process has it whose command line has run nothing yet
    options = check_options(**OPTIONS, out_dir=str(folder))
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate_conditions", lambda *arguments: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(KeyboardInterrupt):
            training.train(options, verbose=0)
    assert capsys.readouterr().err.endswith("run: stopped; the same command goes on from its last epoch\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert epochs_of(folder) == 3 and not (folder / "record.json").exists()
    assert outcome(training.train(options, verbose=0)) == alone


def _changed(path, **changes):
    """The state with some of its facts, or of its arrays, replaced."""
    arrays = dict(np.load(path))
    state = json.loads(arrays["state"].tobytes())
    state |= {name: value for name, value in changes.items() if name in state}
    arrays |= {name: value for name, value in changes.items() if name not in state}
    np.savez(path, **{**arrays, "state": np.frombuffer(json.dumps(state).encode(), np.uint8)})


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "an epoch that never was": lambda path: _changed(path, epoch=99),
    "an epoch that is text": lambda path: _changed(path, epoch="1"),
    "no history": lambda path: _changed(path, history=None),
    "no facts": lambda path: _changed(path, facts=[]),
    "seconds that are no number": lambda path: _changed(path, seconds=float("nan")),
    "an array of another shape": lambda path: _changed(path, **{"0": np.zeros(7)}),
    "an array too many": lambda path: _changed(path, **{"99": np.zeros(7)}),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_named(damage, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    Progress(tmp_path, model, None, {"config": {}})
    DAMAGES[damage](tmp_path / STATE)
    with pytest.raises(ValueError, match="resume.npz.*(is damaged: remove it, and the run begins anew|to begin anew)"):
        Progress(tmp_path, model, None, {"config": {}})
    (tmp_path / resume.STOPPED).touch()
    resume.clear(tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_runs_never_train_in_one_folder(tmp_path):
    folder = tmp_path / "run"
    refused = pytest.raises(ValueError, match="another process trains in .*run: wait for it, stop it, or give another out_dir")
    with only_process(folder), refused, only_process(folder):
        pass
    assert not folder.exists()  # nothing was left in it
    with only_process(folder):
        (folder / "record.json").touch()
    assert [path.name for path in folder.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("file", "out_dir .*file is a file, or lies below one: give a folder"),
        ("file/below/it", "out_dir .*it is a file, or lies below one: give a folder"),
        ("/proc/palcore/run", "out_dir /proc/palcore/run can't be written to .*: give another folder"),
        ("", "already holds a run's record.json: give another out_dir"),
    ],
)
def test_an_out_dir_that_cannot_be_is_refused_at_once(tmp_path, place, sentence, monkeypatch):
    for name in ("file", "record.json"):
        (tmp_path / name).write_text("kept")
    monkeypatch.setattr(training, "run_faces", lambda *arguments: pytest.fail("the faces were read first"))
    with pytest.raises((ValueError, FileExistsError), match=sentence):
        training.train(check_options(out_dir=str(tmp_path / place)), verbose=0)
    assert (tmp_path / "file").read_text() == (tmp_path / "record.json").read_text() == "kept"


def test_a_layer_that_is_not_there_is_refused_before_the_first_epoch(small, tmp_path):
    options = check_options(strategy="none", layer="block9", image_size=32, units=8, out_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match="no layer 'block9' with a map of features in 'compact': choose from"):
        training.train(options, verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_old_file_and_no_half_of_a_new_one(tmp_path):
    """Here it is the size of a file that is limited: the system's answer comes at the same places."""
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(300)])
    path = tmp_path / "classifier.keras"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[0][1]))
    try:
        for name, suffix, write in (
            (path, ".tmp.keras", model.save),
            (tmp_path / "a.npz", ".tmp", lambda draft: draft.write_bytes(np.random.default_rng(0).bytes(30_000))),
        ):
            with pytest.raises(OSError, match=f"{name.name} can't be written .*: make room"), whole_file(name, suffix) as draft:
                write(draft)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.keras"]
    assert path.read_text() == "old"
