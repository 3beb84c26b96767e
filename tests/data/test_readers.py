"""What is read from each layout is what was drawn, and stands where its owner says."""

import gzip
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from palcore import EMOTIONS, data
from palcore.data.fer2013 import USAGES, VOTES, cell_pixels
from palcore.data.landmark_table import append_rows
from palcore.data.readers import SPLITS
from tests.copies import WRITERS, drawn_faces, write_affectnet_csv, write_image, write_landmark_file, write_table

ROUNDING = {"rafdb": 0.5, "rafdb_folders": 0.5, "affectnet": 1e-3, "affectnet_csv": 0.01, "fer2013": 0.01, "fer2013_csv": 0.01}
"""Largest distance of a coordinate from where it was drawn, in pixels of the owner's image."""


def decoded(face):
    """The face in its file as OpenCV sees it."""
    if face.path.suffix == ".csv":
        return face.image
    (x, y), side = face.corner, len(face.image)
    return cv2.imread(str(face.path))[y : y + side, x : x + side, ::-1]


def points_of(drawn, faces):
    return np.stack([drawn[file].landmarks for file in faces.files])


@pytest.mark.parametrize("layout", WRITERS)
def test_each_layout_gives_the_faces_that_were_drawn(layout, copy, drawn):
    name, folder, seen = WRITERS[layout][0], copy(layout), []
    for split in SPLITS:
        faces = data.load(name, folder, split)
        wanted = [drawn(layout)[file] for file in faces.files]
        assert {face.part for face in wanted} <= {split, "train"}
        assert faces.labels.tolist() == [face.label for face in wanted]
        side = len(wanted[0].image)
        assert np.abs(faces.landmarks - points_of(drawn(layout), faces)).max() * side <= ROUNDING[layout] + 1e-3
        images = replace(faces.images, size=side)[:]
        np.testing.assert_array_equal(images, [decoded(face) for face in wanted])
        assert np.abs(images.astype(int) - np.stack([face.image for face in wanted])).mean() < 6
        assert faces.images.size == data.data_module(name).READER.SIDE
        assert set(faces.counts().values()) == {len(faces) // 7}
        seen += faces.files.tolist()
    assert sorted(seen) == sorted(drawn(layout))


def test_the_validation_split_is_the_same_whatever_else_is_asked_for(copy, drawn, tmp_path):
    folder = copy("rafdb")
    usual = data.load("rafdb", folder, "validation")
    write_table(tmp_path / "table.csv", drawn("rafdb"))
    for options in ({"image_size": 32}, {"landmarks": tmp_path / "table.csv"}):
        assert data.load("rafdb", folder, "validation", **options).files.tolist() == usual.files.tolist()
    shutil.rmtree(folder)
    assert data.load("rafdb", copy("rafdb_folders"), "validation").fingerprint() == usual.fingerprint()


def test_published_counts_are_those_of_the_owners():
    for name, totals in {"fer2013": [28709, 3589, 3589], "rafdb": [12271, 3068], "affectnet": [283901, 3500]}.items():
        published = data.data_module(name).READER.PUBLISHED
        assert [sum(counts.values()) for counts in published.values()] == totals


@pytest.mark.parametrize(
    ("separator", "decimals", "order"),
    [("\t", 0, "row_column"), (" ", 3, "x_y"), ("   ", 1, "row_column"), ("\t ", 6, "x_y")],
)
def test_landmark_files_in_every_form(separator, decimals, order, copy, drawn):
    folder = copy("rafdb")
    for name, face in drawn("rafdb").items():
        path = folder / "landmarks" / name.replace(".jpg", "_aligned.txt")
        write_landmark_file(path, face.landmarks, separator=separator, decimals=decimals, order=order)
    faces = data.load("rafdb", folder, "test", landmark_order=order)
    assert np.abs(faces.landmarks - points_of(drawn("rafdb"), faces)).max() * 100 <= 0.5 * 10.0**-decimals + 1e-4


def test_landmarks_outside_the_image_are_kept_and_can_be_left_out(copy):
    folder = copy("rafdb")
    path = folder / "landmarks" / "test_0001_aligned.txt"
    path.write_text("\n".join(["-14\t109", *path.read_text().splitlines()[1:]]))
    faces = data.load("rafdb", folder, "test")
    np.testing.assert_allclose(faces.landmarks[faces.files.tolist().index("test_0001.jpg"), 0], [1.095, -0.135], atol=1e-6)
    without = data.load("rafdb", folder, "test", landmarks=False)
    assert len(without) == 14 and np.isnan(without.landmarks).all()
    with pytest.raises(FileNotFoundError, match="no landmark table nowhere.csv: check the path"):
        data.load("rafdb", folder, "test", landmarks="nowhere.csv")


@pytest.mark.parametrize("place", ["given folder", "inside DATASET", "basic", "backslashes"])
def test_where_rafdb_landmarks_lie(place, copy, drawn, tmp_path):
    """Beside the pictures is where all other tests have them; a table that is given is read in ``test_index.py``."""
    layout = {"inside DATASET": "rafdb_folders", "backslashes": "rafdb_table"}.get(place, "rafdb")
    folder, options = copy(layout), {}
    if place == "inside DATASET":
        (folder / "landmarks").rename(folder / "DATASET" / "landmarks")
        folder = folder / "DATASET"
    elif place == "basic":
        folder = folder.rename(tmp_path / "basic").parent
    elif place == "backslashes":  # the image files' names, as Windows writes them
        names = [rf"Image\aligned\{face.path.name}" for face in drawn(layout).values()]
        (folder / "landmarks.csv.gz").unlink()
        append_rows(folder / "landmarks.csv", names, [1] * len(names), [face.landmarks for face in drawn(layout).values()])
    else:
        options = {"landmarks": str((folder / "landmarks").rename(tmp_path / "elsewhere"))}
    faces = data.load("rafdb", folder, "test", **options)
    assert np.abs(faces.landmarks - points_of(drawn(layout), faces)).max() * 100 <= 0.51


@pytest.mark.parametrize(("separator", "header"), [(";", False), (" ", True), ("; ", False)])
def test_the_tables_of_affectnet_with_either_separator_without_a_header_and_in_their_folder(separator, header, tmp_path):
    drawn = write_affectnet_csv(tmp_path, separator=separator, header=header)
    if header:
        lists = tmp_path / "Manually_Annotated_file_lists"
        lists.mkdir()
        for name in ("training.csv", "validation.csv"):
            (tmp_path / name).rename(lists / name)
    faces = data.load("affectnet", tmp_path, "test")
    assert len(faces) == 14 and np.abs(faces.landmarks - points_of(drawn, faces)).max() * 120 < 0.011


def test_affectnet_annotations_may_be_numbers_or_text_in_pixels_of_their_own_image(copy, drawn):
    folder, file = copy("affectnet"), "val_set/images/3.jpg"
    for number, path in enumerate(sorted((folder / "val_set" / "annotations").glob("*_lnd.npy"))):
        points = np.load(path).reshape(68, 2)
        np.save(path, points.astype(str) if number % 2 else np.asfortranarray(points, np.float32))
        expression = path.with_name(path.name.replace("_lnd", "_exp"))
        np.save(expression, np.load(expression).astype(float) if number % 2 else np.load(expression))
    face = drawn("affectnet")[file]
    cv2.imwrite(str(folder / file), cv2.resize(cv2.imread(str(face.path)), (448, 112)))
    np.save(folder / "val_set" / "annotations" / "3_lnd.npy", (face.landmarks * [448, 112] - 0.5).ravel())
    faces = data.load("affectnet", folder, "test")
    assert faces.labels.tolist() == [drawn("affectnet")[file].label for file in faces.files]
    np.testing.assert_allclose(faces.landmarks, points_of(drawn("affectnet"), faces), atol=1e-5)


def test_a_face_box_beyond_its_picture_and_two_faces_of_one_picture(copy, drawn):
    folder = copy("affectnet_csv")
    table = folder / "validation.csv"
    header, first, *lines = table.read_text().splitlines()
    name, x, y, rest = first.split(",", 3)
    second, place, other = lines[0].split(",", 2)
    lines += [f"{second},{int(place) + 1},{other}", lines[1]]
    table.write_text("\n".join([header, f"{name},-30,-10,{rest}", *lines]))
    with pytest.warns(UserWarning, match="row 19 of .*validation.csv names .* a second time, after row 2"):
        faces = data.load("affectnet", folder, "test")
    names = [name for name, face in drawn("affectnet_csv").items() if face.part == "test"]
    assert sorted(faces.files) == sorted([*names, f"{second}#2"]) and faces.dropped["repeated"] == 1
    row, face = faces.files.tolist().index(name), drawn("affectnet_csv")[name]
    image, picture = replace(faces.images, size=120)[row], cv2.imread(str(face.path))[..., ::-1]
    np.testing.assert_array_equal(image[10:, 30:], picture[:110, :90])
    np.testing.assert_array_equal(image[:10, 30:], np.repeat(picture[:1, :90], 10, axis=0))
    np.testing.assert_allclose(faces.landmarks[row], face.landmarks + [(int(x) + 30) / 120, (int(y) + 10) / 120], atol=1e-3)


def test_missing_pictures_of_the_tables_are_left_out_up_to_a_share(copy, drawn, monkeypatch):
    folder, pictures = copy("affectnet_csv"), "Manually_Annotated_Images"
    before = data.load("affectnet", folder, "validation").files.tolist()
    names = {part: [name for name, face in drawn("affectnet_csv").items() if face.part == part] for part in ("train", "test")}
    gone = names["test"][0]
    (folder / pictures / gone).unlink()
    with pytest.raises(FileNotFoundError, match=f"no image file {folder / pictures / gone}"):
        data.load("affectnet", folder, "test")
    monkeypatch.setattr(type(data.affectnet.READER), "MISSING_SHARE", 0.1)
    (folder / pictures / next(name for name in names["train"] if name not in before)).unlink()
    with pytest.warns(UserWarning, match=f"affectnet test: no image file {folder / pictures / gone}"):
        faces = data.load("affectnet", folder, "test")
    assert gone not in faces.files and len(faces) == 13 and faces.dropped["image missing"] == 1
    assert data.load("affectnet", folder, "validation").files.tolist() == before  # whoever is held out


def test_a_data_set_of_one_s_own_has_the_faces_that_its_reader_names(tmp_path, monkeypatch):
    """The recipe of CONTRIBUTING.md, as it stands there."""
    recipe = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text().partition("   ```python\n")[2].partition("   ```\n")[0]
    (tmp_path / "mine.py").write_text(textwrap.dedent(recipe))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(data.DATASETS, "mine", "mine")
    images, names, folder = {}, {}, tmp_path / "copy"
    for part in ("train", "test"):
        for number, (image, label, points) in enumerate(zip(*drawn_faces(part, 48), strict=True)):
            name = f"{part}/{EMOTIONS[label]}/{number}.png"
            write_image(folder / name, image)
            images[name], names[name] = image, points
    append_rows(folder / "landmarks.csv.gz", list(names), [1] * len(names), list(names.values()))
    for split, count in zip(SPLITS, (21, 7, 14), strict=True):
        faces = data.load("mine", folder, split)
        assert len(faces) == count and [EMOTIONS[label] for label in faces.labels] == [file.split("/")[1] for file in faces.files]
        np.testing.assert_array_equal(faces.images[:], [images[name] for name in faces.files])
        np.testing.assert_allclose(faces.landmarks, [names[name] for name in faces.files], atol=1e-5)


def hidden_files(folder):
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.jpg"):
            (inner / name).write_bytes(b"\0\5\x16\7Mac OS X")
        (inner / ".ipynb_checkpoints").mkdir()


def with_suffix(suffix):
    def change(folder):
        for path in list(folder.rglob("*.jpg")):
            image = cv2.imread(str(path))
            path.unlink()
            write_image(path.with_suffix(suffix.lower()), image[..., ::-1])
            path.with_suffix(suffix.lower()).rename(path.with_suffix(suffix))

    return change


def from_another_system(folder):
    table = folder / "validation.csv"
    (folder / "Validation.csv.gz").write_bytes(gzip.compress(table.read_text().replace("/", "\\").encode()))
    table.unlink()


def renamed_csv(name):
    def change(folder):
        text = (folder / "fer2013.csv").read_text()
        if "icml" in name:  # other order of columns, a space before their names
            lines = [line.split(",") for line in text.splitlines()]
            text = "\n".join(f"{emotion}, {usage}, {pixels}" for emotion, pixels, usage in lines)
        (folder / "fer2013.csv").unlink()
        (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())

    return change


def merged(folder):
    for path in list((folder / "validation").rglob("*.jpg")):
        path.rename(folder / "test" / path.parent.name / path.name)
    shutil.rmtree(folder / "validation")


FINE = [
    *[(layout, hidden_files) for layout in ("rafdb_folders", "affectnet", "fer2013")],
    *[("rafdb", with_suffix(suffix)) for suffix in (".png", ".JPG", ".WEBP", ".bmp")],
    *[(layout, with_suffix(".jpeg")) for layout in ("affectnet", "affectnet_csv")],
    ("affectnet_csv", from_another_system),
    *[("fer2013_csv", renamed_csv(name)) for name in ("icml_face_data.csv", "icml_face_data.csv.gz", "fer2013.csv.gz")],
    ("fer2013", merged),
]


@pytest.mark.parametrize("case", range(len(FINE)))
def test_what_is_fine_all_the_same(case, copy):
    layout, change = FINE[case]
    name, folder = WRITERS[layout][0], copy(layout)
    before = [data.load(name, folder, split) for split in SPLITS]
    pixels = [faces.images[:].astype(int) for faces in before]
    change(folder)
    for split, was, image in zip(SPLITS, before, pixels, strict=True):
        faces = data.load(name, folder, split)
        np.testing.assert_array_equal(faces.labels, was.labels)
        np.testing.assert_array_equal(faces.landmarks, was.landmarks)
        assert np.abs(faces.images[:].astype(int) - image).mean() < 3


def test_pixels_that_are_anything_but_whole_numbers_up_to_255_are_none():
    values = np.random.default_rng(1).integers(0, 256, 2304)
    text = " ".join(map(str, values))
    np.testing.assert_array_equal(cell_pixels(f" {text} ", "row 0").ravel(), values)
    rest = text.split(" ", 1)[1]
    odd = [f"{cell} {rest}" for cell in ("256", "-1", "1.5", "x", "", "\u0663", "1_0", "1 1")]
    for cell in [*odd, f"{rest} 1.5", f"{text} x", ""]:
        with pytest.raises(ValueError, match="row 0 does not have 2304 whole numbers from 0 to 255"):
            cell_pixels(cell, "row 0")


def votes(**counts):
    return [counts.get(name, 0) for name in VOTES]


def write_ferplus(folder, drawn, cells):
    """Nine votes for each face's own label but for ``cells``, ``{row: votes}``."""
    own = [votes(**{EMOTIONS[face.label]: 9, "unknown": 1}) for face in drawn.values()]
    table = pd.DataFrame([cells.get(row, ten) for row, ten in enumerate(own)], columns=VOTES)
    table.insert(0, "Usage", [USAGES[face.part] for face in drawn.values()])
    table.insert(1, "Image name", [f"fer{row:07d}.png" for row in range(len(table))])
    table.to_csv(folder / "fer2013new.csv", index=False)


def test_more_than_half_of_all_votes_make_a_label_and_faces_without_one_are_counted(copy, drawn):
    folder = copy("fer2013_csv")
    cells = {
        0: votes(fear=9, neutral=1), 1: votes(NF=10), 2: votes(contempt=6, anger=4), 3: votes(anger=5, sadness=5),
        4: votes(unknown=8),
        5: votes(anger=5, fear=4),  # five of nine: one voter is missing
        6: votes(sadness=4, fear=3, disgust=3),
        7: votes(surprise=5, unknown=4, NF=1),  # votes for no expression count among all
        50: votes(disgust=6, anger=4), 51: votes(fear=5, anger=5),
    }  # fmt: skip
    write_ferplus(folder, drawn("fer2013_csv"), cells)
    train, validation, test = (data.load("fer2013", folder, split, labels="ferplus") for split in SPLITS)
    assert train.dropped == {"contempt": 1, "unknown": 1, "no face": 1, "no majority": 3} and test.dropped == {"no majority": 1}
    assert [len(faces) for faces in (train, validation, test)] == [22, 14, 13]
    other = {"fer2013.csv:0": "fear", "fer2013.csv:5": "anger", "fer2013.csv:50": "disgust"}
    for faces in (train, test):
        own = [EMOTIONS[drawn("fer2013_csv")[name].label] for name in faces.files]
        wanted = [other.get(name, emotion) for name, emotion in zip(faces.files, own, strict=True)]
        assert [EMOTIONS[label] for label in faces.labels] == wanted
    for options in ({}, {"labels": "own"}):  # the owner's unless asked for
        faces = data.load("fer2013", folder, "train", **options)
        assert faces.labels.tolist() == [drawn("fer2013_csv")[name].label for name in faces.files] and faces.dropped == {}


def resized_copy(folder, side, in_owner_s_pixels):
    """RAF-DB's copy with 210 and 140 faces, pictures resized; landmarks in pixels of these, or left as they were."""
    for part, count in (("train", 210), ("test", 140)):
        for number, (image, label, points) in enumerate(zip(*drawn_faces(part, 100, count), strict=True), start=1):
            stem = f"{part}_{number:05d}_aligned"
            write_image(folder / "DATASET" / part / str(label + 1) / f"{stem}.jpg", cv2.resize(image, (side, side)))
            write_landmark_file(folder / "landmarks" / f"{stem}.txt", points, 100 if in_owner_s_pixels else side, decimals=1)


def test_landmarks_in_pixels_of_the_owner_s_images_are_refused_where_those_have_another_size(tmp_path):
    resized_copy(tmp_path, 128, True)
    with pytest.raises(ValueError, match="have 128x128 pixels .*, and they lie better on these as pixels of the owner's"):
        data.load("rafdb", tmp_path, "test")
    shutil.rmtree(tmp_path / "DATASET")
    resized_copy(tmp_path, 90, False)
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
