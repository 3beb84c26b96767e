import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from palcore.data import load
from palcore.heatmaps import gaussian_heatmap
from palcore.losses import LOSSES, PrivilegedAttributionLoss, SmoothedCrossEntropy, attribution_correlation
from palcore.models import with_attribution
from tests.backend_case import faces, network


def test_by_hand_on_two_by_two_cells():
    attribution = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    target = np.array([[[0.0, 0.0], [0.0, 1.0]]])
    # Standardised: (-1.5, -0.5, 0.5, 1.5) / sqrt(1.25). The source's sum is the last entry; Pearson divides by 4 sqrt(3) / 4.
    last = 1.5 / np.sqrt(1.25)
    assert float(attribution_correlation(attribution, target, scaled=False)[0]) == pytest.approx(last, rel=1e-5)
    assert float(attribution_correlation(attribution, target)[0]) == pytest.approx(last / 4 / (np.sqrt(3) / 4), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(-20, 20), st.booleans())
def test_is_pearsons_correlation_at_any_scale(seed, exponent, centred):
    rng = np.random.default_rng(seed)
    attribution = (rng.normal(0, 1, (3, 6, 5)) + (0 if centred else 1)).astype(np.float32)
    target = rng.uniform(0, 1, (3, 6, 5)).astype(np.float32)
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(attribution, target, strict=True)]
    np.testing.assert_allclose(attribution_correlation(attribution * np.float32(10.0**exponent), target), expected, atol=1e-4)


def test_all_channels_is_the_mean_of_the_channels_correlations(rng):
    channels, target = rng.normal(0, 1, (2, 7, 7, 3)), rng.uniform(0, 1, (2, 7, 7))
    expected = np.mean([attribution_correlation(channels[..., channel], target) for channel in range(3)], axis=0)
    np.testing.assert_allclose(attribution_correlation(channels, target), expected, rtol=1e-4)


def test_a_map_that_varies_by_a_ten_thousandth_is_not_flat(rng):
    heatmap = gaussian_heatmap(rng.uniform(0.2, 0.8, (2, 68, 2)), 7).numpy()
    nearly_flat = 1 + 1e-4 * heatmap / heatmap.max()
    np.testing.assert_allclose(attribution_correlation(nearly_flat, heatmap), 1, atol=1e-3)
    np.testing.assert_array_equal(attribution_correlation(1 + 1e-4 * (nearly_flat - 1), heatmap), 0)


def test_smoothing_is_that_of_keras_for_labels_as_numbers(rng):
    logits, labels = rng.normal(size=(6, 7)).astype(np.float32), rng.integers(7, size=6)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)(np.eye(7)[labels], logits)
    loss = SmoothedCrossEntropy(0.2)
    np.testing.assert_allclose(float(loss(labels, logits)), float(theirs), rtol=1e-6)
    assert SmoothedCrossEntropy.from_config(loss.get_config()).smoothing == 0.2


def test_maps_of_different_size_and_bad_sigma_are_refused():
    with pytest.raises(ValueError, match=r"attribution of \(7, 7\) cells and heatmap of \(8, 8\)"):
        attribution_correlation(np.zeros((1, 7, 7)), np.zeros((1, 8, 8)))
    with pytest.raises(ValueError, match="sigma -1 of a heatmap"):
        PrivilegedAttributionLoss(sigma=-1)
    for weights in (np.zeros(68), np.full(68, np.nan), -np.ones(68), 1.0):
        with pytest.raises(ValueError, match=r"weights of landmarks \(.*\): they must be numbers >= 0, not all 0"):
            PrivilegedAttributionLoss(landmark_weights=weights)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda faces: faces[..., ::-1], "the chin lies beside the brows or above them: x comes first, and y counts down"),
        (lambda faces: faces * [1, -1] + [0, 1], "the chin lies beside the brows or above them"),
        (lambda faces: faces.reshape(8, 136), r"landmarks of shape \(8, 136\) in the loss"),
        (lambda faces: np.pad(faces, ((0, 0), (0, 0), (0, 1))), r"landmarks of shape \(8, 68, 3\) in the loss"),
    ],
)
def test_landmarks_of_another_order_or_shape_are_refused(change, fault):
    faces = load("synthetic", count=8, image_size=16).landmarks
    maps = np.asarray(gaussian_heatmap(faces, 7))
    np.testing.assert_allclose(PrivilegedAttributionLoss(reduction=None)(faces, maps), -1, atol=1e-5)
    with pytest.raises(ValueError, match=fault):
        PrivilegedAttributionLoss()(change(faces), maps)


