"""Several devices train as one does: two virtual ones, and two processes that meet on the loopback."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.runs.distribution import data_parallel
from palcore.runs.records import read_record

QUICK = "--xla_backend_optimization_level=0"
"""So that XLA compiles quickly what runs a few times."""

CASE = Path(__file__).with_name("distribution_case.py")


def start(folder, *values, **extra):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}
    return subprocess.Popen([sys.executable, CASE, folder, *values], env=environment, stderr=subprocess.PIPE, text=True)


def finish(process, code=0):
    _, said = process.communicate()
    assert process.returncode == code, said[-3000:]
    return said


def start_two(folder, first=None, second=None):
    """Two processes of JAX that meet on the loopback; what each has in ``DIE``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    meeting = {"XLA_FLAGS": QUICK, "KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    deaths = [{"DIE": way} if way else {} for way in (first, second)]
    return [
        start(folder, "data", KERAS_BACKEND="jax", KERAS_DISTRIBUTION_PROCESS_ID=str(number), **meeting, **deaths[number])
        for number in range(2)
    ]


def check_same_curve(one, several):
    one, several = read_record(one), read_record(several)
    assert one["history"].keys() == several["history"].keys()
    for name, values in one["history"].items():
        if name.endswith("loss"):
            np.testing.assert_allclose(several["history"][name], values, rtol=0, atol=1e-4, err_msg=name)
    assert several["history"]["loss"][-1] < several["history"]["loss"][0]
    assert several["metrics"]["test"]["accuracy"] == one["metrics"]["test"]["accuracy"]
    assert several["config"]["distribute"] == "data"


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    """A folder with a run on one device and one on two."""
    folder = tmp_path_factory.mktemp("tensorflow")
    finish(start(folder, "none", "data", KERAS_BACKEND="tensorflow"))
    return folder


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory):
    """A folder with a run on one device."""
    folder = tmp_path_factory.mktemp("jax")
    finish(start(folder, "none", KERAS_BACKEND="jax", XLA_FLAGS=QUICK))
    return folder


def test_two_devices_of_tensorflow_give_the_loss_curve_of_one(on_tensorflow):
    check_same_curve(on_tensorflow / "none", on_tensorflow / "data")


def test_two_processes_of_jax_give_the_loss_curve_of_one(tmp_path, on_jax):
    for worker in start_two(tmp_path / "processes"):
        finish(worker)
    run = tmp_path / "processes" / "data"
    check_same_curve(on_jax / "none", run)
    check_same_curve(on_jax / "none", run / "process-1")


def test_two_devices_go_on_after_a_kill(tmp_path, on_tensorflow):
    finish(start(tmp_path, "data", KERAS_BACKEND="tensorflow", DIE="before"), -signal.SIGKILL)
    assert "going on after epoch 1" in finish(start(tmp_path, "data", KERAS_BACKEND="tensorflow"))
    check_same_curve(on_tensorflow / "none", tmp_path / "data")


def test_two_devices_stop_where_the_loss_is_no_number(tmp_path):
    said = finish(start(tmp_path, "data", KERAS_BACKEND="tensorflow", POISON="1"), 1)
    assert "FloatingPointError: the loss of" in said and "is not a number in epoch 2, step 3" in said
    assert len(json.loads((tmp_path / "data" / "stopped.json").read_text())["files"]) == 14
    good = keras.models.load_model(tmp_path / "data" / "last_good.keras")
    assert all(np.isfinite(array).all() for array in good.get_weights())


# The first dies an epoch before the second; or in the test, when the second has written its record.
@pytest.mark.parametrize("first, second, kept", [pytest.param("before", "after", 1, marks=pytest.mark.dear), ("test", None, 2)])
def test_processes_that_did_not_die_together_go_on_from_where_the_first_was(tmp_path, on_jax, first, second, kept):
    workers = start_two(tmp_path, first, second)
    assert workers[0].wait() == -signal.SIGKILL
    if not second:
        workers[1].kill()  # it would wait for the first
    for worker in workers:
        worker.communicate()
    for worker in start_two(tmp_path):
        assert f"going on after epoch {kept}" in finish(worker)
    check_same_curve(on_jax / "none", tmp_path / "data")
    check_same_curve(on_jax / "none", tmp_path / "data" / "process-1")
    said = [finish(worker, 1) for worker in start_two(tmp_path)] if first == "test" else []
    assert all("data already holds a run's record.json" in lines for lines in said)


def test_shares_are_the_whole_batch_in_order():
    faces = load("synthetic", count=21, image_size=32)
    whole = FaceBatches(faces, 8, shuffle=True, augment=True, drop_remainder=True)[1]
    halves = [FaceBatches(faces, 8, shuffle=True, augment=True, drop_remainder=True, share=(which, 2))[1] for which in (0, 1)]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in halves]), whole[0])
    for name, values in whole[1].items():
        np.testing.assert_array_equal(np.concatenate([targets[name] for _, targets in halves]), values)


@pytest.mark.parametrize("batch_size, drop_remainder", [(9, True), (8, False)])
def test_a_batch_that_cannot_be_shared_is_refused(batch_size, drop_remainder):
    faces = load("synthetic", count=21, image_size=32)
    with pytest.raises(ValueError, match=f"batches of {batch_size}: it needs batches that 2 divides, and drop_remainder"):
        FaceBatches(faces, batch_size, drop_remainder=drop_remainder, share=(1, 2))


def test_a_batch_that_the_devices_do_not_divide_is_refused(monkeypatch):
    import tensorflow as tf

    found = tf.config.list_logical_devices("CPU") * 2
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: found if kind == "CPU" else [])
    with pytest.raises(ValueError, match="option batch_size is 9 for 2 devices: it is the whole batch"), data_parallel("data", 9):
        pass


def test_several_machines_on_tensorflow_are_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="set KERAS_BACKEND=jax"), data_parallel("data", 8):
        pass
