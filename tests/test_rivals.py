import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy as convert

from palcore import losses
from palcore.data import load
from palcore.evaluation import near_landmarks
from palcore.heatmaps import gaussian_heatmap, region_weights
from palcore.models import with_attribution
from palcore.runs.options import check_options
from tests.backend_case import faces, network

RIVALS = [losses.EnergyLoss, losses.RightReasonsLoss, losses.CosineLoss]
EVERY = [losses.PrivilegedAttributionLoss, *RIVALS]
# All landmarks in the middle of the upper left of two by two cells, and a neighbourhood that leaves that cell nowhere.
CORNER = np.full((1, 68, 2), 0.25) + 1e-6 * np.eye(68, 2)  # all in one place would be no landmarks
WIDE = 0.06
DISC = np.pi * (2 * WIDE) ** 2 * 4
"""Share of the upper left cell that lies within two sigma of its middle."""


def test_neighbourhood_is_the_disc_that_the_evaluation_draws():
    landmarks = load("synthetic", split="test", count=3).landmarks
    for cells in (6, 7, 12):
        near = convert(losses.landmark_neighbourhood(landmarks, (cells, cells)))
        np.testing.assert_allclose(near, near_landmarks(landmarks, (cells, cells)), atol=0.2)
        assert near.mean() == pytest.approx(near_landmarks(landmarks, (cells, cells)).mean(), rel=0.04)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (60, 7)])
