"""What is wrong with many faces together, by hand."""

import numpy as np
import pytest

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.faults import find_copies, look_at, near_copies, order_fault
from palcore.data.landmark_fit import FOLLOWS, edge_advantage, mirrored, shared_problems, single_problems
from palcore.data.rafdb import READER as RAFDB
from palcore.landmarks import landmark_fault


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=140, image_size=48, shortcut=None)


@pytest.fixture(scope="module")
def grey(faces):
    return np.stack([look_at(image).grey for image in faces.images[:]])


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
    ("change", "pattern", "level"),
    [
        (lambda points: points[:, ::-1], "in a mirror: x and y are exchanged", "bias"),
        (lambda points: points * [-1, 1] + [1, 0], "in a mirror: left and right, or up and down, are exchanged", "bias"),
        (lambda points: points + [1, 0], "most lie off the image, around (1.", "bias"),
        (lambda points: 0.5 + (points - 0.5) * 0.05 / np.ptp(points, axis=0).max(), "they span 0.05 of the image's side", "bias"),
        (lambda points: points * 0 + [1.5, 0.5], "all lie in one place", "refused"),
    ],
)
def test_landmarks_that_make_no_face(faces, change, pattern, level):
    landmarks = faces.landmarks.copy()
    landmarks[3] = change(landmarks[3])
    landmarks[4] = np.nan
    [problem] = single_problems(faces.files, landmarks, np.arange(2, len(faces)))
    assert pattern in problem.sentence and problem.level == level and problem.row == 3
    assert single_problems(faces.files, faces.landmarks, np.arange(len(faces))) == []


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda points: points, None),
        (lambda points: points * [1, -1] + [0, 1], None),  # a run may turn faces over on purpose
        (lambda points: 2 * points - 1, "centred on 0"),
        (lambda points: points - 0.5, "centred on 0"),
        (lambda points: (points - points.mean()) / points.std(), "centred on 0"),
        (lambda points: points * 48, "in pixels"),
        (lambda points: points + 0.7, "another size or frame"),
        (lambda points: 0.5 + points / 20, "spans 0.0"),
        (lambda points: points * 0, None),  # counts as a face without landmarks
        (lambda points: points * np.nan, None),
    ],
)
def test_landmarks_that_can_be_no_fractions(faces, change, pattern):
    fault = landmark_fault(change(faces.landmarks))
    assert fault is None if pattern is None else pattern in fault
    assert landmark_fault(faces.landmarks + 0.3) is None and "frame" in landmark_fault(faces.landmarks + 0.3, (0.25, 0.75))


def test_edges_lie_under_a_face_s_own_landmarks(faces, grey):
    assert edge_advantage(grey, faces.landmarks) > 1 > FOLLOWS
    assert abs(edge_advantage(grey, np.roll(faces.landmarks, 1, axis=0))) < FOLLOWS
    assert edge_advantage(np.full((5, 48, 48), 7, np.uint8), faces.landmarks[:5]) == 0


def test_a_digest_depends_on_pixels_and_their_arrangement(faces):
    image = faces.images[0]
    changed = image.copy()
    changed[10, 10, 1] ^= 1
    assert look_at(image).digest == look_at(image.copy()).digest != look_at(changed).digest
    assert look_at(np.zeros((2, 8, 3), np.uint8)).digest != look_at(np.zeros((4, 4, 3), np.uint8)).digest


def test_landmarks_of_another_picture_are_told_from_those_of_a_copy():
    points = np.arange(5 * 136).reshape(5, 68, 2).astype(float)
    points[1], points[2], points[3] = points[0], points[0], points[0]
    one, nearly, two = 2**64 - 1, 2**64 - 2, 1
    hashes = np.array([[one, 0], [nearly, 0], [two, 0], [0, 0], [two, 0]], np.uint64)  # the fourth could not be read
    [problem] = shared_problems(np.array(["a", "b", "c", "d", "e"]), points, hashes, np.arange(5))
    assert problem.row == 2 and problem.level == "bias"
    assert problem.sentence == "landmarks of c are exactly those of a, another picture: one of the two is wrong"


def test_copies_are_counted_by_hand():
    splits = np.array(["test"] * 4 + ["train"] * 4 + ["validation"] * 2)
    labels = np.array([5, 2, 6, 6, 0, 1, 2, 3, 1, 2])
    digests = [b"1", b"3", b"4", b"", b"1", b"2", b"1", b"", b"2", b"3"]
    copies, counts = find_copies(splits, labels, digests)
    assert copies == {0: 4, 1: 9, 8: 5}
    assert counts == {
        "crossing": 3, "crossing_with_other_label": 1, "repeated_within": 1,
        "train/validation": 1, "train/test": 1, "validation/test": 1,
    }  # fmt: skip


def test_pictures_that_were_mirrored_or_changed_a_little_are_found_and_others_are_not(faces):
    images, rng = faces.images[:60], np.random.default_rng(0)
    noisy = np.clip(images[:20] + rng.normal(0, 3, images[:20].shape), 0, 255).astype(np.uint8)
    looks = [look_at(image) for image in [*images[:40], *noisy[:10], *noisy[10:20, :, ::-1], *images[40:]]]
    hashes, grey = np.stack([look.hashes for look in looks]), np.stack([look.grey for look in looks])
    pairs = near_copies(hashes, grey, np.arange(40, 80), np.arange(40))
    assert pairs == {40 + row: (row, row >= 10) for row in range(20)}


@pytest.mark.parametrize("published", [RAFDB.PUBLISHED["train"], RAFDB.PUBLISHED["test"]])
def test_labels_in_another_order_are_told_from_a_part_or_another_mixture(published):
    counts, rng = np.array(list(published.values())), np.random.default_rng(0)

    def said(numbers):
        return order_fault(dict(zip(EMOTIONS, numbers, strict=True)), published)

    assert said(counts) is None and said(counts // 20) is None and said([100] * 7) is None
    assert said(np.minimum(counts, 1000)) is None  # the largest classes cut to size
    assert said(rng.multinomial(300, counts / counts.sum())) is None
    assert said([0] * 7) is None
    alphabet = [EMOTIONS.index(emotion) for emotion in sorted(EMOTIONS)]
    for numbers in (counts[alphabet], rng.multinomial(500, counts[alphabet] / counts.sum())):
        assert "neutral may be surprise" in said(numbers) and "sadness may be neutral" in said(numbers)
