# ruff: noqa: E501
"""Copies of each data set with one thing spoilt: the pass names it by its kind and in a sentence, and ``load`` refuses or warns.

``CASES`` has a line for each: the layout, what is done to a sound copy, the kind of the problem and a piece of the sentence.
"""

import gzip
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from palcore.data import find_data_set, load
from palcore.data.landmark_table import append_rows
from palcore.data.opening import open_data_set
from study.landmarks import read_landmark_table
from tests.copies import drawn_faces, write_image
from tests.data.conftest import LAYOUTS
from tests.data.test_readers import write_ferplus

PICTURES = {"rafdb": "Image/aligned/test_0003_aligned.jpg", "affectnet": "val_set/images/2.jpg"}
LIST, TEXT = "EmoLabel/list_patition_label.txt", "landmarks/test_0003_aligned.txt"
NUMBER, POINTS, TABLE = "val_set/annotations/2_exp.npy", "val_set/annotations/2_lnd.npy", "landmarks.csv.gz"


def problems_of(layout, folder):
    """Everything that is wrong with a copy, in the order in which it is told."""
    reader, folder = find_data_set(LAYOUTS[layout][0], folder)
    return open_data_set(reader, folder, None, None, **reader.OPTIONS).problems


def on(change):
    """A way of spoiling a file or folder, made from a function of its path."""
    return lambda name, *values: lambda copy: change(copy / name, *values)


