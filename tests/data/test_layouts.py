"""What is read from each layout is what was drawn."""

import gzip
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from palcore import EMOTIONS, data
from palcore.data.landmark_table import append_rows
from palcore.data.rafdb import READER as RAFDB
from tests.copies import (
    WRITERS,
    Drawn,
    drawn_faces,
    write_affectnet,
    write_affectnet_csv,
    write_fer2013,
    write_fer2013_csv,
    write_image,
    write_landmark_file,
    write_rafdb,
    write_rafdb_folders,
    write_table,
)

SPLITS = ("train", "validation", "test")
ROUNDING = {"rafdb": 0.5, "rafdb_folders": 0.5, "affectnet": 1e-3, "affectnet_csv": 0.01, "fer2013": 0.01, "fer2013_csv": 0.01}
"""Largest distance of a coordinate from where it was drawn, in pixels of the owner's image."""


def decoded(face):
    """The face in its file as OpenCV sees it."""
    if face.path.suffix == ".csv":
        return face.image
    (x, y), side = face.corner, len(face.image)
    return cv2.imread(str(face.path))[y : y + side, x : x + side, ::-1]


@pytest.mark.parametrize("layout", WRITERS)
def test_each_layout_gives_the_faces_that_were_drawn(layout, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, write = WRITERS[layout]
    drawn = write(tmp_path / "copy")
    seen = []
    for split in SPLITS:
        faces = data.load(name, tmp_path / "copy", split)
        wanted = [drawn[file] for file in faces.files]
        assert {face.part for face in wanted} <= {split, "train"}
        assert faces.labels.tolist() == [face.label for face in wanted]
        side = len(wanted[0].image)
        landmarks = np.stack([face.landmarks for face in wanted])
        assert np.abs(faces.landmarks - landmarks).max() * side <= ROUNDING[layout] + 1e-3
        images = replace(faces.images, size=side)[:]
        np.testing.assert_array_equal(images, [decoded(face) for face in wanted])
        assert np.abs(images.astype(int) - np.stack([face.image for face in wanted])).mean() < 6
        assert faces.images.size == data.data_module(name).READER.SIDE
        assert set(faces.counts().values()) == {len(faces) // 7}
        seen += faces.files.tolist()
    assert sorted(seen) == sorted(drawn)


@pytest.mark.parametrize("layout", ["rafdb", "affectnet", "affectnet_csv"])
def test_the_validation_split_is_the_same_whatever_else_is_asked_for(layout, tmp_path):
    name, write = WRITERS[layout]
    drawn = write(tmp_path / "copy")

    def held_out(**options):
        return data.load(name, tmp_path / "copy", "validation", **options).files.tolist()

    usual = held_out()
    append_rows(tmp_path / "table.csv", list(drawn), [1] * len(drawn), [face.landmarks for face in drawn.values()])
    assert held_out(image_size=32) == held_out(landmarks=tmp_path / "table.csv") == usual
    train = data.load(name, tmp_path / "copy", "train").files.tolist()
    assert not set(train) & set(usual)
    other = held_out(seed=1)
    assert other != usual
    assert not set(data.load(name, tmp_path / "copy", "train", seed=1).files) & set(other)


def test_both_layouts_of_rafdb_hold_out_the_same_faces(tmp_path):
    write_rafdb(tmp_path / "list")
    write_rafdb_folders(tmp_path / "folders")
    listed, in_folders = (data.load("rafdb", tmp_path / name, "validation") for name in ("list", "folders"))
    assert listed.fingerprint() == in_folders.fingerprint()


def test_rafdb_numbers_mean_what_its_owners_say(tmp_path):
    write_rafdb(tmp_path)
    lines = (tmp_path / "EmoLabel" / "list_patition_label.txt").read_text().split()
    numbers = dict(zip(lines[::2], lines[1::2], strict=True))
    faces = data.load("rafdb", tmp_path, "test")
    meanings = {numbers[file]: EMOTIONS[label] for file, label in zip(faces.files, faces.labels, strict=True)}
    assert meanings == {
        "1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger", "7": "neutral",
    }  # fmt: skip


def test_affectnet_numbers_mean_what_its_owners_say(tmp_path):
    write_affectnet(tmp_path)
    faces = data.load("affectnet", tmp_path, "test")
    meanings = {}
    for file, label in zip(faces.files, faces.labels, strict=True):
        path = tmp_path / "val_set" / "annotations" / f"{file.split('/')[-1].removesuffix('.jpg')}_exp.npy"
        meanings[int(str(np.load(path)))] = EMOTIONS[label]
    assert meanings == {
        0: "neutral", 1: "happiness", 2: "sadness", 3: "surprise", 4: "fear", 5: "disgust", 6: "anger",
    }  # fmt: skip


@pytest.mark.parametrize(("separator", "decimals"), [("\t", 0), (" ", 3), ("   ", 1), ("\t ", 6)])
@pytest.mark.parametrize("order", ["row_column", "x_y"])
def test_landmark_files_in_every_form(separator, decimals, order, tmp_path):
    drawn = write_rafdb(tmp_path, separator=separator, decimals=decimals, order=order)
    faces = data.load("rafdb", tmp_path, "test", landmark_order=order)
    wanted = np.stack([drawn[file].landmarks for file in faces.files])
    assert np.abs(faces.landmarks - wanted).max() * 100 <= 0.5 * 10.0**-decimals + 1e-4


def test_landmarks_outside_the_image_are_kept(tmp_path):
    write_rafdb(tmp_path)
    path = tmp_path / "landmarks" / "test_0001_aligned.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["-14\t109", *lines[1:]]))
    faces = data.load("rafdb", tmp_path, "test")
    np.testing.assert_allclose(faces.landmarks[faces.files.tolist().index("test_0001.jpg"), 0], [1.095, -0.135], atol=1e-6)


@pytest.mark.parametrize("place", ["beside", "given folder", "given table", "table beside", "DATASET", "inside DATASET", "basic"])
def test_where_rafdb_landmarks_are_found(place, tmp_path):
    copy, options, data_dir = tmp_path / "copy", {}, tmp_path / "copy"
    in_folders = "DATASET" in place
    drawn = (write_rafdb_folders if in_folders else write_rafdb)(copy, landmarks="table" if "table" in place else "text")
    if place == "given folder":
        (copy / "landmarks").rename(tmp_path / "elsewhere")
        options = {"landmarks": str(tmp_path / "elsewhere")}
    elif place == "given table":
        (copy / "landmarks.csv.gz").rename(tmp_path / "elsewhere.csv.gz")
        options = {"landmarks": str(tmp_path / "elsewhere.csv.gz")}
    elif place == "inside DATASET":
        (copy / "landmarks").rename(copy / "DATASET" / "landmarks")
        data_dir = copy / "DATASET"
    elif place == "basic":
        copy.rename(tmp_path / "basic")
        data_dir = tmp_path
    faces = data.load("rafdb", data_dir, "test", **options)
    wanted = np.stack([drawn[file].landmarks for file in faces.files])
    assert np.abs(faces.landmarks - wanted).max() * 100 <= 0.51


def test_names_in_a_table_may_be_those_of_the_image_files(tmp_path):
    drawn = write_rafdb(tmp_path, landmarks=None)
    names = [f"Image/aligned/{face.path.name}" for face in drawn.values()]
    assert [RAFDB.face_name(name) for name in names] == list(drawn)
    append_rows(tmp_path / "landmarks.csv", names, [1] * len(names), [face.landmarks for face in drawn.values()])
    faces = data.load("rafdb", tmp_path, "train")
    np.testing.assert_allclose(faces.landmarks, [drawn[file].landmarks for file in faces.files], atol=1e-5)


def test_faces_that_were_not_found_keep_their_place(tmp_path):
    drawn = write_rafdb(tmp_path, landmarks=None)
    points = [face.landmarks for face in drawn.values()]
    found = [number % 4 > 0 for number in range(len(points))]
    points = [face if seen or number % 8 else face * np.nan for number, (face, seen) in enumerate(zip(points, found, strict=True))]
    append_rows(tmp_path / "landmarks.csv.gz", list(drawn), found, points)
    faces = data.load("rafdb", tmp_path, "train")
    expected = np.isnan([points[list(drawn).index(file)] for file in faces.files])
    np.testing.assert_array_equal(np.isnan(faces.landmarks), expected)
    left_out = data.load("rafdb", tmp_path, "train", undetected="leave_out")
    seen = np.array([found[list(drawn).index(file)] for file in faces.files])
    np.testing.assert_array_equal(np.isnan(left_out.landmarks).all(axis=(1, 2)), ~seen)


@pytest.mark.parametrize("separator", [";", " ", "; "])
@pytest.mark.parametrize("header", [True, False])
def test_the_csv_form_of_affectnet_with_either_separator_and_without_a_header(separator, header, tmp_path):
    drawn = write_affectnet_csv(tmp_path, separator=separator, header=header)
    faces = data.load("affectnet", tmp_path, "test")
    wanted = np.stack([drawn[file].landmarks for file in faces.files])
    assert np.abs(faces.landmarks - wanted).max() * 120 < 0.011


def test_the_tables_of_affectnet_may_lie_in_their_folder(tmp_path):
    write_affectnet_csv(tmp_path)
    lists = tmp_path / "Manually_Annotated_file_lists"
    lists.mkdir()
    for name in ("training.csv", "validation.csv"):
        (tmp_path / name).rename(lists / name)
    assert len(data.load("affectnet", tmp_path, "test")) == 14


@pytest.mark.parametrize("write", [write_affectnet, write_affectnet_csv])
def test_other_classes_of_affectnet_are_dropped_and_counted(write, tmp_path):
    write(tmp_path, others=(7, 7, 8, 9, 10, 10, 10))
    faces = [data.load("affectnet", tmp_path, split) for split in SPLITS]
    assert [face.dropped for face in faces] == [{"contempt": 2, "none": 1, "uncertain": 1, "no face": 3}, {}] + [faces[0].dropped]
    assert [len(face) for face in faces] == [21, 7, 14]


@pytest.mark.parametrize("as_text", [True, False])
def test_affectnet_annotations_may_be_numbers_or_text(as_text, tmp_path):
    drawn = write_affectnet(tmp_path, as_text=as_text)
    for path in (tmp_path / "val_set" / "annotations").glob("*_lnd.npy"):
        points = np.load(path).reshape(68, 2)
        np.save(path, points.astype(str) if as_text else np.asfortranarray(points, np.float32))
    faces = data.load("affectnet", tmp_path, "test")
    assert faces.labels.tolist() == [drawn[file].label for file in faces.files]
    np.testing.assert_allclose(faces.landmarks, [drawn[file].landmarks for file in faces.files], atol=1e-5)


def test_landmarks_of_affectnet_are_in_pixels_of_their_own_image(tmp_path):
    drawn = write_affectnet(tmp_path)
    file = "val_set/images/3.jpg"
    cv2.imwrite(str(drawn[file].path), cv2.resize(cv2.imread(str(drawn[file].path)), (448, 112)))
    pixels = drawn[file].landmarks * [448, 112] - 0.5
    np.save(tmp_path / "val_set" / "annotations" / "3_lnd.npy", pixels.ravel())
    faces = data.load("affectnet", tmp_path, "test")
    np.testing.assert_allclose(faces.landmarks[faces.files.tolist().index(file)], drawn[file].landmarks, atol=1e-5)


def test_a_face_box_beyond_its_picture_is_filled_with_the_edge(tmp_path):
    drawn = write_affectnet_csv(tmp_path)
    table = tmp_path / "validation.csv"
    lines = table.read_text().splitlines()
    name, x, y, width, height, rest = lines[1].split(",", 5)
    lines[1] = ",".join([name, "-30", "-10", width, height, rest])
    table.write_text("\n".join(lines))
    faces = data.load("affectnet", tmp_path, "test")
    row = faces.files.tolist().index(name)
    image = replace(faces.images, size=120)[row]
    picture = cv2.imread(str(drawn[name].path))[..., ::-1]
    np.testing.assert_array_equal(image[10:, 30:], picture[:110, :90])
    np.testing.assert_array_equal(image[:10, 30:], np.repeat(picture[:1, :90], 10, axis=0))
    moved = drawn[name].landmarks + [(int(x) + 30) / 120, (int(y) + 10) / 120]
    np.testing.assert_allclose(faces.landmarks[row], moved, atol=1e-3)


def test_two_faces_of_one_picture_have_names_of_their_own(tmp_path):
    drawn = write_affectnet_csv(tmp_path)
    table = tmp_path / "validation.csv"
    lines = table.read_text().splitlines()
    name, x, *rest = lines[1].split(",")
    lines += [",".join([name, str(int(x) + 1), *rest]), lines[2]]
    table.write_text("\n".join(lines))
    with pytest.warns(UserWarning, match=f"row {len(lines) - 2} of .*validation.csv names .* a second time, after row 1"):
        faces = data.load("affectnet", tmp_path, "test")
    assert sorted(faces.files) == sorted([name for name in drawn if drawn[name].part == "test"] + [f"{name}#2"])
    assert faces.dropped["repeated"] == 1


def test_missing_pictures_of_the_csv_form_are_left_out_up_to_a_share(tmp_path):
    drawn = write_affectnet_csv(tmp_path, others=())
    gone = next(name for name in drawn if drawn[name].part == "test")
    before = data.load("affectnet", tmp_path, "validation").files
    drawn[gone].path.unlink()
    with pytest.raises(FileNotFoundError, match=f"no image file {drawn[gone].path}"):
        data.load("affectnet", tmp_path, "test")
    with pytest.warns(UserWarning, match=f"affectnet test: no image file {drawn[gone].path}"):
        faces = data.load("affectnet", tmp_path, "test", missing_share=0.1)
    assert gone not in faces.files and len(faces) == 13
    assert faces.dropped == {"image missing": 1}
    # Who is held out does not depend on which pictures are there.
    lost = next(name for name in drawn if drawn[name].part == "train" and name not in before)
    drawn[lost].path.unlink()
    assert data.load("affectnet", tmp_path, "validation", missing_share=0.1).files.tolist() == before.tolist()


def test_a_real_data_set_reads_images_only_when_asked(tmp_path):
    drawn = write_affectnet(tmp_path)
    faces = data.load("affectnet", tmp_path, "test", image_size=40)
    for face in drawn.values():
        face.path.unlink()
    with pytest.raises(FileNotFoundError, match="no image file .*val_set/images/0.jpg"):
        faces.images[0]


def test_a_data_set_of_one_s_own_has_the_faces_that_its_reader_names(tmp_path, monkeypatch):
    """The recipe of CONTRIBUTING.md, as it stands there."""
    recipe = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text().partition("   ```python\n")[2].partition("   ```\n")[0]
    (tmp_path / "mine.py").write_text(textwrap.dedent(recipe))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(data.DATASETS, "mine", "mine")
    drawn = {}
    for part in ("train", "test"):
        for number, (image, label, points) in enumerate(zip(*drawn_faces(part, 48), strict=True)):
            name = f"{part}/{EMOTIONS[label]}/{number}.png"
            write_image(tmp_path / "copy" / name, image)
            drawn[name] = Drawn(tmp_path / "copy" / name, part, label, image, points)
    write_table(tmp_path / "copy" / "landmarks.csv.gz", drawn)
    for split, count in zip(SPLITS, (21, 7, 14), strict=True):
        faces = data.load("mine", tmp_path / "copy", split)
        assert len(faces) == count and faces.labels.tolist() == [drawn[name].label for name in faces.files]
        np.testing.assert_array_equal(faces.images[:], [drawn[name].image for name in faces.files])
        np.testing.assert_allclose(faces.landmarks, [drawn[name].landmarks for name in faces.files], atol=1e-5)
    shutil.rmtree(tmp_path / "copy" / "test" / "fear")
    with pytest.raises(FileNotFoundError, match="no folder .*test/fear for mine: each part has surprise"):
        data.load("mine", tmp_path / "copy", "test")


@pytest.mark.parametrize("write, name", [(write_fer2013, "fer2013"), (write_rafdb, "rafdb")])
def test_landmarks_can_be_left_out(write, name, tmp_path):
    write(tmp_path)
    faces = data.load(name, tmp_path, "test", landmarks=False)
    assert len(faces) == 14 and np.isnan(faces.landmarks).all()


HIDDEN = (".DS_Store", "Thumbs.db", "desktop.ini", "._1.jpg")


def hidden_files(copy):
    for folder in [path for path in copy.rglob("*") if path.is_dir()]:
        for name in HIDDEN:
            (folder / name).write_bytes(b"\0\5\x16\7Mac OS X")
        (folder / ".ipynb_checkpoints").mkdir()


def with_suffix(suffix):
    def change(copy):
        for path in list(copy.rglob("*.jpg")):
            image = cv2.imread(str(path))
            path.unlink()
            write_image(path.with_suffix(suffix.lower()), image[..., ::-1])
            path.with_suffix(suffix.lower()).rename(path.with_suffix(suffix))

    return change


FINE = {"hidden files": hidden_files, **{suffix: with_suffix(suffix) for suffix in (".png", ".JPG", ".jpeg", ".WEBP")}}


@pytest.mark.parametrize("layout", ["rafdb", "rafdb_folders", "affectnet", "affectnet_csv", "fer2013"])
@pytest.mark.parametrize("case", FINE)
def test_what_is_fine_all_the_same(case, layout, tmp_path):
    if layout == "fer2013" and case != "hidden files":
        return  # its landmark table goes by the names of the files
    name, write = WRITERS[layout]
    write(tmp_path)
    before = data.load(name, tmp_path, "test")
    pixels = before.images[:]
    FINE[case](tmp_path)
    after = data.load(name, tmp_path, "test")
    np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_array_equal(after.landmarks, before.landmarks)
    assert np.abs(after.images[:].astype(int) - pixels).mean() < 3


def test_tables_from_another_system_may_have_backslashes_and_be_packed(tmp_path):
    write_affectnet_csv(tmp_path)
    before, table = data.load("affectnet", tmp_path, "test").fingerprint(), tmp_path / "validation.csv"
    table.write_text(table.read_text().replace("/", "\\"))
    assert data.load("affectnet", tmp_path, "test").fingerprint() == before
    (tmp_path / "Validation.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    table.unlink()
    assert data.load("affectnet", tmp_path, "test").fingerprint() == before


@pytest.mark.parametrize("name", ["icml_face_data.csv", "icml_face_data.csv.gz", "fer2013.csv.gz"])
def test_fer2013_s_csv_file_under_its_public_names(name, tmp_path):
    write_fer2013_csv(tmp_path)
    before, text = data.load("fer2013", tmp_path, "test").fingerprint(), (tmp_path / "fer2013.csv").read_text()
    if "icml" in name:  # other order of columns, a space before their names
        lines = [line.split(",") for line in text.splitlines()]
        text = "\n".join(f"{emotion}, {usage}, {pixels}" for emotion, pixels, usage in lines)
    (tmp_path / "fer2013.csv").unlink()
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert data.load("fer2013", tmp_path, "test").fingerprint() == before


def resized_copy(folder, side, in_owner_s_pixels):
    """RAF-DB's copy with 210 and 140 faces, pictures resized; landmarks in pixels of these, or left as they were."""
    for part, count in (("train", 210), ("test", 140)):
        for number, (image, label, points) in enumerate(zip(*drawn_faces(part, 100, count), strict=True), start=1):
            stem = f"{part}_{number:05d}_aligned"
            write_image(folder / "DATASET" / part / str(label + 1) / f"{stem}.jpg", cv2.resize(image, (side, side)))
            write_landmark_file(folder / "landmarks" / f"{stem}.txt", points, 100 if in_owner_s_pixels else side, decimals=1)


@pytest.mark.parametrize("side", [90, 128])
def test_landmarks_in_pixels_of_the_owner_s_images_are_refused_where_those_have_another_size(side, tmp_path):
    resized_copy(tmp_path, side, True)
    with pytest.raises(ValueError, match=f"have {side}x{side} pixels .*, and they lie better on these as pixels of the owner's"):
        data.load("rafdb", tmp_path, "test")
    shutil.rmtree(tmp_path / "DATASET")
    resized_copy(tmp_path, side, False)
    with pytest.warns(UserWarning, match="lie better on these taken for pixels of these images"):
        faces = data.load("rafdb", tmp_path, "test")
    assert len(faces) == 140 and faces.dropped == {}


@pytest.mark.parametrize("first", [0, 110])
def test_landmarks_that_follow_other_pictures_from_some_row_on_are_noticed(first, tmp_path):
    resized_copy(tmp_path, 100, True)
    texts = sorted((tmp_path / "landmarks").glob("train_*"))[first:]
    contents = [text.read_text() for text in texts]
    for text, content in zip(texts, contents[1:] + contents[:1], strict=True):
        text.write_text(content)
    with pytest.raises(ValueError, match="fit other faces as well as their own from train_"):
        data.load("rafdb", tmp_path, "train")


def test_published_counts_are_those_of_the_owners():
    totals = {
        name: {split: sum(counts.values()) for split, counts in data.data_module(name).READER.PUBLISHED.items()}
        for name in ("fer2013", "rafdb", "affectnet")
    }
    assert totals == {
        "fer2013": {"train": 28709, "validation": 3589, "test": 3589},
        "rafdb": {"train": 12271, "test": 3068},
        "affectnet": {"train": 283901, "test": 3500},
    }
