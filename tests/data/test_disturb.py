import numpy as np
import pytest

from palcore.data import load
from palcore.data.disturb import CONDITIONS, disturbed, patch_box, with_patch


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=21, image_size=48, shortcut=0.0)


def covers(box, points):
    return np.all((points >= box[:2]) & (points <= box[2:]), axis=-1)


def test_patches_lie_where_they_should_and_are_equally_large(faces):
    for landmarks in faces.landmarks:
        eyes, mouth, off = (patch_box(landmarks, place) for place in ("eyes", "mouth", "off"))
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
    painted = with_patch(image, np.array([0.0, 0.5, 0.5, 1.2]))
    assert (painted[2:, :2] == 100).all()
    assert (painted[:2] == 200).all() and (painted[2:, 2:] == 0).all()
    assert with_patch(image, None) is image
    with pytest.raises(ValueError, match="place 'nose' of a patch: choose from eyes, mouth, off"):
        patch_box(np.zeros((68, 2)), "nose")


def test_a_face_without_landmarks_gets_no_patch():
    assert patch_box(np.full((68, 2), np.nan), "off") is None


def test_shifts_move_pixels_and_landmarks_alike(faces):
    shifted = disturbed(faces, "shift_20")
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
        images = disturbed(faces, condition).images[:].astype(float)
        assert images.mean() == pytest.approx(faces.images[:].mean(), rel=0.01)
        detail.append(np.abs(np.diff(images, axis=1)).mean())
    assert detail[0] > detail[1] > detail[2]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_changes_every_face_the_same_way_each_time(faces, condition):
    first, again = disturbed(faces, condition), disturbed(faces, condition)
    np.testing.assert_array_equal(first.images[:], again.images[:])
    assert all(np.any(first.images[row] != faces.images[row]) for row in range(len(faces)))
    np.testing.assert_array_equal(first.labels, faces.labels)


def test_an_unknown_condition_is_refused(faces):
    with pytest.raises(ValueError, match="unknown test condition 'fog': choose from patch_off, patch_eyes"):
        disturbed(faces, "fog")
