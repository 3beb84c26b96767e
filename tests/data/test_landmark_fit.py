import numpy as np
import pytest

from palcore.data import load
from palcore.data.check.faults import near_copies, picture_hash
from palcore.data.images import resize, turned
from palcore.data.landmark_fit import as_shown, with_landmark_problems
from palcore.data.listing import Listing, faces_of


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=220, image_size=48, shortcut=None)


def listing(faces, landmarks, side=48, images=48):
    def read(row):
        return resize(faces.images[int(row)], images)

    frames, rows = np.full((len(faces), 2), images), np.arange(len(faces))
    return Listing("fer2013", "test", faces.files, rows, read, str, faces.labels, landmarks.astype(np.float32), frames, side)


def said(faces, landmarks, **options):
    pixels = options.pop("pixels", False)
    found = with_landmark_problems(listing(faces, landmarks, **options), "landmark table x.csv", pixels=pixels).problems
    return [(problem.kind, problem.fatal, problem.sentence) for problem in found]


def test_right_landmarks_are_loaded_without_a_word(faces):
    assert said(faces, faces.landmarks) == said(faces, faces.landmarks, pixels=True) == []


def test_a_row_that_is_missing_is_noticed_though_those_before_it_are_right(faces):
    landmarks = faces.landmarks.copy()
    landmarks[120:] = np.roll(landmarks[120:], 1, axis=0)
    [(kind, fatal, sentence)] = said(faces, landmarks)
    assert kind == "landmarks elsewhere" and fatal
    assert "fit other faces of it as well as their own" in sentence and sentence.endswith("they are on the wrong images")


@pytest.mark.parametrize("images", [40, 64])
def test_landmarks_in_pixels_of_the_owner_s_images_are_refused_where_those_have_another_size(faces, images):
    owner = faces.landmarks * 48 / images  # their pixels, taken for pixels of the images beside them
    [(kind, fatal, sentence)] = said(faces, owner, images=images, pixels=True)
    assert kind == "landmarks elsewhere" and fatal
    assert f"images of fer2013 have {images}x{images} pixels and its owner's 48x48" in sentence
    [(kind, fatal, sentence)] = said(faces, faces.landmarks, images=images, pixels=True)
    assert kind == "note" and not fatal and sentence.endswith("taken for pixels of these images, on which they lie better")
    assert said(faces, faces.landmarks, images=images) == []  # fractions have no size


def test_a_note_is_said_by_load_and_costs_no_face(faces):
    found = with_landmark_problems(listing(faces, faces.landmarks, images=64), "landmark table x.csv", pixels=True)
    with pytest.warns(UserWarning, match="taken for pixels of these images"):
        loaded = faces_of(found)
    assert len(loaded) == len(faces) and loaded.dropped == {}


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_landmarks_of_the_stored_picture_are_turned_with_it(faces, orientation):
    from palcore.data.geometry import FLIP_INDEX

    back = {6: 8, 8: 6}.get(orientation, orientation)
    frames = np.tile([60, 40], (7, 1))
    shown = faces.landmarks[:7]
    pixels = turned(shown, back) * (frames[:, None, ::-1] if orientation > 4 else frames[:, None])
    if orientation in (5, 7):  # a tool numbers the points of the picture that it sees
        pixels = pixels[:, FLIP_INDEX]
    landmarks, moved = as_shown(pixels / frames[:, None], frames, np.full(7, orientation))
    np.testing.assert_allclose(landmarks, shown, atol=1e-5)
    assert moved.tolist() == list(range(7))
    same, moved = as_shown(shown, frames, np.full(7, orientation))
    np.testing.assert_array_equal(same, shown)
    assert not len(moved)


def test_pictures_that_were_mirrored_or_changed_a_little_are_found_and_others_are_not(faces):
    images = faces.images[:60]
    rng = np.random.default_rng(0)
    noisy = np.clip(images[:20] + rng.normal(0, 3, images[:20].shape), 0, 255).astype(np.uint8)
    test = [*noisy[:10], *noisy[10:20, :, ::-1], *images[40:]]
    hashes, thumbs = zip(*map(picture_hash, images[:40]), strict=True)
    own, small = zip(*map(picture_hash, test), strict=True)
    found = near_copies(np.array(own), np.array(small), np.array(hashes), np.array(thumbs))
    assert found == {row: (row, row >= 10) for row in range(20)}
