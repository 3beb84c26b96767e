import time

import cv2
import numpy as np
import pandas as pd
import pytest

from palcore import EMOTIONS
from palcore.data import fer2013, load
from palcore.data.fer2013 import CSV_LABELS, FOLDERS, _pixels
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


def test_the_csv_form_is_read_once_until_a_file_changes(csv, tmp_path, monkeypatch):
    calls = []
    for name in ("_read_csv", "examine_landmark_table"):
        read = getattr(fer2013, name)
        monkeypatch.setattr(fer2013, name, lambda *given, name=name, read=read: calls.append(name) or read(*given))

    def loaded():
        faces = [load("fer2013", csv, split, index_dir=tmp_path / "index") for split in USAGES]
        return [(split.fingerprint(), split.images[:].tolist()) for split in faces], faces[0]

    before, _ = loaded()
    again, train = loaded()
    assert again == before and calls == ["_read_csv", "examine_landmark_table"]
    assert train.subset([6, 2]).images[:][..., 0].tolist() == pictures(7)[[6, 2]].tolist()
    time.sleep(0.02)  # the clock of some file systems
    table = pd.read_csv(csv / "fer2013.csv")
    table.loc[0, "emotion"] = 3
    table.to_csv(csv / "fer2013.csv", index=False)
    after, train = loaded()
    assert train.labels[0] == EMOTIONS.index("happiness") and after[1:] == before[1:]
    assert calls == ["_read_csv", "examine_landmark_table", "_read_csv"]


def test_what_is_wrong_with_the_csv_is_told_from_the_index_as_well(csv):
    table = pd.read_csv(csv / "fer2013.csv")
    table.loc[2, "emotion"] = 7
    table.to_csv(csv / "fer2013.csv", index=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="emotion 7 in row 2 of .*fer2013.csv: it must be in 0..6"):
            load("fer2013", csv, "train")
        assert len(load("fer2013", csv, "test")) == 7


def test_pixels_that_are_anything_but_whole_numbers_up_to_255_are_none():
    values = np.random.default_rng(1).integers(0, 256, 2304)
    text = " ".join(map(str, values))
    np.testing.assert_array_equal(_pixels(text), values)
    np.testing.assert_array_equal(_pixels(f" {text} "), values)
    rest = text.split(" ", 1)[1]
    odd = [f"{cell} {rest}" for cell in ("256", "-1", "1.5", "x", "", "\u0663", "1 1")]
    for cell in [*odd, f"{rest} 1.5", f"{text} x", "", float("nan")]:
        assert _pixels(cell) is None, cell[:20]


def test_labels_of_the_csv_are_those_of_its_owner():
    assert CSV_LABELS == ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    assert {name: EMOTIONS.index(emotion) for name, emotion in FOLDERS.items()} == {
        "angry": 5, "disgust": 2, "fear": 1, "happy": 3, "neutral": 6, "sad": 4, "surprise": 0,
    }  # fmt: skip


def test_malformed_copies_are_refused(folders):
    (folders / "train" / "bored").mkdir()
    with pytest.raises(ValueError, match="unknown folder 'bored' in .*train"):
        load("fer2013", folders, "train")
    (folders / "landmarks.csv.gz").unlink()
    with pytest.raises(FileNotFoundError, match="no landmark table .*landmarks.csv"):
        load("fer2013", folders, "test")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load("fer2013", folders / "nowhere", "test")
    with pytest.raises(ValueError, match="data_dir"):
        load("fer2013", None, "test")


@pytest.mark.parametrize("change", [{"emotion": 7}, {"pixels": "1 2 3"}, {"pixels": " ".join(["300"] * 2304)}])
def test_malformed_rows_are_refused(csv, change):
    table = pd.read_csv(csv / "fer2013.csv")
    for column, value in change.items():
        table.loc[2, column] = value
    table.to_csv(csv / "fer2013.csv", index=False)
    with pytest.raises(ValueError, match="row 2|emotion 7"):
        load("fer2013", csv, "train").images[:]
