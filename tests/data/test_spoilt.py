# ruff: noqa: E501
"""Copies of each data set with one thing spoilt: the pass names it by its kind and in a sentence, and ``load`` refuses or warns.

``CASES`` has a line for each: the layout, what is done to a sound copy, the kind of the problem and a piece of the sentence.
"""

import builtins
import gzip
import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from palcore.data import find_data_set, load
from palcore.data.opening import open_data_set
from tests.copies import WRITERS, drawn_faces, write_image, write_landmark_file, write_rafdb

PICTURES = {
    "rafdb": "Image/aligned/test_0003_aligned.jpg",
    "affectnet": "val_set/images/2.jpg",
    "fer2013": "test/sad/PrivateTest_4.jpg",
}
LIST, TEXT = "EmoLabel/list_patition_label.txt", "landmarks/test_0003_aligned.txt"
NUMBER, POINTS, TABLE = "val_set/annotations/2_exp.npy", "val_set/annotations/2_lnd.npy", "landmarks.csv.gz"
PICTURE = "Manually_Annotated_Images/2/test0002.jpg"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A sound copy of each layout, drawn once; ``rafdb_table`` has a landmark table."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in [*WRITERS, "rafdb_table"]}
    for layout, (_, write) in WRITERS.items():
        write(folders[layout])
    write_rafdb(folders["rafdb_table"], landmarks="table")
    return folders


@pytest.fixture
def copy(originals, tmp_path, monkeypatch):
    """A function of a layout that gives a copy to spoil, in an empty folder in which nothing else may be left."""
    monkeypatch.chdir(tmp_path)

    def make(layout):
        shutil.copytree(originals[layout], tmp_path / "copy")
        return tmp_path / "copy"

    return make


def named(layout):
    return "rafdb" if layout == "rafdb_table" else WRITERS[layout][0]


def problems_of(layout, folder, **options):
    """Everything that is wrong with a copy, in the order in which it is told."""
    reader, folder = find_data_set(named(layout), folder)
    return open_data_set(reader, folder, None, None, **(reader.OPTIONS | options)).problems


def remove(name):
    return lambda copy: (copy / name).unlink()