remove = on(lambda path: path.unlink())
write = on(lambda path, content: path.write_bytes(content if isinstance(content, bytes) else content.encode()))
cut = on(lambda path, share=0.5: os.truncate(path, int(path.stat().st_size * share)))
repaired = on(lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff\xd9"))
emptied = on(lambda path: [inner.unlink() for inner in path.iterdir()])
not_utf8 = on(lambda path: os.rename(os.fsencode(path), os.fsencode(path.parent) + b"/caf\xe9.jpg"))
array = on(lambda path, value: np.save(path, value, allow_pickle=True))
of_a_terabyte = on(lambda path: path.write_bytes(path.read_bytes().replace(b"(136,), }         ", b"(200000000000,), }")))


def edit(name, change):
    """Another content of a text file, packed or not."""

    def spoil(copy):
        content = (copy / name).read_bytes()
        text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
        new = change(text)
        assert new != text
        (copy / name).write_bytes(gzip.compress(new.encode()) if name.endswith(".gz") else new.encode())

    return spoil


def line(name, number, change):
    """Another line of a text file, given by its number or by what it begins with."""

    def changed(text):
        lines = text.splitlines()
        place = number if isinstance(number, int) else next(row for row, text in enumerate(lines) if text.startswith(number))
        return "\n".join([*lines[:place], change(lines[place]), *lines[place + 1 :]]) + "\n"

    return edit(name, changed)


def without_row(name, number):
    return edit(name, lambda text: "".join(text.splitlines(True)[:number] + text.splitlines(True)[number + 1 :]))


def cell(name, number, column, value):
    def changed(text):
        cells = text.split(",")
        return ",".join([*cells[:column], value, *cells[column + 1 :]])

    return line(name, number, changed)


def text_points(change, names=TEXT):
    """Other landmarks, row and column, in some text files."""
    return lambda copy: [np.savetxt(path, change(np.loadtxt(path)), "%g", "\t") for path in copy.glob(names)]


def exchanged(path):
    """Each landmark of a table with y first."""
    files, found, points = read_landmark_table(path)
    path.unlink()
    append_rows(path, files, found, points[..., ::-1])


def moved(old, new):
    return lambda copy: ((copy / new).parent.mkdir(parents=True, exist_ok=True), (copy / old).rename(copy / new))


def placed(old, new):
    """One file's content in the place of another's."""
    return lambda copy: shutil.copyfile(copy / old, copy / new)


def deeper(copy):
    copy.rename(copy.parent / "inner")
    copy.mkdir()
    (copy.parent / "inner").rename(copy / "inner")


def turned(path):
    """The picture on its side, with the tag that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif.tobytes())


def few_lines(text):
    """Three training faces, of which one is the only one of its class."""
    lines = text.splitlines()
    return "\n".join([*lines[:2], lines[7], *lines[28:]])


def many_labels(text):
    """28 training faces in about the owner's shares, each under the number after its own."""
    lines, labels = text.splitlines(), np.repeat([2, 3, 4, 5, 6, 7, 1], [3, 2, 2, 9, 4, 2, 6])
    train = [f"{line.split()[0]} {label}" for line, label in zip(lines, labels, strict=False)]
    return "\n".join([*train, *lines[len(labels) :]]) + "\n"


ORDER = [*range(27, 68), *range(27)][::-1]  # not upright
FACE = "DATASET/test/3/test_0003"

CASES = {
    # RAF-DB, as its owner ships it.
    "no list": ("rafdb", remove(LIST), "layout", f"no file @/{LIST} for rafdb: data_dir must hold"),
    "a list without test faces": ("rafdb", edit(LIST, lambda text: "".join(row for row in text.splitlines(True) if "test" not in row)), "layout", "names no test faces: it must have lines"),
    "a list in utf-16": ("rafdb", lambda copy: (copy / LIST).write_text((copy / LIST).read_text(), "utf-16"), "table", "is no text"),
    "a line with another file": ("rafdb", line(LIST, 2, lambda text: "face.jpg 3"), "table", "is 'face.jpg 3'"),
    "a face listed twice": ("rafdb", line(LIST, 29, lambda text: "test_0001.jpg 1"), "repeated", "names test_0001.jpg a second time"),
    "label 8": ("rafdb", line(LIST, 30, lambda text: "test_0003.jpg 8"), "label", "label '8' of test_0003.jpg in line 31"),
    "labels in another order": ("rafdb", edit(LIST, many_labels), "label order", "far better in another order of the labels: surprise may be neutral, fear may be surprise"),
    "too few for a validation split": ("rafdb", edit(LIST, few_lines), "label", "no validation split of rafdb: class "),
    "image missing": ("rafdb", remove(PICTURES["rafdb"]), "image missing", f"no image file @/{PICTURES['rafdb']}"),
    "image cut": ("rafdb", cut(PICTURES["rafdb"], 0.8), "image unreadable", "is cut short or damaged"),
    "image repaired": ("rafdb", repaired(PICTURES["rafdb"]), "image unreadable", "is cut short or damaged"),
    "image of another size": ("rafdb", lambda copy: write_image(copy / PICTURES["rafdb"], drawn_faces("validation", 64)[0][2]), "image size", "has 64x64 pixels: the others have 100x100"),
    "image of one colour": ("rafdb", lambda copy: write_image(copy / PICTURES["rafdb"], np.zeros((100, 100, 3), np.uint8)), "image blank", "one colour all over"),
    "image turned": ("rafdb", on(turned)(PICTURES["rafdb"]), "image unreadable", "stored turned (EXIF orientation 6): save it upright"),
    "the same under another label": ("rafdb", placed("Image/aligned/train_00004_aligned.jpg", PICTURES["rafdb"]), "copy", "but labelled disgust, not happiness"),
    "no landmark file": ("rafdb", remove(TEXT), "landmarks missing", f"no landmark file @/{TEXT}"),
    "no landmarks at all": ("rafdb", moved("landmarks", "points"), "landmarks missing", "no landmarks.csv.gz in @ for rafdb"),
    "37 landmarks": ("rafdb", text_points(lambda points: points[:37]), "landmarks unreadable", "are 74 numbers: there must be 136"),
    "landmarks in words": ("rafdb", write(TEXT, "left\tright\n" * 68), "landmarks unreadable", "are no numbers"),
    "landmarks of another image": ("rafdb", placed(TEXT.replace("03", "04"), TEXT), "landmarks elsewhere", "exactly those of test_0003.jpg, another picture"),
    "one coordinate of 1e8": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[4], "1e8", 1)), "landmarks elsewhere", "one reaches 1e+06 sides beyond"),
    "all of another size": ("rafdb", text_points(lambda points: points / 3, "landmarks/*"), "landmarks elsewhere", "the middle of the face lies at (0.17, 0.18)"),
    "all upside down": ("rafdb", text_points(lambda points: [99, 0] + points * [-1, 1], "landmarks/*"), "landmarks swapped", "so y counts upwards"),
    "all in another order": ("rafdb", text_points(lambda points: points[ORDER], "landmarks/*"), "landmarks swapped", "in another order than iBUG's 68"),
    "all with x first": ("rafdb", text_points(lambda points: points[:, ::-1], "landmarks/*"), "landmarks swapped", "rows and columns are exchanged: give landmark_order x_y"),
    "two sources of landmarks": ("rafdb", write("landmarks.csv", ""), "layout", "both @/landmarks and @/landmarks.csv hold landmarks"),
    "one level too high": ("rafdb", deeper, "layout", "@/inner does: give that as data_dir"),
    # In folders.
    "no part": ("rafdb_folders", moved("DATASET/test", "DATASET/tests"), "layout", "no folder @/DATASET/test for rafdb"),
    "a face twice in its folder": ("rafdb_folders", placed(f"{FACE}_aligned.jpg", f"{FACE}.png"), "repeated", "a second time, after @/DATASET/test/3"),
    "no class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/3"), "layout", "no folder @/DATASET/test/3 for rafdb: each part has 1"),
    "an empty class": ("rafdb_folders", emptied("DATASET/test/3"), "layout", "no images in @/DATASET/test/3 for rafdb"),
    "another class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/test/8"), "label", "unknown folder '8' in @/DATASET/test"),
    # A landmark table.
    "table: exchanged": ("rafdb_table", on(exchanged)(TABLE), "landmarks swapped", "so rows and columns are exchanged: make the table again"),
    "table: a face lacks": ("rafdb_table", edit(TABLE, lambda text: "\n".join(row for row in text.splitlines() if "test_0003" not in row)), "landmarks missing", "lacks test_0003.jpg: `python -m study.landmarks` adds it"),
    "table: a face twice": ("rafdb_table", edit(TABLE, lambda text: text + text.splitlines()[-1] + "\n"), "table", "names test_0014.jpg more than once"),
    "table: no name": ("rafdb_table", cell(TABLE, 3, 0, ""), "table", "names no file"),
    "table: not finite": ("rafdb_table", cell(TABLE, "test_0003.jpg", 7, "nan"), "landmarks unreadable", "not finite: correct the row, or set found to 0"),
    "table: not a number": ("rafdb_table", cell(TABLE, "test_0003.jpg", 7, "left"), "landmarks unreadable", "has 'left' for y2 of test_0003.jpg"),
    "table: neither found nor not": ("rafdb_table", cell(TABLE, "test_0003.jpg", 1, "2"), "landmarks unreadable", "column found of landmark table @/landmarks.csv.gz is 2"),
    "table: not 68": ("rafdb_table", edit(TABLE, lambda text: "\n".join(row.rsplit(",", 2)[0] for row in text.splitlines())), "table", "has 136 columns beginning file, found, x0, y0"),
    "table: cut": ("rafdb_table", cut(TABLE), "table", "cannot be read ("),
    # AffectNet.
    "affectnet: no annotations": ("affectnet", moved("val_set/annotations", "val_set/labels"), "layout", "no folder @/val_set/annotations"),
    "affectnet: two images of a face": ("affectnet", placed(PICTURES["affectnet"], "val_set/images/2.png"), "table", "both 2.jpg and 2.png in @/val_set/images"),
    "affectnet: a name that is not utf-8": ("affectnet", not_utf8(PICTURES["affectnet"]), "table", "is not UTF-8: rename the file"),
    "affectnet: no expression": ("affectnet", remove(NUMBER), "label missing", f"no annotation @/{NUMBER}"),
    "affectnet: two expressions": ("affectnet", array(NUMBER, np.array([1, 2])), "label", "has 2 values"),
    "affectnet: an object": ("affectnet", array(NUMBER, np.array({"a": 1})), "label", "Object arrays cannot be loaded"),
    "affectnet: no landmarks": ("affectnet", remove(POINTS), "landmarks missing", f"no annotation @/{POINTS}"),
    "affectnet: landmarks cut": ("affectnet", cut(POINTS), "landmarks unreadable", "must be a whole .npy file"),
    "affectnet: a claim of a terabyte": ("affectnet", of_a_terabyte(POINTS), "landmarks unreadable", "cannot be read ("),
    "affectnet: not finite": ("affectnet", array(POINTS, np.full(136, np.inf)), "landmarks unreadable", "not finite"),
    # Its older form.
    "tables: no pictures": ("affectnet_csv", moved("Manually_Annotated_Images", "pictures"), "layout", "no folder @/Manually_Annotated_Images"),
    "tables: a column lacks": ("affectnet_csv", edit("validation.csv", lambda text: text.replace("face_x", "x", 1)), "table", "lacks the column 'face_x'"),
    "tables: another one": ("affectnet_csv", write("validation.csv", "a,b\n1,2\n"), "table", "has 2 columns"),
    "tables: a box outside": ("affectnet_csv", cell("validation.csv", 3, 1, "400"), "face box", "(400, 14, 120, 120) of 2/test0002.jpg in row 2"),
    "tables: a box without number": ("affectnet_csv", cell("validation.csv", 3, 1, "NULL"), "face box", "(NULL, 14, 120, 120)"),
    "tables: too long a name": ("affectnet_csv", cell("validation.csv", 3, 0, "2" * 300 + "/a.jpg"), "image unreadable", "File name too long"),
    "tables: with a backslash": ("affectnet_csv", cell("validation.csv", 3, 0, r"1\..\..\secret.jpg"), "table", "names 1/../../secret.jpg, which lies outside"),
    "tables: an absolute path": ("affectnet_csv", cell("validation.csv", 3, 0, "/etc/secret.jpg"), "table", "names /etc/secret.jpg, which lies outside"),
    "tables: a drive": ("affectnet_csv", cell("validation.csv", 3, 0, r"C:\secret.jpg"), "table", "names C:/secret.jpg, which lies outside"),
    # FER2013.
    "csv: three pixels": ("fer2013_csv", cell("fer2013.csv", 45, 1, "1 2 3"), "image unreadable", "row 44 of @/fer2013.csv does not have 2304"),
    "csv: unknown usage": ("fer2013_csv", cell("fer2013.csv", 45, 2, "Secret"), "label", "Usage 'Secret' in row 44"),
    "csv: a row removed": ("fer2013_csv", without_row("fer2013.csv", 5), "landmarks elsewhere", "has 1 rows that the data set lacks, fer2013.csv:55 first"),
}  # fmt: skip
"""What is wrong: the layout, what makes it so, the kind, and a piece of the sentence, in which ``@`` is the copy's folder."""


