import cv2
import numpy as np
import pandas as pd
import pytest

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.fer2013 import CSV_LABELS, FOLDERS, cell_pixels
from palcore.data.landmark_table import COORDINATES

POINTS = load("synthetic", count=1).landmarks[0]
USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 48, 48)).astype(np.uint8)


def write_table(path, names, points):
    """The landmark table in pixels, the first pixel's centre at (0, 0)."""
    frame = pd.DataFrame(points.reshape(len(names), 136), columns=COORDINATES)
    frame.insert(0, "detected", 1)
    frame.insert(0, "file", names)
    frame.to_csv(path, index=False)


@pytest.fixture
def folders(tmp_path):
    names = []
    for split in USAGES:
        for number, folder in enumerate(FOLDERS):
            path = tmp_path / split / folder / f"{USAGES[split]}_{number}.png"
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), pictures(7)[number])
            names.append(path.relative_to(tmp_path).as_posix())
    write_table(tmp_path / "landmarks.csv.gz", names, np.tile(POINTS * 48 - 0.5, (len(names), 1, 1)))
    return tmp_path


@pytest.fixture
def csv(tmp_path):
    rows = []
    for usage in USAGES.values():
        for label, image in enumerate(pictures(7)):
            rows.append({"emotion": label, "pixels": " ".join(map(str, image.ravel())), "Usage": usage})
    pd.DataFrame(rows).to_csv(tmp_path / "fer2013.csv", index=False)
    names = [f"fer2013.csv:{row}" for row in range(len(rows))]
    write_table(tmp_path / "landmarks.csv", names, np.tile(POINTS * 48 - 0.5, (len(rows), 1, 1)))
    return tmp_path


@pytest.mark.parametrize("split", USAGES)
def test_folders(folders, split):
    faces = load("fer2013", folders, split)
    assert faces.labels.tolist() == [EMOTIONS.index(name) for name in FOLDERS.values()]
    np.testing.assert_array_equal(faces.images[:][..., 0], pictures(7))
    np.testing.assert_allclose(faces.landmarks, np.tile(POINTS, (7, 1, 1)), atol=1e-6)
    assert faces.images[:].shape == (7, 48, 48, 3)
    assert load("fer2013", folders, split, image_size=64).images[0].shape == (64, 64, 3)


@pytest.mark.parametrize("split", USAGES)
def test_csv(csv, split):
    faces = load("fer2013", csv, split)
    assert [EMOTIONS[label] for label in faces.labels] == list(CSV_LABELS)
    np.testing.assert_array_equal(faces.images[:][..., 0], pictures(7))
    np.testing.assert_allclose(faces.landmarks, np.tile(POINTS, (7, 1, 1)), atol=1e-6)


def test_pixels_that_are_anything_but_whole_numbers_up_to_255_are_none():
    values = np.random.default_rng(1).integers(0, 256, 2304)
    text = " ".join(map(str, values))
    for good in (text, f" {text} "):
        np.testing.assert_array_equal(cell_pixels(good, "row 0").ravel(), values)
    rest = text.split(" ", 1)[1]
    odd = [f"{cell} {rest}" for cell in ("256", "-1", "1.5", "x", "", "\u0663", "1_0", "1 1")]
    for cell in [*odd, f"{rest} 1.5", f"{text} x", ""]:
        with pytest.raises(ValueError, match="row 0 does not have 2304 whole numbers from 0 to 255"):
            cell_pixels(cell, "row 0")


def test_labels_of_the_csv_are_those_of_its_owner():
    assert CSV_LABELS == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert {name: EMOTIONS.index(emotion) for name, emotion in FOLDERS.items()} == {
        "angry": 5, "disgust": 2, "fear": 1, "happy": 3, "neutral": 6, "sad": 4, "surprise": 0,
    }  # fmt: skip