def write(name, content):
    return lambda copy: (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def edit(name, change):
    """Another content of a text file, packed or not."""

    def spoil(copy):
        packed = name.endswith(".gz")
        text = gzip.decompress((copy / name).read_bytes()) if packed else (copy / name).read_bytes()
        new = change(text.decode()).encode()
        assert new != text
        (copy / name).write_bytes(gzip.compress(new) if packed else new)

    return spoil


def cut(name, share=0.5):
    return lambda copy: os.truncate(copy / name, int((copy / name).stat().st_size * share))


def line(name, number, change):
    def changed(text):
        lines = text.splitlines()
        lines[number] = change(lines[number])
        return "\n".join(lines) + "\n"

    return edit(name, changed)


def cell(name, number, column, value):
    """Another cell of a row, which is given by its number or by its first cell."""

    def changed(text):
        lines = text.splitlines()
        row = (
            number if isinstance(number, int) else next(place for place, line in enumerate(lines) if line.startswith(f"{number},"))
        )
        cells = lines[row].split(",")
        cells[column] = value(cells[column]) if callable(value) else value
        return "\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]]) + "\n"

    return edit(name, changed)


def array(name, value):
    return lambda copy: np.save(copy / name, value(np.load(copy / name)) if callable(value) else value, allow_pickle=True)


def text_points(change, names=TEXT):
    """Other landmarks, row and column, in some text files."""

    def spoil(copy):
        for path in copy.glob(names):
            np.savetxt(path, change(np.loadtxt(path)), fmt="%g", delimiter="\t")

    return spoil


def table_points(change, name=TABLE, first=2):
    """Other landmarks, x and y, in all rows of a table."""

    def changed(text):
        header, *rows = text.splitlines()
        rows = [row.split(",") for row in rows]
        points = change(np.array([row[first:] for row in rows], float).reshape(-1, 68, 2)).reshape(len(rows), -1)
        rows = [",".join([*row[:first], *map(str, values)]) for row, values in zip(rows, points, strict=True)]
        return "\n".join([header, *rows]) + "\n"

    return edit(name, changed)


def moved(old, new):
    def change(copy):
        (copy / new).parent.mkdir(parents=True, exist_ok=True)
        (copy / old).rename(copy / new)

    return change


def placed(old, new):
    """One file's content in the place of another's."""
    return lambda copy: shutil.copyfile(copy / old, copy / new)


def repaired(name):
    return lambda copy: (copy / name).write_bytes((copy / name).read_bytes()[: (copy / name).stat().st_size // 2] + b"\xff\xd9")


def not_utf8(name):
    return lambda copy: os.rename(os.fsencode(copy / name), os.fsencode((copy / name).parent) + b"/caf\xe9.jpg")


def deeper(copy):
    copy.rename(copy.parent / "inner")
    copy.mkdir()
    (copy.parent / "inner").rename(copy / "inner")


def emptied(name):
    def change(copy):
        for path in (copy / name).iterdir():
            path.unlink()

    return change


def pipe(name):
    return lambda copy: ((copy / name).unlink(), os.mkfifo(copy / name))


def turned(name):
    """The picture on its side, with the tag that says so."""

    def change(copy):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.open(copy / name).transpose(Image.Transpose.ROTATE_90).save(copy / name, exif=exif.tobytes())

    return change


def swapped_cells(text):
    lines = [line.split(",") for line in text.splitlines()]
    for cells in lines[1:]:
        cells[5] = ";".join(np.array(cells[5].split(";")).reshape(68, 2)[:, ::-1].ravel())
    return "\n".join(map(",".join, lines))


def swapped_arrays(copy):
    for path in (copy / "val_set" / "annotations").glob("*_lnd.npy"):
        np.save(path, np.load(path).reshape(68, 2)[:, ::-1].ravel())


TERABYTE = (
    b"\x93NUMPY\x01\x00"
    + struct.pack("<H", 70)
    + b"{'descr': '<f8', 'fortran_order': False, 'shape': (200000000000,), }".ljust(69)
    + b"\n"
)
ORDER = [*range(27, 68), *range(27)][::-1]  # not upright
CASES = {
    # RAF-DB, as its owner ships it.
    "no list": ("rafdb", remove(LIST), "layout", f"no file @/{LIST} for rafdb: data_dir must hold"),
    "no images": ("rafdb", moved("Image/aligned", "Image/cut"), "layout", "no folder @/Image/aligned for rafdb"),
    "a list that is a pipe": ("rafdb", pipe(LIST), "layout", f"@/{LIST} is a pipe or a device"),
    "a list in utf-16": ("rafdb", lambda copy: (copy / LIST).write_text((copy / LIST).read_text(), "utf-16"), "table", "is no text"),
    "an empty list": ("rafdb", write(LIST, ""), "layout", "names no test faces"),
    "a line without label": ("rafdb", line(LIST, 2, lambda text: text.split()[0]), "table", "line 3 of"),
    "a line with another file": ("rafdb", line(LIST, 2, lambda text: "face.jpg 3"), "table", "is 'face.jpg 3'"),
    "a face listed twice": ("rafdb", line(LIST, 29, lambda text: "test_0001.jpg 1"), "repeated", "names test_0001.jpg a second time"),
    "label 8": ("rafdb", line(LIST, 30, lambda text: "test_0003.jpg 8"), "label", "label '8' of test_0003.jpg in line 31"),
    "label 0": ("rafdb", line(LIST, 2, lambda text: "train_00003.jpg 0"), "label", "label '0' of train_00003.jpg"),
    "label 2.5": ("rafdb", line(LIST, 30, lambda text: "test_0003.jpg 2.5"), "label", "label '2.5'"),
    "labels in another order": ("rafdb", edit(LIST, lambda text: many_labels(text)), "label order", "far better in another order of the labels: surprise may be neutral, fear may be surprise"),
    "image missing": ("rafdb", remove(PICTURES["rafdb"]), "image missing", f"no image file @/{PICTURES['rafdb']}"),
    "image cut": ("rafdb", cut(PICTURES["rafdb"], 0.8), "image unreadable", "is cut short or damaged"),
    "image repaired": ("rafdb", repaired(PICTURES["rafdb"]), "image unreadable", "is cut short or damaged"),
    "image of another size": ("rafdb", lambda copy: write_image(copy / PICTURES["rafdb"], drawn_faces("validation", 64)[0][2]), "image size", "has 64x64 pixels: the others have 100x100"),
    "image of one colour": ("rafdb", lambda copy: write_image(copy / PICTURES["rafdb"], np.zeros((100, 100, 3), np.uint8)), "image blank", "one colour all over"),
    "image turned": ("rafdb", turned(PICTURES["rafdb"]), "image unreadable", "stored turned (EXIF orientation 6): save it upright"),
    "a test picture in train": ("rafdb", placed("Image/aligned/train_00003_aligned.jpg", PICTURES["rafdb"]), "copy", "same picture as train_00003.jpg of train"),
    "the same under another label": ("rafdb", placed("Image/aligned/train_00004_aligned.jpg", PICTURES["rafdb"]), "copy", "but labelled disgust, not happiness"),
    "no landmark file": ("rafdb", remove(TEXT), "landmarks missing", f"no landmark file @/{TEXT}"),
    "a landmark file that is a pipe": ("rafdb", pipe(TEXT), "landmarks missing", "is a pipe"),
    "no landmarks at all": ("rafdb", moved("landmarks", "points"), "landmarks missing", "no landmarks.csv.gz in @ for rafdb"),
    "37 landmarks": ("rafdb", text_points(lambda points: points[:37]), "landmarks unreadable", "are 74 numbers: there must be 136"),
    "landmarks in words": ("rafdb", write(TEXT, "left\tright\n" * 68), "landmarks unreadable", "are no numbers"),
    "landmarks that are no text": ("rafdb", write(TEXT, b"\xff\xfe" * 50), "landmarks unreadable", "is no text"),
    "landmarks not finite": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[9], "nan")), "landmarks unreadable", "not finite"),
    "x and y exchanged in one face": ("rafdb", text_points(lambda points: points[:, ::-1]), "landmarks swapped", "in a mirror: x and y are exchanged"),
    "a mirrored face": ("rafdb", text_points(lambda points: [0, 99] + points * [1, -1]), "landmarks swapped", "left and right, or up and down, are exchanged"),
    "landmarks of a larger image": ("rafdb", text_points(lambda points: 4 * points), "landmarks elsewhere", "most lie off the image, around (2.09, 2.01)"),
    "landmarks of a tiny face": ("rafdb", text_points(lambda points: 50 + points / 20), "landmarks elsewhere", "they span"),
    "landmarks of another image": ("rafdb", placed(TEXT.replace("03", "04"), TEXT), "landmarks elsewhere", "exactly those of test_0003.jpg, another picture"),
    "one coordinate of 1e8": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[4], "1e8", 1)), "landmarks elsewhere", "one reaches 1e+06 sides beyond"),
    "one coordinate of 1e300": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[4], "1e300", 1)), "landmarks elsewhere", "are none of a face"),
    "a landmark file of zeros": ("rafdb", write(TEXT, "0\t0\n" * 68), "landmarks elsewhere", "all lie in one place: leave the cells empty"),
    "all of another size": ("rafdb", text_points(lambda points: points / 3, "landmarks/*"), "landmarks elsewhere", "the middle of the face lies at (0.17, 0.18)"),
    "all centred on 0": ("rafdb", text_points(lambda points: points - 50, "landmarks/*"), "landmarks elsewhere", "so they are centred on 0"),
    "all upside down": ("rafdb", text_points(lambda points: [99, 0] + points * [-1, 1], "landmarks/*"), "landmarks swapped", "so y counts upwards"),
    "all in another order": ("rafdb", text_points(lambda points: points[ORDER], "landmarks/*"), "landmarks swapped", "in another order than iBUG's 68"),
    "all with x first": ("rafdb", text_points(lambda points: points[:, ::-1], "landmarks/*"), "landmarks swapped", "rows and columns are exchanged: give landmark_order x_y"),
    "two sources of landmarks": ("rafdb", write("landmarks.csv", ""), "layout", "both @/landmarks and @/landmarks.csv hold landmarks"),
    "one level too high": ("rafdb", deeper, "layout", "@/inner does: give that as data_dir"),
    # In folders.
    "no part": ("rafdb_folders", moved("DATASET/test", "DATASET/tests"), "layout", "no folder @/DATASET/test for rafdb"),
    "no class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/3"), "layout", "no folder @/DATASET/test/3 for rafdb: each part has 1"),
    "an empty class": ("rafdb_folders", emptied("DATASET/test/3"), "layout", "no images in @/DATASET/test/3 for rafdb"),
    "another class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/test/8"), "label", "unknown folder '8' in @/DATASET/test"),
    "a face in two classes": ("rafdb_folders", placed("DATASET/test/1/test_0001_aligned.jpg", "DATASET/test/2/test_0001_aligned.jpg"), "repeated", "@/DATASET/test/2 names test_0001.jpg a second time, after @/DATASET/test/1"),
    "folders one level too high": ("rafdb_folders", deeper, "layout", "does: give that as data_dir"),
    # A landmark table.
    "table: exchanged": ("rafdb_table", table_points(lambda points: points[..., ::-1]), "landmarks swapped", "so rows and columns are exchanged: make the table again"),
    "table: in pixels": ("rafdb_table", table_points(lambda points: points * 100), "landmarks elsewhere", "so they are in pixels"),
    "table: in [-1, 1]": ("rafdb_table", table_points(lambda points: 2 * points - 1), "landmarks elsewhere", "so they are centred on 0"),
    "table: a face lacks": ("rafdb_table", edit(TABLE, lambda text: "\n".join(row for row in text.splitlines() if "test_0003" not in row)), "landmarks missing", "lacks test_0003.jpg: `python -m palcore landmarks` adds it"),
    "table: a face twice": ("rafdb_table", edit(TABLE, lambda text: text + text.splitlines()[-1] + "\n"), "table", "names test_0014.jpg more than once"),
    "table: no name": ("rafdb_table", cell(TABLE, 3, 0, ""), "table", "names no file"),
    "table: not finite": ("rafdb_table", cell(TABLE, "test_0003.jpg", 7, "nan"), "landmarks unreadable", "not finite: correct the row, or set found to 0"),
    "table: not a number": ("rafdb_table", cell(TABLE, "test_0003.jpg", 7, "left"), "landmarks unreadable", "has 'left' for y2 of test_0003.jpg"),
    "table: neither found nor not": ("rafdb_table", cell(TABLE, "test_0003.jpg", 1, "2"), "landmarks unreadable", "column found of landmark table @/landmarks.csv.gz is 2"),
    "table: not 68": ("rafdb_table", edit(TABLE, lambda text: "\n".join(row.rsplit(",", 2)[0] for row in text.splitlines())), "table", "has 136 columns beginning file, found, x0, y0"),
    "table: a row too long": ("rafdb_table", cell(TABLE, 3, 7, "1,2"), "table", "cannot be read ("),
    "table: cut": ("rafdb_table", cut(TABLE), "table", "cannot be read ("),
    "table: not packed": ("rafdb_table", write(TABLE, "file,found"), "table", "cannot be read ("),
    "table: packed zeros": ("rafdb_table", write(TABLE, gzip.compress(bytes(2**26))), "table", "it unpacks to more than"),
    "table: a pipe": ("rafdb_table", pipe(TABLE), "layout", "is a pipe or a device"),
    # AffectNet.
    "affectnet: no part": ("affectnet", moved("val_set", "val"), "layout", "no folder @/val_set/images for affectnet"),
    "affectnet: no annotations": ("affectnet", moved("val_set/annotations", "val_set/labels"), "layout", "no folder @/val_set/annotations"),
    "affectnet: image missing": ("affectnet", remove(PICTURES["affectnet"]), "image missing", "no image file @/val_set/images/2.jpg"),
    "affectnet: image cut": ("affectnet", cut(PICTURES["affectnet"]), "image unreadable", "is cut short or damaged"),
    "affectnet: image repaired": ("affectnet", repaired(PICTURES["affectnet"]), "image unreadable", "is cut short or damaged"),
    "affectnet: two images of a face": ("affectnet", placed(PICTURES["affectnet"], "val_set/images/2.png"), "table", "both 2.jpg and 2.png in @/val_set/images"),
    "affectnet: a name that is not utf-8": ("affectnet", not_utf8(PICTURES["affectnet"]), "table", "is not UTF-8: rename the file"),
    "affectnet: no expression": ("affectnet", remove(NUMBER), "label missing", f"no annotation @/{NUMBER}"),
    "affectnet: an expression that is a pipe": ("affectnet", pipe(NUMBER), "label missing", "is a pipe"),
    "affectnet: expression 11": ("affectnet", array(NUMBER, np.array("11")), "label", f"label '11' of val_set/images/2.jpg in @/{NUMBER}"),
    "affectnet: expression 1.5": ("affectnet", array(NUMBER, np.array(1.5)), "label", "label '1.5'"),
    "affectnet: a word": ("affectnet", array(NUMBER, np.array("sad")), "label", "label 'sad'"),
    "affectnet: two expressions": ("affectnet", array(NUMBER, np.array([1, 2])), "label", "has 2 values"),
    "affectnet: an object": ("affectnet", array(NUMBER, np.array({"a": 1})), "label", "it holds objects"),
    "affectnet: expression cut": ("affectnet", cut(NUMBER), "label", "must be a whole .npy file"),
    "affectnet: no landmarks": ("affectnet", remove(POINTS), "landmarks missing", f"no annotation @/{POINTS}"),
    "affectnet: landmarks cut": ("affectnet", cut(POINTS), "landmarks unreadable", "must be a whole .npy file"),
    "affectnet: a claim of a terabyte": ("affectnet", write(POINTS, TERABYTE), "landmarks unreadable", "of 1,600,000,000,000"),
    "affectnet: 10 numbers": ("affectnet", array(POINTS, np.zeros(10)), "landmarks unreadable", "are 10 numbers: there must be 136"),
    "affectnet: not finite": ("affectnet", array(POINTS, np.full(136, np.inf)), "landmarks unreadable", "not finite"),
    "affectnet: words": ("affectnet", array(POINTS, np.full(136, "x")), "landmarks unreadable", "are no numbers"),
    "affectnet: zeros": ("affectnet", array(POINTS, np.zeros(136)), "landmarks elsewhere", "all lie in one place"),
    "affectnet: 1e8": ("affectnet", array(POINTS, np.array([1e8] + [60.0] * 135)), "landmarks elsewhere", "one reaches 4.46e+05 sides"),
    "affectnet: exchanged in one face": ("affectnet", array(POINTS, lambda values: values.reshape(68, 2)[:, ::-1].ravel()), "landmarks swapped", "x and y are exchanged"),
    "affectnet: exchanged in all": ("affectnet", swapped_arrays, "landmarks swapped", "rows and columns are exchanged"),
    "affectnet: another face's": ("affectnet", placed(POINTS, POINTS.replace("2_", "3_")), "landmarks elsewhere", "exactly those of val_set/images/2.jpg"),
    "affectnet: a test picture in train": ("affectnet", placed("train_set/images/9.jpg", PICTURES["affectnet"]), "copy", "same picture as train_set/images/9.jpg"),
    "affectnet: one level too high": ("affectnet", deeper, "layout", "@/inner does: give that as data_dir"),
    # Its older form.
    "tables: none": ("affectnet_csv", remove("validation.csv"), "layout", "no file @/validation.csv for affectnet"),
    "tables: no pictures": ("affectnet_csv", moved("Manually_Annotated_Images", "pictures"), "layout", "no folder @/Manually_Annotated_Images"),
    "tables: a column lacks": ("affectnet_csv", edit("validation.csv", lambda text: text.replace("face_x", "x", 1)), "table", "lacks the column 'face_x'"),
    "tables: another one": ("affectnet_csv", write("validation.csv", "a,b\n1,2\n"), "table", "has 2 columns"),
    "tables: expression 12": ("affectnet_csv", cell("validation.csv", 3, 6, "12"), "label", "label '12' of 2/test0002.jpg in row 2"),
    "tables: 3 landmarks": ("affectnet_csv", cell("validation.csv", 3, 5, "1;2;3"), "landmarks unreadable", "row 2 of @/validation.csv are 3 numbers"),
    "tables: no landmarks": ("affectnet_csv", cell("validation.csv", 3, 5, ""), "landmarks unreadable", "are 0 numbers"),
    "tables: words": ("affectnet_csv", cell("validation.csv", 3, 5, "a;b"), "landmarks unreadable", "are no numbers"),
    "tables: not finite": ("affectnet_csv", cell("validation.csv", 3, 5, ";".join(["nan"] * 136)), "landmarks unreadable", "not finite"),
    "tables: 1e8": ("affectnet_csv", cell("validation.csv", 3, 5, ";".join(["1e8"] + ["60"] * 135)), "landmarks elsewhere", "one reaches 8.33e+05 sides"),
    "tables: exchanged in all": ("affectnet_csv", edit("validation.csv", swapped_cells), "landmarks swapped", "rows and columns are exchanged"),
    "tables: a box outside": ("affectnet_csv", cell("validation.csv", 3, 1, "400"), "face box", "(400, 14, 120, 120) of 2/test0002.jpg in row 2"),
    "tables: a box without number": ("affectnet_csv", cell("validation.csv", 3, 1, "NULL"), "face box", "(NULL, 14, 120, 120)"),
    "tables: a box of 1e9": ("affectnet_csv", cell("validation.csv", 3, 3, "1e9"), "face box", "lies outside its picture"),
    "tables: picture unreadable": ("affectnet_csv", write(PICTURE, "<html>"), "image unreadable", "cannot be read as an image"),
    "tables: picture missing": ("affectnet_csv", remove(PICTURE), "image missing", "no image file @/Manually_Annotated_Images/2/test0002.jpg"),
    "tables: picture turned": ("affectnet_csv", turned(PICTURE), "image unreadable", "stored turned (EXIF orientation 6)"),
    "tables: a null byte": ("affectnet_csv", cell("validation.csv", 3, 0, "2/a\0b.jpg"), None, ""),
    "tables: too long a name": ("affectnet_csv", cell("validation.csv", 3, 0, "2" * 300 + "/a.jpg"), "image unreadable", "File name too long"),
    "tables: outside the folder": ("affectnet_csv", cell("validation.csv", 3, 0, "../../secret.jpg"), "table", "row 2 of @/validation.csv names ../../secret.jpg, which lies outside"),
    "tables: with a backslash": ("affectnet_csv", cell("validation.csv", 3, 0, r"1\..\..\secret.jpg"), "table", "names 1/../../secret.jpg, which lies outside"),
    "tables: an absolute path": ("affectnet_csv", cell("validation.csv", 3, 0, "/etc/secret.jpg"), "table", "names /etc/secret.jpg, which lies outside"),
    "tables: a drive": ("affectnet_csv", cell("validation.csv", 3, 0, r"C:\secret.jpg"), "table", "names C:/secret.jpg, which lies outside"),
    "tables: one level too high": ("affectnet_csv", deeper, "layout", "@/inner does: give that as data_dir"),
    # FER2013.
    "fer2013: no split": ("fer2013", moved("test", "tests"), "layout", "no folder @/test for fer2013"),
    "fer2013: no class": ("fer2013", moved("test/sad", "sad"), "layout", "no folder @/test/sad for fer2013: each part has angry"),
    "fer2013: an empty class": ("fer2013", emptied("train/fear"), "layout", "no images in @/train/fear for fer2013"),
    "fer2013: another class": ("fer2013", lambda copy: (copy / "test" / "bored").mkdir(), "label", "unknown folder 'bored' in @/test"),
    "fer2013: image cut": ("fer2013", cut(PICTURES["fer2013"], 0.8), "image unreadable", "is cut short or damaged"),
    "fer2013: image of another size": ("fer2013", lambda copy: write_image(copy / PICTURES["fer2013"], np.eye(96, dtype=np.uint8)), "image size", "has 96x96 pixels: the others have 48x48"),
    "fer2013: a name that is not utf-8": ("fer2013", not_utf8(PICTURES["fer2013"]), "table", "is not UTF-8: rename the file"),
    "fer2013: no table": ("fer2013", remove(TABLE), "landmarks missing", "no landmarks.csv.gz in @ for fer2013"),
    "fer2013: mirrored into train": ("fer2013", lambda copy: cv2.imwrite(str(next((copy / "train/sad").iterdir())), cv2.imread(str(copy / PICTURES["fer2013"]))[:, ::-1]), "near copy", "is the mirror image of train/sad/"),
    "fer2013: one level too high": ("fer2013", deeper, "layout", "@/inner does: give that as data_dir"),
    "csv: emotion 7": ("fer2013_csv", cell("fer2013.csv", 45, 0, "7"), "label", "label '7' of fer2013.csv:44 in row 44"),
    "csv: no emotion": ("fer2013_csv", cell("fer2013.csv", 45, 0, ""), "label", "label '' of fer2013.csv:44"),
    "csv: emotion 1e400": ("fer2013_csv", cell("fer2013.csv", 45, 0, "1e400"), "label", "label '1e400'"),
    "csv: three pixels": ("fer2013_csv", cell("fer2013.csv", 45, 1, "1 2 3"), "image unreadable", "row 44 of @/fer2013.csv does not have 2304"),
    "csv: pixels too bright": ("fer2013_csv", cell("fer2013.csv", 45, 1, " ".join(["256"] * 2304)), "image unreadable", "whole numbers from 0 to 255"),
    "csv: unknown usage": ("fer2013_csv", cell("fer2013.csv", 45, 2, "Secret"), "label", "Usage 'Secret' in row 44"),
    "csv: a column lacks": ("fer2013_csv", edit("fer2013.csv", lambda text: text.replace("Usage", "Use", 1)), "table", "lacks the column 'Usage'"),
    "csv: a row removed": ("fer2013_csv", edit("fer2013.csv", lambda text: "".join(text.splitlines(True)[:5] + text.splitlines(True)[6:])), "landmarks elsewhere", "has 1 rows that the data set lacks, fer2013.csv:55 first"),
    "csv: one level too high": ("fer2013_csv", deeper, "layout", "@/inner does: give that as data_dir"),
}  # fmt: skip
"""What is wrong: the layout, what makes it so, the kind, and a piece of the sentence, in which ``@`` is the copy's folder."""