def refused_or_warned(layout, folder, problem):
    """``load`` raises what refuses the data set, warns of what biases a run, and says nothing of notes."""
    name, split = LAYOUTS[layout][0], problem.split or "test"
    if problem.level == "refused":
        with pytest.raises(problem.error) as said:
            load(name, folder, split)
        assert str(said.value).startswith(problem.sentence)
    elif problem.level in ("bias", "loss"):
        with pytest.warns(UserWarning, match=name):
            load(name, folder, split)
    else:
        load(name, folder, split)


@pytest.mark.parametrize("case", CASES)
def test_what_is_spoilt_is_named(case, copy):
    layout, change, kind, pattern = CASES[case]
    folder = copy(layout)
    change(folder)
    problems = [problem for problem in problems_of(layout, folder) if problem.kind != "counts"]
    assert problems
    first = min(problems, key=lambda problem: problem.level != "refused")
    told = [problem for problem in problems if problem.kind == kind and pattern.replace("@", str(folder)) in problem.sentence]
    assert told, [problem.sentence for problem in problems]
    assert all("\n" not in problem.sentence for problem in problems)
    # The cause is told first and at most the faces that it costs besides.
    assert told[0] is first or first.level != told[0].level, first.sentence
    refused_or_warned(layout, folder, told[0])
    assert {path.name for path in folder.parent.iterdir()} <= {"copy", "runs"}


