"""On JAX, without TensorFlow: several devices (two virtual ones) train as one does; what was compiled is there for the next run."""

import numpy as np
import pytest

from palcore.runs.devices import data_parallel
from palcore.runs.records import read_record
from tests.conftest import WITHOUT_TENSORFLOW, on_jax

RUNS = """
import sys
from pathlib import Path
import jax
from palcore.data import load
from palcore.runs import training
from palcore.runs.devices import data_parallel
from palcore.runs.options import check_options
from palcore.runs.prediction import look, network_of
from tests.runs.kill_twenty import make_small
make_small()
compiled = []
jax.monitoring.register_event_listener(lambda name, **_: compiled.append(name) if name.endswith("cache_misses") else None)
small = {"image_size": 32, "width_multiplier": 0.125, "units": 16, "dropout": 0.0, "epochs": 2, "batch_size": 14}
for out in map(Path, sys.argv[1:]):
    training.train(check_options(**small, distribute="data" if out.name == "data" else "none", out_dir=str(out)), verbose=0)
    print("compiled", len(compiled))
try:
    with data_parallel("data", 9):
        pass
except ValueError as refusal:
    print(refusal)
[answer] = look(network_of(out), [load("synthetic", split="test", count=1).images[0]])
print("sum", round(sum(answer.probabilities.values()), 3))
"""


def start(*folders):
    """Records of runs in one process, and what it says."""
    said = on_jax(WITHOUT_TENSORFLOW + RUNS, *folders, flags="--xla_force_host_platform_device_count=2")
    return [read_record(folder) for folder in folders], said


@pytest.mark.timeout(900)
def test_two_devices_give_the_loss_curve_of_one_and_nothing_is_compiled_twice(tmp_path):
    (one, several), said = start(tmp_path / "one", tmp_path / "data")
    assert one["history"].keys() == several["history"].keys()
    for name, values in one["history"].items():
        if name.endswith("loss"):
            np.testing.assert_allclose(several["history"][name], values, rtol=0, atol=1e-4, err_msg=name)
    assert several["history"]["loss"][-1] < several["history"]["loss"][0] and several["config"]["distribute"] == "data"
    assert several["metrics"]["test"]["confusion"] == one["metrics"]["test"]["confusion"]
    assert "option batch_size is 9 for 2 devices" in said and said.endswith("sum 1.0\n") and int(said.split()[1]) > 30
    assert one["backend"] == "jax" and "attribution_loss" in one["history"]
    [again], said = start(tmp_path / "again")
    assert said.startswith("compiled 0\n")
    assert again["weights"] == one["weights"] and again["metrics"] == one["metrics"]


def test_tensorflow_is_refused():
    with pytest.raises(ValueError, match="set KERAS_BACKEND=jax"), data_parallel("data", 8):
        pass
