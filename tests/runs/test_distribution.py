"""Several devices train as one does: two virtual ones, and two processes that meet on the loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

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


def finish(process):
    _, said = process.communicate()
    assert process.returncode == 0, said[-3000:]


def check_same_curve(one, several):
    one, several = read_record(one), read_record(several)
    assert one["history"].keys() == several["history"].keys()
    for name, values in one["history"].items():
        if name.endswith("loss"):
            np.testing.assert_allclose(several["history"][name], values, rtol=0, atol=1e-4, err_msg=name)
    assert several["history"]["loss"][-1] < several["history"]["loss"][0]
    assert several["metrics"]["test"]["accuracy"] == one["metrics"]["test"]["accuracy"]
    assert several["config"]["distribute"] == "data"


def test_two_devices_of_tensorflow_give_the_loss_curve_of_one(tmp_path):
    finish(start(tmp_path, "none", "data", KERAS_BACKEND="tensorflow"))
    check_same_curve(tmp_path / "none", tmp_path / "data")


def test_two_processes_of_jax_give_the_loss_curve_of_one(tmp_path):
    finish(start(tmp_path, "none", KERAS_BACKEND="jax", XLA_FLAGS=QUICK))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    meeting = {"XLA_FLAGS": QUICK, "KERAS_DISTRIBUTION_JOB_ADDRESSES": address, "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}
    workers = [
        start(tmp_path / "processes", "data", KERAS_BACKEND="jax", KERAS_DISTRIBUTION_PROCESS_ID=str(number), **meeting)
        for number in range(2)
    ]
    for worker in workers:
        finish(worker)
    run = tmp_path / "processes" / "data"
    check_same_curve(tmp_path / "none", run)
    check_same_curve(tmp_path / "none", run / "process-1")


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