@pytest.mark.parametrize("name", ["scandir", "listdir"])
def test_a_folder_that_may_not_be_read_is_named(name, copy, monkeypatch):
    """As for someone without permission: tests may run as one who has all. ``tests/test_files.py`` has the same of files."""
    folder, real = copy("fer2013"), getattr(os, name)

    def guarded(place="."):
        if str(place) == str(folder / "test" / "sad"):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, name, guarded)
    with pytest.raises(ValueError, match=f"no permission to read {folder}/test/sad: change its mode or owner"):
        load("fer2013", folder, "test")


@pytest.mark.parametrize(
    "layout, inner",
    [("fer2013", "test/sad"), ("rafdb", "Image"), ("affectnet", "val_set"), ("affectnet_csv", "Manually_Annotated_Images")],
)
def test_a_folder_too_deep_is_told_where_it_is_and_once(layout, inner, copy):
    folder = copy(layout)
    problems = problems_of(layout, folder / inner)
    assert [problem.kind for problem in problems] == ["layout"] * len(problems) and len(problems) <= 4
    assert sum(f"; {folder} does: give that as data_dir" in problem.sentence for problem in problems) == 1


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
    told = [(problem.kind, problem.row) for problem in problems_of("rafdb", folder) if problem.kind != "counts"]
    kinds = ("label", "image missing", "image unreadable", "landmarks unreadable", "landmarks swapped")
    assert told == list(zip(kinds, (30, 32, 33, 34, 35), strict=True))
    with pytest.raises(ValueError, match=r"label '8' .* \(3 more: `python -m palcore check rafdb` lists all\)"):
        load("rafdb", folder, "train")  # whichever split is asked for


