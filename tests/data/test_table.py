import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palcore import data
from palcore.data.batches import DeviceBatches, FaceBatches
from palcore.data.changes import landmarks_from, patch_box
from palcore.data.images import resize
from palcore.data.splits import stratified_split
from palcore.data.table import Faces, LazyImages
from tests.conftest import refusals


def few_faces(count=7, **changes):
    values = {
        "name": "few",
        "split": "train",
        "images": LazyImages(np.arange(count), lambda item: np.full((8, 8, 3), item, np.uint8), 8),
        "landmarks": np.linspace(0, 1, count * 136, dtype=np.float32).reshape(count, 68, 2),
        "labels": np.arange(count) % 7,
        "files": np.array([f"{row}.png" for row in range(count)]),
    }
    return Faces(**(values | changes))


def test_shrinking_averages_areas():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 200
    image[0, 3] = 40
    np.testing.assert_array_equal(resize(image, 2)[..., 0], [[200, 10], [0, 0]])


def test_images_are_read_only_when_asked_for():
    asked = []

    def read(item):
        asked.append(item)
        return np.full((10, 10, 3), item, np.uint8)

    images = LazyImages([10, 20, 30, 40], read, 5)
    assert len(images) == 4 and asked == []
    assert images[1].shape == (5, 5, 3) and asked == [20]
    assert images[2:].shape == (2, 5, 5, 3) and asked == [20, 30, 40]
    np.testing.assert_array_equal(images[np.array([3, 0])][:, 0, 0, 0], [40, 10])
    np.testing.assert_array_equal(images[np.array([False, True, False, True])][:, 0, 0, 0], [20, 40])
    assert images[-1][0, 0, 0] == 40
    with pytest.raises(IndexError):
        images[4]


@pytest.mark.parametrize("rows", [np.array([5, 1]), slice(1, 6, 4), np.isin(np.arange(7), [1, 5])])
def test_a_subset_keeps_rows_together(rows):
    faces = few_faces()
    part = faces.subset(rows)
    chosen = np.arange(7)[rows]
    assert part.files.tolist() == [f"{row}.png" for row in chosen]
    np.testing.assert_array_equal(part.labels, chosen)
    np.testing.assert_array_equal(part.images[:][:, 0, 0, 0], chosen)
    np.testing.assert_array_equal(part.landmarks, faces.landmarks[chosen])


def test_counts_are_in_the_order_of_the_emotions():
    counts = few_faces(labels=np.array([0, 0, 3, 6, 6, 6, 1])).counts()
    assert list(counts.items()) == [
        ("surprise", 2), ("fear", 1), ("disgust", 0), ("happiness", 1), ("sadness", 0), ("anger", 0), ("neutral", 3)
    ]  # fmt: skip


def test_the_fingerprint_changes_with_files_labels_and_landmarks_alone():
    faces = few_faces()
    moved = faces.landmarks.copy()
    moved[3, 5, 0] += 0.001
    others = [
        few_faces(labels=(np.arange(7) + 1) % 7),
        few_faces(landmarks=moved),
        few_faces(files=np.array([f"{row}.jpg" for row in range(7)])),
        faces.subset(slice(6)),
    ]
    assert len({face.fingerprint() for face in [faces, *others]}) == 5
    assert few_faces(images=LazyImages(np.arange(7), None, 8)).fingerprint() == faces.fingerprint()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 0.9))
def test_a_stratified_split_keeps_the_mixture(seed, share):
    labels = np.repeat(np.arange(7), np.arange(20, 90, 10))
    first, second = stratified_split(labels, share, seed)
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert np.bincount(labels[second]) == pytest.approx(share * np.bincount(labels), abs=1.5)
    np.testing.assert_array_equal(second, stratified_split(labels, share, seed)[1])


test_nonsense_is_refused_with_a_sentence = refusals(
    (lambda: few_faces(landmarks=np.zeros((7, 5, 2))), r"landmarks of shape \(7, 5, 2\) for 7 faces; .* \(7, 68, 2\)"),
    (lambda: few_faces(labels=np.zeros(6, int)), r"\(6,\) labels and 7 images for 7 faces"),
    (lambda: few_faces(images=LazyImages([], None, 8)), "0 images for 7 faces"),
    (lambda: few_faces(labels=np.arange(1, 8)), r"label 7 of 6.png is not in 0..6 \(surprise, fear"),
    (lambda: few_faces(labels=np.arange(7) - 1), "label -1 of 0.png is not in 0..6"),
    (lambda: data.load("ferplus"), "unknown dataset 'ferplus': choose from synthetic, fer2013, rafdb, affectnet"),
    (lambda: data.load("synthetic", None, "dev"), "unknown split 'dev' of synthetic: choose from train, validation, test"),
    (lambda: data.load("synthetic", "here"), "data_dir here for the synthetic faces: they are drawn, leave it out"),
    (lambda: data.load("fer2013"), "data_dir is missing for dataset fer2013"),
    (lambda: data.load("fer2013", "nowhere"), "no folder nowhere for dataset fer2013: check data_dir"),
    (lambda: data.load("rafdb", ".", landmark_order="columns"), "landmark_order 'columns' of dataset rafdb: choose from row_"),
    (lambda: data.load("fer2013", ".", labels="votes"), "labels 'votes' of dataset fer2013: choose from own, ferplus"),
    (lambda: data.load("synthetic", size=48), "unknown option 'size' of dataset synthetic: choose from image_size, "),
    (lambda: data.load("synthetic", image_size=0), "image_size 0 of dataset synthetic: it must be a positive whole number"),
    (lambda: data.load("synthetic", image_size=8), "image_size 8 of the synthetic faces: below 16 pixels there is no face"),
    (lambda: data.load("synthetic", shortcut=1.5), "shortcut 1.5 of the synthetic faces"),
    (lambda: data.load("synthetic", count=0), "count 0 of the synthetic faces"),
    (lambda: data.load("synthetic", seed=-1), "seed -1 of the synthetic faces"),
    (lambda: data.find_data_set("synthetic", "."), "dataset synthetic has no folder to look into: choose from fer2013"),
    (lambda: patch_box(few_faces().landmarks[0], "nose"), "place 'nose' of a patch: choose from off, eyes, mouth"),
    (lambda: landmarks_from(few_faces(), "mean"), "unknown source 'mean' of landmarks: choose from own, shuffled, template"),
    (lambda: landmarks_from(few_faces(1), "shuffled"), "another face for 1 face: there must be two at least"),
    (lambda: FaceBatches(few_faces(), batch_size=0), "batch_size 0"),
    (lambda: FaceBatches(few_faces(), class_weight={9: 1.0}), "class_weight has the key 9"),
    (lambda: FaceBatches(few_faces(), class_weight={0: -1.0}), "class_weight of label 0 is -1.0"),
    (lambda: FaceBatches(few_faces(), batch_size=100, drop_remainder=True), "no batch is left"),
    (lambda: FaceBatches(few_faces(), threads=0), "threads 0"),
    (lambda: FaceBatches(few_faces(0)), "no faces to make batches of"),
    (lambda: FaceBatches(few_faces(), shufle=True), "shufle"),
    (lambda: DeviceBatches(few_faces()), "KERAS_BACKEND=jax"),
    (lambda: stratified_split(np.arange(14) % 7, 1.5, 0), "share 1.5 of a stratified split"),
    (lambda: stratified_split(np.arange(14) % 7, 0.1, 0), "share 0.1 of 14 faces"),
    (lambda: stratified_split(np.array([0, 0, 1]), 0.5, 0), "class 1 has a single face"),
    error=(ValueError, TypeError, FileNotFoundError),
)
