import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from palcore.data.changes import DRAWS, draw_matrix
from palcore.data.geometry import FLIP_INDEX, affine_matrix, flip_matrix, transform_image, transform_landmarks
from palcore.data.synthetic import load
from palcore.landmarks import REGIONS

draws = st.lists(st.floats(0, 1, exclude_max=True), min_size=DRAWS, max_size=DRAWS).map(np.array)
seeds = st.integers(0, 2**32 - 1)


def picture(seed, shape=(13, 16)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def points(seed):
    return np.random.default_rng(seed).normal(0.5, 0.4, (68, 2)).astype(np.float32)


@given(seeds, st.sampled_from([(13, 16), (16, 13), (48, 48), (1, 1)]))
def test_flipping_twice_changes_nothing(seed, shape):
    image, landmarks = picture(seed, shape), points(seed)
    once = transform_image(image, flip_matrix())
    np.testing.assert_array_equal(once, image[:, ::-1])
    np.testing.assert_array_equal(transform_image(once, flip_matrix()), image)
    twice = transform_landmarks(transform_landmarks(landmarks, flip_matrix()), flip_matrix())
    np.testing.assert_allclose(twice, landmarks, atol=1e-6)


def test_the_flip_exchanges_left_and_right_within_each_region():
    np.testing.assert_array_equal(FLIP_INDEX[FLIP_INDEX], np.arange(68))
    for landmarks in REGIONS.values():
        assert set(FLIP_INDEX[list(landmarks)]) == set(landmarks)
    # The chin, the bridge and tip of the nose and the middles of the lips stay.
    assert np.flatnonzero(np.arange(68) == FLIP_INDEX).tolist() == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_a_mirrored_face_has_its_landmarks_in_ibug_order():
    landmarks = load("train", count=7).landmarks
    for face in landmarks:
        mirrored = transform_landmarks(face, flip_matrix())
        # On either face the landmarks of jaw, brows and lips run from the viewer's left to the right.
        for first, last in ((0, 16), (17, 21), (22, 26), (31, 35), (36, 39), (42, 45), (48, 54), (60, 64)):
            assert face[first, 0] < face[last, 0]
            assert mirrored[first, 0] < mirrored[last, 0]
        # And the upper lids and lips stay above the lower ones.
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (51, 57), (62, 66)):
            assert mirrored[upper, 1] < mirrored[lower, 1]


@given(seeds, draws, draws)
def test_two_changes_are_one(seed, first, second):
    matrices = draw_matrix(first), draw_matrix(second)
    one_by_one = transform_landmarks(transform_landmarks(points(seed), matrices[0]), matrices[1])
    np.testing.assert_allclose(transform_landmarks(points(seed), matrices[1] @ matrices[0]), one_by_one, atol=1e-5)


def test_shift_rotation_and_scale_by_hand_and_missing_landmarks_stay_missing():
    assert np.isnan(transform_landmarks(np.full((68, 2), np.nan, np.float32), draw_matrix(np.full(DRAWS, 0.3)))).all()
    np.testing.assert_array_equal(transform_image(picture(0), affine_matrix()), picture(0))
    np.testing.assert_allclose(affine_matrix(shift=(0.1, -0.2)) @ [0.3, 0.6, 1], [0.4, 0.4, 1])
    np.testing.assert_allclose(affine_matrix(scale=2) @ [0.5, 0.75, 1], [0.5, 1.0, 1])
    # Clockwise as seen: what is right of the centre goes below it.
    np.testing.assert_allclose(affine_matrix(angle=np.pi / 2) @ [0.75, 0.5, 1], [0.5, 0.75, 1], atol=1e-12)


@given(draws)
def test_changes_stay_within_their_ranges(numbers):
    matrix = draw_matrix(numbers)
    assert (np.linalg.det(matrix) < 0) == (numbers[7] < 0.5)
    scale = np.sqrt(abs(np.linalg.det(matrix)))
    assert 0.9 - 1e-9 <= scale <= 1.1 + 1e-9
    assert np.all(np.abs(matrix @ [0.5, 0.5, 1] - [0.5, 0.5, 1]) <= 0.08 + 1e-9)