FERPLUS = {
    "none": (remove("fer2013new.csv"), "no labels ferplus for fer2013 in @: FER+'s fer2013new.csv must lie beside fer2013.csv"),
    "a row removed": (without_row("fer2013new.csv", 30), "has 55 rows and fer2013.csv 56, and not the same ones"),
    "a column lacks": (edit("fer2013new.csv", lambda text: text.replace(",NF", ",N", 1)), "lacks the column 'NF': it has Usage"),
    "a word": (cell("fer2013new.csv", 1, 6, "ten"), "has 'ten' for anger in row 0: it must be a number of votes"),
    "an empty file": (write("fer2013new.csv", ""), "@/fer2013new.csv cannot be read (No columns to parse from file)"),
}


@pytest.mark.parametrize("case", FERPLUS)
def test_votes_that_cannot_be_those_of_the_faces_are_refused_where_they_are_asked_for(case, copy, drawn):
    folder, (change, sentence) = copy("fer2013_csv"), FERPLUS[case]
    write_ferplus(folder, drawn("fer2013_csv"), {})
    change(folder)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        load("fer2013", folder, "validation", labels="ferplus")
    assert sentence.replace("@", str(folder)) in str(refused.value)
    assert len(load("fer2013", folder, "validation")) == 14


def test_votes_in_another_order_are_noticed(copy, drawn, monkeypatch):
    folder, (first, *others) = copy("fer2013_csv"), drawn("fer2013_csv").values()
    monkeypatch.setattr("palcore.data.faults.FEWEST", 10)
    write_ferplus(folder, dict(enumerate([*others[:27], first, *others[27:]])), {})
    with pytest.raises(ValueError, match="agree with the owner's in 0% of 28 faces of train: the rows are in another order"):
        load("fer2013", folder, "train", labels="ferplus")
