import numpy as np
import pytest

from palcore.runs import faces as faces_of_runs
from palcore.runs.evaluation import watched_model
from palcore.runs.options import options_of
from palcore.runs.records import read_record
from palcore.weights import read_model
from study.records.attribution_maps import FACES, maps_of
from study.results import effects


@pytest.fixture
def run(small, trained):
    return trained[0]


def test_maps_are_of_faces_with_the_patch_at_random_and_each_reaches_one(run):
    found = maps_of(run)
    options = options_of(read_record(run)["config"])
    watched = watched_model(options, read_model(run / "classifier.keras"))
    faces = faces_of_runs.tested_faces(options)["shortcut_free"]
    maps = watched.predict_on_batch(faces.images[:])["attribution"]
    largest = maps.max(axis=(1, 2), keepdims=True)
    scaled = np.where(largest > 0, maps / np.maximum(largest, 1e-20), 0)
    assert len(found["maps"]) == FACES and found["landmarks"].shape == (FACES, 68, 2)
    np.testing.assert_allclose(found["maps"][-1], scaled[-1], atol=1e-3)
    np.testing.assert_allclose(found["landmarks"][0], faces.landmarks[0], atol=1e-3)
    np.testing.assert_allclose(found["mean"], scaled.mean(axis=0), atol=2e-3)


def test_faces_that_are_left_out_are_not_shown(run):
    everything, less = maps_of(run), maps_of(run, left_out=[0])
    assert not np.array_equal(everything["landmarks"][0], less["landmarks"][0])


def test_they_are_drawn_a_row_an_arm_with_the_mean_last():
    arrays = {"maps": np.random.rand(6, 3, 3), "landmarks": np.random.rand(6, 68, 2), "mean": np.eye(3)}
    figure = effects.draw_maps({"own": arrays, "template": arrays})
    assert len(figure.axes) == 14 and figure.axes[6].get_title() == "mean of all"
    np.testing.assert_array_equal(figure.axes[13].images[0].get_array(), np.eye(3))
