"""Settings that every test shares."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("study", deadline=None)
settings.load_profile("study")


@pytest.fixture
def rng():
    return np.random.default_rng(20220323)


@pytest.fixture(autouse=True)
def seeded():
    """Weights that a test draws are the same on every machine: what fails does so everywhere."""
    if "keras" in sys.modules:  # which takes seconds to import, and which many tests do without
        sys.modules["keras"].utils.set_random_seed(20220323)


@pytest.fixture(autouse=True)
def own_index(monkeypatch, tmp_path_factory):
    """No test finds an index of another, or leaves one in the working folder."""
    from palcore.data import index

    monkeypatch.setattr(index, "INDEX_DIR", tmp_path_factory.getbasetemp() / "indexes" / secrets.token_hex(4))


WITHOUT_TENSORFLOW = """
import sys
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("TensorFlow is not here")
sys.meta_path.insert(0, NoTensorFlow())
"""


def on_jax(script, *words, flags="", **environment):
    """What a script prints in a process of its own on JAX; compiling takes longer than computing there, and is done in haste.

    :param flags: more of XLA's.
    """
    places = {"KERAS_BACKEND": "jax", "XLA_FLAGS": f"--xla_backend_optimization_level=0 {flags}", "PYTHONPATH": str(ROOT)}
    command, environment = [sys.executable, "-c", script, *map(str, words)], {**os.environ, **places, **environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def refusals(*rows, error=ValueError):
    """A test that what makes no sense is refused: a call, and a pattern of the sentence that refuses it, in each row."""

    @pytest.mark.parametrize(("call", "sentence"), rows)
    def refused(call, sentence):
        with pytest.raises(error, match=sentence):
            call()

    return refused


def executed(name, folder, **parameters):
    """A notebook, run in a folder with these parameters."""
    import papermill

    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    return papermill.execute_notebook(notebook, None, parameters, cwd=folder, kernel_name="python3", progress_bar=False)


def make_small(patch):
    """Training on 70 faces of 32 pixels a split, with integrated gradients of 14 of them in two steps."""
    from palcore.runs import faces, reliance
    from tests.runs.kill_twenty import load_few

    patch.setattr(faces, "load_faces", load_few)
    patch.setattr(reliance, "SAMPLE", 14)
    patch.setattr(reliance, "STEPS", 2)


@pytest.fixture
def small(monkeypatch):
    make_small(monkeypatch)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a small run, which several tests look at, and the options of it."""
    from palcore.training import check_options, train

    folder = tmp_path_factory.mktemp("trained") / "run"
    options = {"epochs": 2, "units": 16, "batch_size": 32, "image_size": 32, "width_multiplier": 0.25}
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        train(check_options(**options, out_dir=str(folder)), verbose=0)
    return folder, options
