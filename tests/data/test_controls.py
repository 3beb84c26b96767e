import numpy as np
import pytest

from palcore.data import load
from palcore.data.controls import jittered_landmarks, shuffled_landmarks
from palcore.data.crops import WHOLE, crop_faces, face_windows


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=21, image_size=48)


def test_every_face_gets_the_landmarks_of_another(faces):
    shuffled = shuffled_landmarks(faces, seed=4)
    assert not np.any(np.all(shuffled.landmarks == faces.landmarks, axis=(1, 2)))
    assert sorted(shuffled.landmarks[:, 0, 0]) == sorted(faces.landmarks[:, 0, 0])
    np.testing.assert_array_equal(shuffled.labels, faces.labels)
    np.testing.assert_array_equal(shuffled_landmarks(faces, seed=4).landmarks, shuffled.landmarks)
    assert np.any(shuffled_landmarks(faces, seed=5).landmarks != shuffled.landmarks)
    with pytest.raises(ValueError, match="landmarks of another face for 1 face: there must be two at least"):
        shuffled_landmarks(faces.subset([0]), seed=0)


def test_jitter_has_the_deviation_that_is_asked_for(faces):
    moved = jittered_landmarks(faces, 0.05, seed=1).landmarks - faces.landmarks
    assert moved.std() == pytest.approx(0.05, rel=0.05)
    assert abs(moved.mean()) < 0.005
    assert np.corrcoef(moved[:, 0, 0], moved[:, 1, 0])[0, 1] < 0.9  # each point by itself
    np.testing.assert_array_equal(jittered_landmarks(faces, 0.05, seed=1).landmarks - faces.landmarks, moved)


def test_windows_by_hand():
    landmarks = np.full((3, 68, 2), np.nan)
    landmarks[0, :2] = [[0.2, 0.3], [0.6, 0.5]]
    landmarks[1, 0] = 0.5
    windows = face_windows(landmarks, 0.25)
    # A box of 0.4 by 0.2 becomes a square of 0.4, and with a quarter of it on each side 0.6, about (0.4, 0.4).
    np.testing.assert_allclose(windows[0], [0.1, 0.1, 0.6])
    np.testing.assert_allclose(windows[1:], [WHOLE, WHOLE])


def test_a_crop_moves_landmarks_and_pixels_alike(faces):
    windows = face_windows(faces.landmarks, 0.0)
    cropped = crop_faces(faces, windows)
    assert cropped.landmarks.min() == pytest.approx(0, abs=1e-5)
    assert np.ptp(cropped.landmarks, axis=1).max(axis=1) == pytest.approx(np.ones(21), abs=1e-5)
    assert cropped.images[:].shape == (21, 48, 48, 3)
    # The tip of the nose has the same colours around it, at another place and scale.
    for row in range(3):
        before, after = (each.images[row][tuple((each.landmarks[row, 30][::-1] * 48).astype(int))] for each in (faces, cropped))
        assert np.abs(before.astype(int) - after.astype(int)).max() < 40
    whole = crop_faces(faces, WHOLE)
    np.testing.assert_array_equal(whole.images[:3], faces.images[:3])
    np.testing.assert_allclose(whole.landmarks, faces.landmarks, atol=1e-6)


def test_a_subset_of_crops_reads_its_own_images(faces):
    cropped = crop_faces(faces, face_windows(faces.landmarks, 0.1))
    np.testing.assert_array_equal(cropped.subset([5, 2]).images[0], cropped.images[5])


def test_crops_keep_the_corner_with_the_patch_out():
    free, told = (load("synthetic", split="test", count=14, image_size=48, shortcut=shortcut) for shortcut in (None, 1.0))
    assert np.any(free.images[:] != told.images[:])
    window = face_windows(free.landmarks, 0.0).mean(axis=0)
    np.testing.assert_array_equal(crop_faces(free, window).images[:], crop_faces(told, window).images[:])
