from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palcore.data import changes, load


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=21, image_size=48, shortcut=0.0)


def test_every_face_gets_the_landmarks_of_another(faces):
    shuffled = changes.shuffled_landmarks(faces, seed=4)
    assert not np.any(np.all(shuffled.landmarks == faces.landmarks, axis=(1, 2)))
    assert sorted(shuffled.landmarks[:, 0, 0]) == sorted(faces.landmarks[:, 0, 0])
    np.testing.assert_array_equal(shuffled.labels, faces.labels)
    np.testing.assert_array_equal(changes.shuffled_landmarks(faces, seed=4).landmarks, shuffled.landmarks)
    assert np.any(changes.shuffled_landmarks(faces, seed=5).landmarks != shuffled.landmarks)


def test_jitter_has_the_deviation_that_is_asked_for(faces):
    moved = changes.jittered_landmarks(faces, 0.05, seed=1).landmarks - faces.landmarks
    assert moved.std() == pytest.approx(0.05, rel=0.05)
    assert abs(moved.mean()) < 0.005
    assert np.corrcoef(moved[:, 0, 0], moved[:, 1, 0])[0, 1] < 0.9  # each point by itself
    np.testing.assert_array_equal(changes.jittered_landmarks(faces, 0.05, seed=1).landmarks - faces.landmarks, moved)


def test_windows_by_hand():
    landmarks = np.full((3, 68, 2), np.nan)
    landmarks[0, :2] = [[0.2, 0.3], [0.6, 0.5]]
    landmarks[1, 0] = 0.5
    windows = changes.face_windows(landmarks, 0.25)
    # A box of 0.4 by 0.2 becomes a square of 0.4, and with a quarter of it on each side 0.6, about (0.4, 0.4).
    np.testing.assert_allclose(windows[0], [0.1, 0.1, 0.6])
    np.testing.assert_allclose(windows[1:], [changes.WHOLE, changes.WHOLE])


def test_a_crop_moves_landmarks_and_pixels_alike(faces):
    windows = changes.face_windows(faces.landmarks, 0.0)
    cropped = changes.crop_faces(faces, windows)
    assert cropped.landmarks.min() == pytest.approx(0, abs=1e-5)
    assert np.ptp(cropped.landmarks, axis=1).max(axis=1) == pytest.approx(np.ones(21), abs=1e-5)
    assert cropped.images[:].shape == (21, 48, 48, 3)
    # The tip of the nose has the same colours around it, at another place and scale.
    for row in range(3):
        before, after = (each.images[row][tuple((each.landmarks[row, 30][::-1] * 48).astype(int))] for each in (faces, cropped))
        assert np.abs(before.astype(int) - after.astype(int)).max() < 40
    np.testing.assert_array_equal(cropped.subset([5, 2]).images[0], cropped.images[5])
    whole = changes.crop_faces(faces, changes.WHOLE)
    np.testing.assert_array_equal(whole.images[:3], faces.images[:3])
    np.testing.assert_allclose(whole.landmarks, faces.landmarks, atol=1e-6)


def test_crops_keep_the_corner_with_the_patch_out():
    free, told = (load("synthetic", split="test", count=14, image_size=48, shortcut=shortcut) for shortcut in (None, 1.0))
    assert np.any(free.images[:] != told.images[:])
    window = changes.face_windows(free.landmarks, 0.0).mean(axis=0)
    np.testing.assert_array_equal(changes.crop_faces(free, window).images[:], changes.crop_faces(told, window).images[:])


def covers(box, points):
    return np.all((points >= box[:2]) & (points <= box[2:]), axis=-1)


def test_patches_lie_where_they_should_and_are_equally_large(faces):
    for landmarks in faces.landmarks:
        eyes, mouth, off = (changes.patch_box(landmarks, place) for place in ("eyes", "mouth", "off"))
        np.testing.assert_allclose(eyes[2:] - eyes[:2], mouth[2:] - mouth[:2], atol=1e-6)
        np.testing.assert_allclose(eyes[2:] - eyes[:2], off[2:] - off[:2], atol=1e-6)
        assert covers(eyes, landmarks[36:48]).all()
        assert covers(mouth, landmarks[48:68]).mean() > 0.9
        assert not covers(eyes, landmarks[48:68]).any()
        assert not covers(mouth, landmarks[36:48]).any()
        assert covers(off, landmarks).mean() < 0.15
        assert off.min() >= -1e-9 and off.max() <= 1 + 1e-9


def test_a_patch_by_hand():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2] = 200
    painted = changes.with_patch(image, np.array([0.0, 0.5, 0.5, 1.2]))
    assert (painted[2:, :2] == 100).all()
    assert (painted[:2] == 200).all() and (painted[2:, 2:] == 0).all()
    assert changes.with_patch(image, None) is image
    assert changes.patch_box(np.full((68, 2), np.nan), "off") is None