def many_labels(text):
    """28 training faces in about the owner's shares, each under the number after its own."""
    lines, labels = text.splitlines(), np.repeat([2, 3, 4, 5, 6, 7, 1], [3, 2, 2, 9, 4, 2, 6])
    train = [f"{line.split()[0]} {label}" for line, label in zip(lines, labels, strict=False)]
    return "\n".join([*train, *lines[len(labels) :]]) + "\n"


def refused_or_warned(layout, folder, problem, split):
    """``load`` raises what refuses the data set, warns of what biases a run, and says nothing of notes."""
    if problem.level == "refused":
        with pytest.raises(
            FileNotFoundError if problem.kind == "layout" or problem.kind.endswith("missing") else ValueError
        ) as said:
            load(named(layout), folder, split)
        assert str(said.value).startswith(problem.sentence)
    elif problem.level in ("bias", "loss"):
        with pytest.warns(UserWarning, match=named(layout)):
            load(named(layout), folder, split)
    else:
        load(named(layout), folder, split)


@pytest.mark.parametrize("case", CASES)
def test_what_is_spoilt_is_named(case, copy):
    layout, change, kind, pattern = CASES[case]
    folder = copy(layout)
    change(folder)
    problems = [problem for problem in problems_of(layout, folder) if problem.kind != "counts"]
    assert problems
    first = min(problems, key=lambda problem: problem.level != "refused")
    if kind is None:  # older versions of pandas end a cell at a null byte
        assert first.kind in ("table", "image missing")
        return
    told = [problem for problem in problems if problem.kind == kind and pattern.replace("@", str(folder)) in problem.sentence]
    assert told, [problem.sentence for problem in problems]
    assert all("\n" not in problem.sentence for problem in problems)
    # The cause is told first and at most the faces that it costs besides.
    assert told[0] is first or first.level != told[0].level, first.sentence
    refused_or_warned(layout, folder, told[0], told[0].split or "test")
    assert {path.name for path in folder.parent.iterdir()} <= {"copy", "runs"}


