"""What was found out about the data sets: the numbers that the commands of ``study/records`` write, by hand."""

import numpy as np
import pytest

from palcore.data import load
from palcore.runs import faces as faces_of_runs
from palcore.runs.evaluation import watched_model
from palcore.runs.options import options_of
from palcore.runs.records import read_record
from palcore.weights import read_model
from study.records import fer2013_faces, landmark_record
from study.records.attribution_maps import FACES, maps_of
from study.results import effects
from tests.copies import write_fer2013_csv


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


def test_rows_are_those_of_copies_and_of_guesses(tmp_path):
    write_fer2013_csv(tmp_path)
    lines = (tmp_path / "fer2013.csv").read_text().splitlines()
    header, rows = lines[0], lines[1:]
    first, third = (next(row for row in rows if row.endswith("Training")), [row for row in rows if row.endswith("PrivateTest")][2])
    # The third test face gets the pixels of a training face, and its own label.
    rows[rows.index(third)] = ",".join([third.split(",")[0], first.split(",")[1], "PrivateTest"])
    (tmp_path / "fer2013.csv").write_text("\n".join([header, *rows]) + "\n")
    train, test = load("fer2013", tmp_path, "train"), load("fer2013", tmp_path, "test")
    found = {file: row != 1 for row, file in enumerate(test.files)}
    assert fer2013_faces.doubtful_rows(train, test, found) == {"faces": len(test), "copies": [2], "guessed": [1]}


def test_distances_are_told_by_who_found_a_face(monkeypatch):
    monkeypatch.setattr(landmark_record, "FACES", 4)
    table = np.array([True, True, False, False])
    landmarks = np.full((4, 68, 2), 0.5)

    def detect(image):
        """Finds faces 0 and 2, and is off by 3 and 4 hundredths times one more than the face's number."""
        number = image[0, 0, 0]
        return number % 2 == 0, 0.5 + (1.0 + number) * np.tile([0.03, 0.04], (68, 1))

    record = landmark_record.agreement(lambda row: np.full((48, 48, 3), row, np.uint8), table, landmarks, detect)
    found = {name: record[name] for name in record if name.startswith("found")}
    assert found == {"found_by_both": 1, "found_by_table_only": 1, "found_by_detector_only": 1, "found_by_neither": 1}
    assert record["distance_of_landmarks"] == dict.fromkeys(("5", "25", "50", "75", "95"), 0.05)
    assert record["distance_of_faces_found_by_neither"]["50"] == pytest.approx(0.2)


def test_shape_is_of_the_faces_that_were_found(rng):
    landmarks = rng.normal(0.5, 0.1, (2000, 68, 2))
    landmarks[:1000] += 7
    found = np.arange(2000) >= 1000
    shape = landmark_record.shape(found, landmarks)
    assert (shape["faces"], shape["found"]) == (2000, 1000)
    assert shape["coordinates_outside"] == pytest.approx(0.5, abs=0.001)
    np.testing.assert_allclose(shape["mean"], 0.5, atol=0.02)
    np.testing.assert_allclose(
        np.array(shape["covariance"])[3], np.cov(landmarks[1000:, 3].T, ddof=0)[[0, 0, 1], [0, 1, 1]], atol=1e-6
    )