def test_shifts_move_pixels_and_landmarks_alike(faces):
    shifted = changes.CONDITIONS["shift_20"](faces)
    moves = shifted.landmarks - faces.landmarks
    np.testing.assert_allclose(moves[0], np.tile([0.2, 0], (68, 1)), atol=1e-6)
    np.testing.assert_allclose(moves[3], np.tile([0, -0.2], (68, 1)), atol=1e-6)
    # A fifth of 48 pixels is 9.6: the second face moves left by that, half-way between the two whole shifts, linearly.
    face = faces.images[1].astype(float)
    between = 0.4 * face[:, 9 : 9 + 36] + 0.6 * face[:, 10 : 10 + 36]
    assert np.abs(shifted.images[1][:, :36] - between).mean() < 1


def test_blur_grows_and_keeps_the_mean(faces):
    detail = []
    for condition in ("blur_1", "blur_2", "blur_4"):
        images = changes.CONDITIONS[condition](faces).images[:].astype(float)
        assert images.mean() == pytest.approx(faces.images[:].mean(), rel=0.01)
        detail.append(np.abs(np.diff(images, axis=1)).mean())
    assert detail[0] > detail[1] > detail[2]


@pytest.mark.parametrize("condition", changes.CONDITIONS)
def test_every_condition_changes_every_face_the_same_way_each_time(faces, condition):
    first, again = changes.CONDITIONS[condition](faces), changes.CONDITIONS[condition](faces)
    np.testing.assert_array_equal(first.images[:], again.images[:])
    assert all(np.any(first.images[row] != faces.images[row]) for row in range(len(faces)))
    np.testing.assert_array_equal(first.labels, faces.labels)


@settings(max_examples=30)
@given(st.integers(0, 2**31 - 1), st.floats(0, 1))
def test_noise_changes_exactly_the_share_asked_for(faces, seed, rate):
    many = faces.subset(np.arange(200) % 21)
    noisy = changes.noisy_labels(many, rate, seed).labels
    assert np.sum(noisy != many.labels) == round(rate * 200)
    assert noisy.min() >= 0 and noisy.max() <= 6


def test_each_other_class_is_equally_likely(faces):
    noisy = changes.noisy_labels(faces.subset(np.full(6000, faces.labels.tolist().index(0))), 1.0, 0).labels
    np.testing.assert_allclose(np.bincount(noisy, minlength=7), [0, *[1000] * 6], atol=120)


def test_a_share_of_some_faces():
    faces = load("synthetic", count=140)
    part = changes.take_share(faces, 0.25, 0)
    assert len(part) == 35
    assert set(part.counts().values()) == {5}
    assert changes.take_share(faces, 1, 0) is faces


def test_wrong_landmarks_by_hand(faces):
    own = faces.landmarks
    template = changes.landmarks_from(faces, "template").landmarks
    np.testing.assert_allclose(template, np.broadcast_to(own.mean(axis=0), own.shape), rtol=1e-5)
    missing = replace(faces, landmarks=np.concatenate([np.full((1, 68, 2), np.nan), own[1:]]))
    np.testing.assert_allclose(changes.landmarks_from(missing, "template").landmarks[0], own[1:].mean(axis=0), rtol=1e-5)
    turned = changes.landmarks_from(faces, "upside_down").landmarks
    np.testing.assert_allclose(turned[..., 0], own[..., 0])
    np.testing.assert_allclose(turned[..., 1], 1 - own[..., 1], rtol=1e-5)
    centre = changes.landmarks_from(faces, "centre").landmarks
    np.testing.assert_allclose(centre[0], centre[5])
    np.testing.assert_allclose(centre[0].mean(axis=0), [0.5, 0.5], atol=0.01)
    assert np.hypot(*(centre[0] - 0.5).T).max() == pytest.approx(0.3, abs=0.01)
    assert changes.landmarks_from(faces, "own") is faces
    shuffled = changes.shuffled_landmarks(faces, 3).landmarks
    np.testing.assert_array_equal(changes.landmarks_from(faces, "shuffled", 3).landmarks, shuffled)
    for source in changes.SOURCES:
        changed = changes.landmarks_from(faces, source)
        assert changed.landmarks.dtype == np.float32 and changed.images is faces.images


def test_placed_faces_take_their_landmarks_along(faces):
    ground = changes.placed(faces, 96)
    images = ground.images[:]
    assert images.shape == (21, 96, 96, 3)
    np.testing.assert_array_equal(images, changes.placed(faces, 96).images[:])
    spans = np.ptp(ground.landmarks, axis=1) / np.ptp(faces.landmarks, axis=1)
    assert spans.min() >= 0.49 and spans.max() <= 0.81
    assert np.ptp(ground.landmarks.mean(axis=1), axis=0).min() > 0.2
    for image, face, landmarks, own in zip(images, faces.images[:], ground.landmarks, faces.landmarks, strict=True):
        scale = np.ptp(landmarks[:, 0]) / np.ptp(own[:, 0])
        left, top, side = (np.array([*(landmarks[0] - scale * own[0]), scale]) * 96).round().astype(int)
        back = cv2.resize(image[top : top + side, left : left + side], (48, 48), interpolation=cv2.INTER_AREA)
        assert np.abs(back.astype(float) - face).mean() < 6