def test_neighbourhood_is_told_at_48_points_or_more_along_each_side(rng, size):
    landmarks = rng.uniform(0, 1, (2, 5, 2)).astype(np.float32)
    rows, columns = (cells * -(-48 // cells) for cells in size)
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    squares = (landmarks[:, :, None, None, 0] - x) ** 2 + (landmarks[:, :, None, None, 1] - y[:, None]) ** 2
    near = (squares.min(axis=1) <= 0.1**2).reshape(2, size[0], rows // size[0], size[1], columns // size[1])
    found = convert(losses.landmark_neighbourhood(landmarks, size, 0.1))
    np.testing.assert_allclose(found, near.mean(axis=(2, 4)), atol=1.5 * size[0] * size[1] / (rows * columns))


def test_what_is_weighted_zero_or_missing_is_left_out():
    landmarks = np.full((1, 68, 2), 0.75)
    landmarks[0, :17] = 0.25
    near = convert(losses.landmark_neighbourhood(landmarks, (2, 2), 0.1, region_weights(jaw=0)))
    assert near[0, 0, 0] == 0
    assert near[0, 1, 1] > 0
    landmarks[0, 17:] = np.nan
    near = convert(losses.landmark_neighbourhood(landmarks, (2, 2), 0.1))
    assert near[0, 0, 0] > 0
    assert near[0, 1, 1] == 0
    # A face has landmarks where one of them has both coordinates.
    some = np.full((4, 68, 2), np.nan)
    some[0] = some[1, 5] = some[2, :, 0] = 0.5
    assert convert(losses.has_landmarks(some)).tolist() == [1, 1, 0, 0]


def test_energy_by_hand():
    """Of 1 + 3 positive attribution, 1 * DISC lies near; the negative cell does not count."""
    maps = np.array([[[1.0, 3.0], [-2.0, 0.0]]])
    assert convert(losses.EnergyLoss(WIDE)(CORNER, maps)) == pytest.approx(1 - DISC / 4, rel=0.01)
    assert convert(losses.EnergyLoss(WIDE)(CORNER, 1e-20 * maps)) == pytest.approx(1 - DISC / 4, rel=0.01)
    assert convert(losses.EnergyLoss(WIDE)(CORNER, np.array([[[0.0, 1.0], [1.0, 1.0]]]))) == pytest.approx(1)
    channels = np.stack([maps, np.array([[[0.0, 1.0], [1.0, 1.0]]])], axis=-1)
    assert convert(losses.EnergyLoss(WIDE)(CORNER, channels)) == pytest.approx((1 - DISC / 4 + 1) / 2, rel=0.01)


def test_right_reasons_by_hand():
    """1 (1 - DISC) + 9 + 4 + 0."""
    maps = np.array([[[1.0, 3.0], [-2.0, 0.0]]])
    assert convert(losses.RightReasonsLoss(WIDE)(CORNER, maps)) == pytest.approx(1 - DISC + 13, rel=0.01)
    twice = np.stack([maps, maps], axis=-1)
    assert convert(losses.RightReasonsLoss(WIDE)(CORNER, twice)) == pytest.approx(2 * (1 - DISC + 13), rel=0.01)


def test_cosine_by_hand():
    """All landmarks lie in one cell of four, and next to nothing of their Gaussians leaves it: the cosine is f / |f| there."""
    maps = np.array([[[3.0, 4.0], [0.0, 0.0]]])
    assert convert(losses.CosineLoss(0.02)(CORNER, maps)) == pytest.approx(1 - 3 / 5, abs=1e-5)
    assert convert(losses.CosineLoss(0.02)(CORNER, 1e15 * maps)) == pytest.approx(1 - 3 / 5, abs=1e-5)
    assert convert(losses.CosineLoss(0.02)(CORNER, -maps)) == pytest.approx(1 + 3 / 5, abs=1e-5)
    assert convert(losses.CosineLoss(0.02)(CORNER, np.stack([maps, -maps], axis=-1))) == pytest.approx(1, abs=1e-5)
    elsewhere = np.array([[[0.0, 0], [0, 1]]])
    assert convert(losses.CosineLoss(0.02)(CORNER, elsewhere)) == pytest.approx(1, abs=1e-5)  # one cell each, and not the same


def test_features_are_the_channels_mean_of_the_layer():
    model = network("relu")
    images, _ = faces()
    layer = keras.Model(model.input, model.get_layer("last").output)
    watched = with_attribution(model, "last", "features", "mean")
    outputs = watched(images)
    np.testing.assert_allclose(convert(outputs["attribution"]), convert(layer(images)).mean(axis=-1), rtol=1e-5)
    np.testing.assert_allclose(convert(outputs["expression"]), convert(model(images)), rtol=1e-4, atol=1e-5)
    assert watched.output["attribution"].shape == (None, 12, 12)


HARD_MAPS = {
    "zero": np.zeros((7, 7)),
    "constant": np.full((7, 7), 0.3),
    "tiny": np.full((7, 7), 1e-38) * np.arange(7),
    "huge": np.full((7, 7), 1e37) * np.arange(7),
    "one cell": np.eye(49)[10].reshape(7, 7),
    "nan": np.full((7, 7), np.nan),
    "inf": np.full((7, 7), np.inf),
    "part nan": np.where(np.eye(7) > 0, np.nan, 1.0),
}


@pytest.mark.parametrize("kind", [*EVERY, functools.partial(losses.PrivilegedAttributionLoss, scaled=False)])
@pytest.mark.parametrize("name", HARD_MAPS)
@pytest.mark.parametrize("channels", [False, True])
def test_never_nan_whatever_the_map(rng, kind, name, channels):
    maps = HARD_MAPS[name].astype(np.float32)[None]
    maps = tf.constant(np.stack([maps, np.ones_like(maps)], axis=-1) if channels else maps)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        loss = kind()(rng.uniform(0, 1, (1, 68, 2)), maps)
    gradient = tape.gradient(loss, maps).numpy()
    assert np.isfinite(loss.numpy()) and np.all(np.isfinite(gradient))
    rival = kind in RIVALS
    if name in ("zero", "nan", "inf", "tiny", *([] if rival else ["constant"])) and not (rival and channels):
        bound = 1e-30 if rival else 0
        assert abs(loss.numpy()) <= bound and np.abs(gradient).max() <= bound


@pytest.mark.parametrize("kind", EVERY)
def test_a_face_without_landmarks_costs_nothing_and_leaves_the_others_alone(rng, kind):
    landmarks, maps = rng.uniform(0, 1, (2, 68, 2)), rng.uniform(0, 1, (2, 7, 7))
    loss = kind(reduction=None)
    alone = loss(landmarks, maps).numpy()
    assert alone[0] != 0
    landmarks[0] = np.nan
    assert loss(landmarks, maps).numpy().tolist() == [0, alone[1]]


@pytest.mark.parametrize("kind", EVERY)
def test_config_round_trip(kind):
    loss = kind(sigma=0.1, landmark_weights=np.arange(68), **({} if kind in RIVALS else {"scaled": False}))
    assert keras.saving.get_registered_name(kind) == f"palcore>{kind.__name__}"
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, kind) and again.get_config() == loss.get_config()


def test_losses_by_name(rng):
    assert losses.LOSSES["pal"] == (losses.PrivilegedAttributionLoss, None)
    kind, features = losses.LOSSES["cosine"]
    landmarks = rng.uniform(0, 1, (1, 68, 2))
    assert convert(kind()(landmarks, gaussian_heatmap(landmarks, 7))) == pytest.approx(0, abs=1e-5) and features == "features"
    with pytest.raises(ValueError, match="option loss is 'iou': choose from pal, energy, rrr, cosine"):
        check_options(loss="iou")
