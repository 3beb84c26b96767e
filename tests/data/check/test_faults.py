import numpy as np
import pytest

from palcore.data import load
from palcore.data.check.faults import (
    borrowed_landmarks,
    find_copies,
    mirrored,
    picture_digest,
    shape_problems,
)
from palcore.data.landmark_fit import FOLLOWS, edge_advantage


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=140, image_size=48, shortcut=None)


def turned(landmarks, degrees):
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (landmarks - 0.5) @ matrix.T + 0.5


@pytest.mark.parametrize("degrees", [0, 60, 90, 180, 270])
def test_a_turned_face_is_no_mirror_image_but_one_with_exchanged_coordinates_is(faces, degrees):
    landmarks = turned(faces.landmarks, degrees)
    assert not mirrored(landmarks).any()
    assert mirrored(landmarks[..., ::-1]).all()
    assert mirrored(landmarks * [-1, 1] + [1, 0]).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda points: points[:, ::-1], "are those of a face in a mirror: x and y are exchanged"),
        (
            lambda points: points * [-1, 1] + [1, 0],
            "are those of a face in a mirror: left and right, or up and down, are exchanged",
        ),
        (
            lambda points: points * 0 + [1.5, 0.5],
            "do not lie on its face: most lie off the image, around (1.50, 0.50) of its sides; "
            "are they in pixels of another image?",
        ),
        (
            lambda points: 0.5 + (points - 0.5) * 0.05 / np.ptp(points, axis=0).max(),
            "do not lie on its face: they span 0.05 of the image's side; are they in pixels of another image?",
        ),
    ],
)
def test_landmarks_that_make_no_face(faces, change, sentence):
    landmarks = faces.landmarks.copy()
    landmarks[3] = change(landmarks[3])
    landmarks[4] = np.nan
    [problem] = shape_problems(faces.files, landmarks)
    assert problem.sentence == f"landmarks of {faces.files[3]} {sentence}"
    assert problem.fatal


def test_right_landmarks_have_no_fault(faces):
    assert shape_problems(faces.files, faces.landmarks) == []


def test_edges_lie_under_a_face_s_own_landmarks(faces):
    right = edge_advantage(faces.images[:], faces.landmarks)
    assert right > 1 > FOLLOWS
    shifted = edge_advantage(faces.images[:], np.roll(faces.landmarks, 1, axis=0))
    assert abs(shifted) < FOLLOWS
    assert edge_advantage(np.full((5, 48, 48, 3), 7, np.uint8), faces.landmarks[:5]) == 0


def test_a_digest_depends_on_pixels_and_their_arrangement(faces):
    image = faces.images[0]
    assert picture_digest(image) == picture_digest(image.copy())
    changed = image.copy()
    changed[10, 10, 1] ^= 1
    assert picture_digest(changed) != picture_digest(image)
    assert picture_digest(np.zeros((2, 8, 3), np.uint8)) != picture_digest(np.zeros((4, 4, 3), np.uint8))


def test_landmarks_of_another_picture_are_told_from_those_of_a_copy():
    points = np.arange(4 * 136).reshape(4, 68, 2).astype(float)
    points[1], points[2] = points[0], points[0]
    one, nearly, two = 2**64 - 1, 2**64 - 2, 1
    hashes = np.array([[one, 0], [nearly, 0], [two, 0], [0, 0]], np.uint64)  # the last could not be read
    owners = {}
    [problem] = borrowed_landmarks(["a", "b", "c", "d"], points, hashes, owners)
    assert problem.file == "c"
    assert problem.sentence == "landmarks of c are exactly those of a, another picture: one of the two has the wrong ones"
    [problem] = borrowed_landmarks(["e"], points[:1], hashes[2:3], owners)
    assert problem.sentence == "landmarks of e are exactly those of a, another picture: one of the two has the wrong ones"
    assert borrowed_landmarks(["a", "b"], np.full((2, 68, 2), np.nan), hashes[1:3], {}) == []


def test_copies_are_counted_by_hand():
    parts = {
        "train": (["a", "b", "c", "d"], [0, 1, 2, 3], [b"1", b"2", b"1", None]),
        "validation": (["e", "f"], [1, 2], [b"2", b"3"]),
        "test": (["g", "h", "i", "j"], [5, 2, 6, 6], [b"1", b"3", b"4", None]),
    }
    copies, counts = find_copies(parts)
    assert [tuple(row) for row in copies.itertuples(index=False)] == [
        ("validation", "e", 1, "train", "b", 1),
        ("test", "g", 5, "train", "a", 0),
        ("test", "h", 2, "validation", "f", 2),
    ]
    assert counts == {
        "crossing": 3,
        "crossing_with_other_label": 1,
        "repeated_within": 1,
        "train/validation": 1,
        "train/test": 1,
        "validation/test": 1,
    }
