from dataclasses import replace

import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.evaluation import attribution_scores, classification_scores, evaluate, landmark_cells, near_landmarks
from palcore.models import build_classifier, with_attribution


def test_scores_by_hand():
    labels = [0, 0, 0, 1]
    scores = classification_scores(labels, np.eye(7)[[0, 0, 1, 1]])
    assert scores["accuracy"] == 0.75
    assert scores["mean_class_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["recall"]["surprise"] == pytest.approx(2 / 3)
    assert scores["recall"]["neutral"] is None
    assert scores["confusion"][0][:2] == [2, 1]
    with pytest.raises(ValueError, match="no faces to score"):
        classification_scores([], np.zeros((0, 7)))


def test_cells_that_hold_landmarks_by_hand():
    points = np.array([[[0.1, 0.6], [0.99, 0.0], [1.2, 0.5], [-0.1, 0.5], [np.nan, 0.5]]])
    assert landmark_cells(points, (2, 4)).astype(int).tolist() == [[[0, 0, 0, 1], [1, 0, 0, 0]]]


def test_near_a_landmark_is_a_disc():
    shares = near_landmarks(np.array([[[0.5, 0.5]]]), (112, 112), radius=0.2)
    assert shares.mean() == pytest.approx(np.pi * 0.2**2, rel=0.05)
    coarse = near_landmarks(np.array([[[0.5, 0.5]]]), (7, 7), radius=0.2)
    assert coarse.mean() == pytest.approx(shares.mean(), rel=1e-4)


def test_attribution_on_and_off_the_landmarks():
    landmarks = np.tile(np.array([[0.125, 0.125]]), (2, 68, 1))
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0] = maps[1, 3, 3] = 1
    scores = attribution_scores(maps, landmarks)
    assert scores["pointing"].tolist() == [1, 0]
    assert scores["pointing_chance"].tolist() == [1 / 16, 1 / 16]
    assert scores["correlation"][0] > 0.99
    assert scores["correlation"][1] < 0
    assert scores["energy"][1] == 0
    # The disc of radius 2 sigma around the cell's middle covers this share of the cell.
    assert scores["energy"][0] == pytest.approx(np.pi * (6 / 112) ** 2 * 16, rel=0.15)
    assert attribution_scores(np.zeros((2, 4, 4)), landmarks)["energy"].tolist() == [0, 0]


def test_faces_without_landmarks_are_left_out_of_the_averages():
    faces = load("synthetic", count=28, image_size=32)
    model, landmarks = with_attribution(build_classifier("compact", 32, units=8)), faces.landmarks.copy()
    landmarks[::2] = np.nan
    scores, predictions = evaluate(model, FaceBatches(replace(faces, landmarks=landmarks), 7))
    marked, _ = evaluate(model, FaceBatches(faces.subset(slice(1, None, 2)), 7))
    assert scores["attribution"] == pytest.approx(marked["attribution"], abs=1e-5) and marked["attribution"]["energy"] > 0
    assert not predictions["correlation"][::2].any() and predictions["correlation"][1::2].all()
    nowhere, _ = evaluate(model, FaceBatches(replace(faces, landmarks=np.full_like(landmarks, np.nan)), 7))
    assert set(nowhere["attribution"].values()) == {None}