PIXELS = r"landmarks in the loss of the attribution: .*in pixels: divide x by the width"
COMPILED = "landmarks in the loss of the attribution: they can be no fractions"


@pytest.mark.parametrize("name", LOSSES)
def test_landmarks_in_pixels_are_refused(rng, name):
    loss = LOSSES[name][0]()
    maps, landmarks = rng.uniform(0, 1, (2, 7, 7)), rng.uniform(0, 48, (2, 68, 2))
    with pytest.raises(ValueError, match=PIXELS):
        loss(landmarks, maps)
    with pytest.raises(tf.errors.InvalidArgumentError, match=COMPILED + r".* of the median face:\] \[2\d\.\d+ 2\d\.\d+ 4\d\."):
        tf.function(loss)(tf.constant(landmarks), tf.constant(maps))
    # XLA leaves assertions out.
    assert np.isnan(tf.function(loss, jit_compile=True)(tf.constant(landmarks), tf.constant(maps)).numpy())
    landmarks[:, 3:] = np.nan
    with pytest.raises(ValueError, match=PIXELS):
        loss(landmarks, maps)


ELSEWHERE = {
    "from -1 to 1": (lambda fractions: 2 * fractions - 1, "centred on 0"),
    "of a larger frame": (lambda fractions: fractions / 20, "of another size or frame"),
    "far too close": (lambda fractions: 0.5 + fractions / 20, "spans 0.0[45]\\d* of the picture's side"),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_fractions_of_another_kind_are_refused_unless_the_faces_are_few(rng, kind):
    change, fault = ELSEWHERE[kind]
    loss, maps, landmarks = PrivilegedAttributionLoss(), rng.uniform(0, 1, (8, 7, 7)), change(rng.uniform(0, 1, (8, 68, 2)))
    with pytest.raises(ValueError, match=f"landmarks in the loss of the attribution: .*{fault}"):
        loss(landmarks, maps)
    assert np.isnan(tf.function(loss, jit_compile=True)(tf.constant(landmarks), tf.constant(maps)).numpy())
    landmarks[0] = np.nan  # seven may all be odd
    assert np.isfinite(loss(landmarks, maps).numpy())


@pytest.mark.parametrize("name", LOSSES)
def test_landmarks_in_one_place_are_those_of_a_face_that_was_not_found(rng, name):
    loss = LOSSES[name][0]()
    maps, landmarks = rng.uniform(0, 1, (9, 7, 7)).astype(np.float32), rng.uniform(0, 1, (9, 68, 2)).astype(np.float32)
    missing, nowhere = landmarks.copy(), landmarks.copy()
    missing[2:5], nowhere[2], nowhere[3], nowhere[4] = np.nan, 0.0, -1.0, 0.25
    assert loss(missing, maps) == loss(nowhere, maps) != loss(landmarks, maps)
    assert np.isfinite(loss(landmarks[:, :1], maps).numpy()) and loss(landmarks[:, :1], maps) != 0  # one point may be all


def test_landmarks_outside_the_picture_or_missing_are_not_taken_for_pixels(rng):
    loss = PrivilegedAttributionLoss()
    maps = rng.uniform(0, 1, (9, 7, 7))
    for landmarks in (
        rng.uniform(-0.9, 1.9, (9, 68, 2)),
        np.full((9, 68, 2), np.nan),
        np.concatenate([rng.uniform(0, 1, (5, 68, 2)), rng.uniform(30, 40, (4, 68, 2))]),
        np.concatenate([rng.uniform(0, 1, (9, 34, 2)), np.full((9, 34, 2), np.inf)], axis=1),
    ):
        assert np.isfinite(loss(landmarks, maps).numpy())
        assert np.isfinite(tf.function(loss)(tf.constant(landmarks), tf.constant(maps)).numpy())


@pytest.mark.parametrize("eager", [True, False])
def test_a_fit_with_pixels_stops_at_the_first_batch(rng, eager):
    model = with_attribution(network("tanh"), "last")
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(True)
    model.compile(
        "sgd", {"expression": cross_entropy, "attribution": PrivilegedAttributionLoss()}, jit_compile=False, run_eagerly=eager
    )
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=f"{PIXELS}|{COMPILED}"):
        model.fit(faces()[0], {"expression": np.arange(4), "attribution": rng.uniform(0, 12, (4, 68, 2))}, verbose=0)