def png(width, height, rows=None):
    """A whole PNG file of one colour that takes a few kilobytes, whatever its size."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    row = zlib.compressobj(9)
    lines = b"".join(row.compress(bytes(1 + (width + 7) // 8)) for _ in range(rows or height)) + row.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(40 * 2**30)


def locked(path):
    path.write_bytes(b"")
    path.chmod(0)


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(/tmp/made-by-ghostscript) (w) file closefile\nshowpage\n"
)
ANY = {
    "12,000 x 12,000 pixels in a few kilobytes": (lambda path: path.write_bytes(png(12_000, 12_000)), "@ has 12000x12000 pixels"),
    "60,000 x 60,000 pixels": (lambda path: path.write_bytes(png(60_000, 60_000, 1)), "@ has too many pixels"),
    "20,000 pixels wide": (lambda path: path.write_bytes(png(20_000, 1)), "@ has 20000x1 pixels"),
    "a file of 40 GB": (sparse, "has 42,949,672,960 bytes: at most"),
    "an empty file": (lambda path: path.write_bytes(b""), "@ cannot be read as an image"),
    "a text": (lambda path: path.write_text("<html>404</html>"), "@ cannot be read as an image"),
    "an EPS file": (lambda path: path.write_bytes(EPS), "@ cannot be read as an image (JPEG, PNG, BMP, WEBP)"),
    "a folder": (lambda path: path.mkdir(), "@ is a folder and no image file"),
    "a pipe": (os.mkfifo, "@ is a pipe or a device and no image file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "@ is a pipe or a device and no image file"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere.jpg"), "@ is a link to a file that is not there"),
    "a circle of links": (lambda path: path.symlink_to(path.name), "@ cannot be read (Too many levels of symbolic links)"),
}
"""In the place of a picture of any data set; ``@`` is the picture."""


@pytest.mark.parametrize("layout", PICTURES)
@pytest.mark.parametrize("case", ANY)
def test_a_picture_that_is_none_is_named_without_being_decoded(case, layout, copy, monkeypatch):
    folder, (make, sentence) = copy(layout), ANY[case]
    path = folder / PICTURES[layout]
    path.unlink()
    make(path)
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda content, flags: decode(content, flags) if len(content) > 10_000 else 1 / 0)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        load(layout, folder, "test")
    assert sentence.replace("@", str(path)) in str(refused.value)
    assert not Path("/tmp/made-by-ghostscript").exists()


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("rafdb", PICTURES["rafdb"]), ("rafdb", LIST), ("rafdb", TEXT), ("fer2013", "test/sad"), ("fer2013", TABLE),
        ("fer2013", PICTURES["fer2013"]), ("fer2013_csv", "fer2013.csv"), ("affectnet", POINTS), ("affectnet", "val_set/images"),
        ("affectnet_csv", "validation.csv"),
    ],
)  # fmt: skip
def test_a_missing_permission_is_told_from_a_broken_file(layout, file, copy, monkeypatch):
    """As for someone without permission: tests may run as one who has all."""
    folder = copy(layout)

    def guarded(real):
        def opening(place, *rest, **options):
            if not isinstance(place, int) and str(place) == str(folder / file):
                raise PermissionError(13, "Permission denied", str(place))
            return real(place, *rest, **options)

        return opening

    for module, name in ((os, "scandir"), (os, "listdir"), (builtins, "open")):
        monkeypatch.setattr(module, name, guarded(getattr(module, name)))
    with pytest.raises(ValueError, match=f"no permission to read {folder / file}: change its mode or owner"):
        load(named(layout), folder, "test")


@pytest.mark.parametrize(
    "layout, inner",
    [("fer2013", "test"), ("rafdb", "Image"), ("affectnet", "val_set"), ("affectnet_csv", "Manually_Annotated_Images")],
)
def test_a_folder_too_deep_is_told_where_it_is(layout, inner, copy):
    folder = copy(layout)
    with pytest.raises(FileNotFoundError, match=f"; {folder} does: give that as data_dir"):
        load(named(layout), folder / inner, "test")


def test_a_file_outside_the_folder_is_never_opened(copy, monkeypatch):
    folder, opened, stat = copy("affectnet_csv"), [], os.stat
    write_image(folder.parent / "secret.jpg", drawn_faces("test", 120)[0][0])
    cell("validation.csv", 3, 0, "../../secret.jpg")(folder)
    monkeypatch.setattr(os, "stat", lambda path, **options: opened.append(str(path)) or stat(path, **options))
    with pytest.raises(ValueError, match="lies outside"):
        load("affectnet", folder, "test")
    assert opened and not any("secret" in path for path in opened)


def test_all_that_is_wrong_is_said_at_once_and_each_face_once(copy):
    folder = copy("rafdb")
    for change in (
        line(LIST, 30, lambda text: "test_0003.jpg 8"),
        remove("Image/aligned/test_0005_aligned.jpg"),
        cut("Image/aligned/test_0006_aligned.jpg"),
        write("landmarks/test_0007_aligned.txt", "1 2\n"),
        text_points(lambda points: points[:, ::-1], "landmarks/test_0008*"),
    ):
        change(folder)
    told = [(problem.kind, problem.file) for problem in problems_of("rafdb", folder) if problem.kind != "counts"]
    assert told == [
        ("label", "test_0003.jpg"),
        ("image missing", "test_0005.jpg"),
        ("image unreadable", "test_0006.jpg"),
        ("landmarks unreadable", "test_0007.jpg"),
        ("landmarks swapped", "test_0008.jpg"),
    ]
    with pytest.raises(ValueError, match=r"label '8' .* \(3 more: `python -m palcore check` lists all\)"):
        load("rafdb", folder, "train")  # whichever split is asked for


def test_a_wrong_folder_has_one_cause(copy):
    folder = copy("fer2013")
    problems = problems_of("fer2013", folder / "test" / "sad")
    assert [problem.kind for problem in problems] == ["layout"] * 2
    assert str(folder) in problems[0].sentence and "give that as data_dir" in problems[0].sentence


def test_some_faces_on_their_side_are_not_a_swapped_table(copy):
    folder = copy("rafdb")
    for name in ("test_0001_aligned.txt", "test_0002_aligned.txt"):
        write_landmark_file(folder / "landmarks" / name, drawn_faces("test", 100)[2][0][:, ::-1] + 0.001 * len(name))
    with pytest.warns(UserWarning, match="in a mirror: x and y are exchanged"):
        assert len(load("rafdb", folder, "test")) == 14


def test_too_few_faces_for_a_validation_split(copy):
    folder = copy("rafdb")
    lines = (folder / LIST).read_text().splitlines()
    (folder / LIST).write_text("\n".join([*lines[:2], lines[7], *lines[28:]]))
    with pytest.raises(ValueError, match="no validation split of rafdb: class . has a single face"):
        load("rafdb", folder, "train")


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"landmark_order": "columns"}, "landmark_order 'columns' of dataset rafdb: choose from row_column, x_y"),
        ({"undetected": "drop"}, "undetected 'drop' of dataset rafdb: choose from keep, leave_out"),
        ({"labels": "ferplus"}, "unknown option 'labels' of dataset rafdb: choose from image_size"),
        ({"landmarks": "nowhere.csv"}, "no landmark table nowhere.csv: check the path"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, pattern, copy):
    with pytest.raises((ValueError, FileNotFoundError), match=pattern):
        load("rafdb", copy("rafdb"), "test", **options)


def test_a_sound_copy_loads_without_a_word(copy):
    folder = copy("rafdb")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load("rafdb", folder, "test")) == 14
