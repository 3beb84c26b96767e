# ruff: noqa: E501
"""Everything that can be wrong with a real data set: the sentence it is refused with, which the list of all problems has too.

``@`` in a sentence stands for the copy's folder.
"""

import gzip

import cv2
import numpy as np
import pytest

from palcore import data
from palcore.data.listing import KINDS
from tests.copies import WRITERS, write_landmark_file, write_rafdb

LIST = "EmoLabel/list_patition_label.txt"
IMAGE = "Image/aligned/test_0003_aligned.jpg"
TEXT = "landmarks/test_0003_aligned.txt"
RAFDB = (
    "data_dir must hold Image/aligned/ and EmoLabel/list_patition_label.txt, or DATASET/train/1/ to 7/ and DATASET/test/1/ to 7/"
)
AFFECTNET = "data_dir must hold train_set/ and val_set/, or training.csv, validation.csv and Manually_Annotated_Images/"
CSV_COLUMNS = "subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks, expression"


def remove(name):
    return lambda copy: (copy / name).unlink()


def write(name, content):
    return lambda copy: (copy / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def cut(name, share=0.5):
    """Keep the beginning of a file."""

    def change(copy):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[: int(share * len(content))])

    return change


def replaced(name, old, new):
    def change(copy):
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new, 1))

    return change


def line(name, number, edit):
    """Change one line of a text, counted from 0."""

    def change(copy):
        lines = (copy / name).read_text().splitlines()
        lines[number] = edit(lines[number])
        (copy / name).write_text("\n".join(lines) + "\n")

    return change


def cell(name, number, column, value):
    def edit(text):
        cells = text.split(",")
        cells[column] = value
        return ",".join(cells)

    return line(name, number, edit)


def array(name, value):
    return lambda copy: np.save(copy / name, value, allow_pickle=True)


def moved(old, new):
    def change(copy):
        (copy / new).parent.mkdir(parents=True, exist_ok=True)
        (copy / old).rename(copy / new)

    return change


def resized(name, width, height):
    def change(copy):
        cv2.imwrite(str(copy / name), cv2.resize(cv2.imread(str(copy / name)), (width, height)))

    return change


def texts_of_another_size(copy):
    for path in (copy / "landmarks").glob("test_*"):
        values = np.loadtxt(path)
        np.savetxt(path, values / 3, fmt="%.2f", delimiter="\t")


def tables_swapped(copy):
    for name in ("validation.csv", "training.csv"):
        lines = (copy / name).read_text().splitlines()
        for number, text in enumerate(lines[1:], start=1):
            cells = text.split(",")
            cells[5] = ";".join(";".join(pair[::-1]) for pair in np.array(cells[5].split(";")).reshape(68, 2).tolist())
            lines[number] = ",".join(cells)
        (copy / name).write_text("\n".join(lines))


def lnd_swapped(copy):
    for path in (copy / "val_set" / "annotations").glob("*_lnd.npy"):
        np.save(path, np.load(path).reshape(68, 2)[:, ::-1].ravel())


def table(edit, pixels=False):
    """Change the lines of the landmark table."""

    def change(copy):
        with gzip.open(copy / "landmarks.csv.gz", "rt") as file:
            lines = file.read().splitlines()
        with gzip.open(copy / "landmarks.csv.gz", "wt") as file:
            file.write("\n".join(edit(lines)))

    return change


def table_cell(name, column, value):
    def edit(lines):
        for number, text in enumerate(lines):
            cells = text.split(",")
            if cells[0] == name:
                cells[column] = value
                lines[number] = ",".join(cells)
        return lines

    return table(edit)


def table_as_rows_and_columns(lines):
    rows = [text.split(",") for text in lines]
    for row in rows[1:]:
        row[2:] = np.array(row[2:]).reshape(68, 2)[:, ::-1].ravel().tolist()
    return [",".join(row) for row in rows]


def table_in_pixels(lines):
    rows = [text.split(",") for text in lines]
    for row in rows[1:]:
        row[2:] = [f"{100 * float(value):.2f}" for value in row[2:]]
    return [",".join(row) for row in rows]


# fmt: off
CASES = {
    # RAF-DB as its owners ship it.
    "rafdb: no images": ("rafdb", moved("Image/aligned", "Image/original"), f"no @/Image/aligned for rafdb: {RAFDB}"),
    "rafdb: no list": ("rafdb", remove(LIST), f"no @/{LIST} for rafdb: {RAFDB}"),
    "rafdb: list is no text": ("rafdb", write(LIST, b"\xff\xfe\x00\xd8"), f"@/{LIST} is no text: it must have lines such as `train_00001.jpg 5`"),
    "rafdb: list is empty": ("rafdb", write(LIST, ""), f"@/{LIST} names no test faces: it must have lines such as `test_00001.jpg 5`"),
    "rafdb: a line without label": ("rafdb", line(LIST, 2, lambda text: text.split()[0]), f"line 3 of @/{LIST} is 'train_00003.jpg': it must be such as `train_00001.jpg 5`"),
    "rafdb: a line with another file": ("rafdb", line(LIST, 2, lambda text: "x.jpg 3"), f"line 3 of @/{LIST} is 'x.jpg 3': it must be such as `train_00001.jpg 5`"),
    "rafdb: label out of range": ("rafdb", line(LIST, 30, lambda text: "test_0003.jpg 8"), f"label 8 of test_0003.jpg in line 31 of @/{LIST}: it must be a whole number from 1 to 7"),
    "rafdb: label 0": ("rafdb", line(LIST, 4, lambda text: "train_00005.jpg 0"), f"label 0 of train_00005.jpg in line 5 of @/{LIST}: it must be a whole number from 1 to 7"),
    "rafdb: label is no number": ("rafdb", line(LIST, 30, lambda text: "test_0003.jpg sad"), f"label sad of test_0003.jpg in line 31 of @/{LIST}: it must be a whole number from 1 to 7"),
    "rafdb: a face listed twice": ("rafdb", line(LIST, 30, lambda text: "test_0001.jpg 2"), f"line 31 of @/{LIST} names test_0001.jpg a second time: remove a line"),
    "rafdb: image missing": ("rafdb", remove(IMAGE), f"no image file @/{IMAGE}: check data_dir"),
    "rafdb: image empty": ("rafdb", write(IMAGE, b""), f"@/{IMAGE} cannot be read as an image: replace the file, or remove its row"),
    "rafdb: image unreadable": ("rafdb", write(IMAGE, "<html>"), f"@/{IMAGE} cannot be read as an image: replace the file, or remove its row"),
    "rafdb: image truncated": ("rafdb", cut(IMAGE), f"@/{IMAGE} is cut short or damaged: replace the file, or remove its row"),
    "rafdb: image of another size": ("rafdb", resized(IMAGE, 64, 48), "image test_0003.jpg of rafdb has 64x48 pixels: the others have 100x100"),
    "rafdb: landmarks missing": ("rafdb", remove(TEXT), f"no landmark file @/{TEXT}: `python -m palcore landmarks` makes a table instead"),
    "rafdb: no landmarks at all": ("rafdb", moved("landmarks", "points"), "no landmarks/ and no landmarks.csv.gz in @ for rafdb: give their path as landmarks, or make a table with `python -m palcore landmarks rafdb`"),
    "rafdb: landmarks not 68": ("rafdb", line(TEXT, 67, lambda text: ""), f"landmark file @/{TEXT} has 67 lines: it must have 68, of two numbers each"),
    "rafdb: landmarks empty": ("rafdb", write(TEXT, ""), f"landmark file @/{TEXT} has 0 lines: it must have 68, of two numbers each"),
    "rafdb: one number in a line": ("rafdb", line(TEXT, 9, lambda text: "12"), f"landmark file @/{TEXT} has a line that is not two numbers: it must have 68 lines of two"),
    "rafdb: landmarks are words": ("rafdb", line(TEXT, 9, lambda text: "a\tb"), f"landmark file @/{TEXT} has a line that is not two numbers: it must have 68 lines of two"),
    "rafdb: landmarks not finite": ("rafdb", line(TEXT, 9, lambda text: "nan\t3"), f"landmark file @/{TEXT} has a number that is not finite: correct it"),
    "rafdb: landmarks are no text": ("rafdb", write(TEXT, b"\xff\xd8\xff\xe0"), f"landmark file @/{TEXT} is no text: it must have 68 lines of two numbers"),
    "rafdb: landmarks of another size": ("rafdb", texts_of_another_size, "landmarks in @/landmarks read as row_column: the middle of the face lies at (0.17, 0.18) of the image's sides, so the landmarks are in pixels of another image size"),
    "rafdb: two sources of landmarks": ("rafdb", write("landmarks.csv", ""), "both @/landmarks and @/landmarks.csv hold landmarks of rafdb: give the path of one as landmarks"),
    # The common copies.
    "rafdb_folders: no part": ("rafdb_folders", moved("DATASET/test", "DATASET/tests"), f"no folder @/DATASET/test for rafdb: {RAFDB}"),
    "rafdb_folders: no class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/3"), "no folder @/DATASET/test/3 for rafdb: each part has 1 to 7"),
    "rafdb_folders: another class": ("rafdb_folders", moved("DATASET/test/3", "DATASET/test/8"), "unknown folder '8' in @/DATASET/test: those of rafdb are 1 to 7 (1 more: `python -m palcore check rafdb` lists all)"),
    "rafdb_folders: a face in two classes": ("rafdb_folders", lambda copy: (copy / "DATASET/test/2/test_0001_aligned.jpg").write_bytes((copy / "DATASET/test/1/test_0001_aligned.jpg").read_bytes()), "test_0001.jpg lies in @/DATASET/test/1 and in @/DATASET/test/2: a face has one label"),
    # A landmark table.
    "table: swapped": ("rafdb_table", table(table_as_rows_and_columns), "landmark table @/landmarks.csv.gz: the chin lies below the brows in 0% of 14 faces, so rows and columns are exchanged: make the table again"),
    "table: in pixels": ("rafdb_table", table(table_in_pixels), "landmarks in @/landmarks.csv.gz reach 86.59, which are not fractions of the image's sides: make the table again"),
    "table: a face lacks": ("rafdb_table", table(lambda lines: [text for text in lines if not text.startswith("test_0003.jpg")]), "landmark table @/landmarks.csv.gz lacks test_0003.jpg: `python -m palcore landmarks` adds it"),
    "table: a face twice": ("rafdb_table", table(lambda lines: [*lines, lines[-1]]), "landmark table @/landmarks.csv.gz names test_0014.jpg more than once: remove a row"),
    "table: not finite": ("rafdb_table", table_cell("test_0003.jpg", 7, "nan"), "landmarks of test_0003.jpg in @/landmarks.csv.gz are not finite: correct or remove the row"),
    "table: not a number": ("rafdb_table", table_cell("test_0003.jpg", 7, "left"), "landmark table @/landmarks.csv.gz has 'left' for y2 of test_0003.jpg: it must be a number"),
    "table: neither found nor not": ("rafdb_table", table_cell("test_0003.jpg", 1, "2"), "column found of landmark table @/landmarks.csv.gz is 2 for test_0003.jpg: it must be 0 or 1"),
    "table: not 68": ("rafdb_table", table(lambda lines: [text.rsplit(",", 2)[0] for text in lines]), "landmark table @/landmarks.csv.gz has 136 columns beginning file, found, x0, y0: it must have 138, file, found (or detected), x0, y0, ... x67, y67"),
    "table: cut short": ("rafdb_table", cut("landmarks.csv.gz"), "landmark table @/landmarks.csv.gz cannot be read (Compressed file ended before the end-of-stream marker was reached): it must be a whole .csv or .csv.gz file"),
    # AffectNet.
    "affectnet: no part": ("affectnet", moved("val_set", "val"), f"no folder @/val_set/images for affectnet: {AFFECTNET} (1 more: `python -m palcore check affectnet` lists all)"),
    "affectnet: no annotations": ("affectnet", moved("val_set/annotations", "val_set/labels"), f"no folder @/val_set/annotations for affectnet: {AFFECTNET}"),
    "affectnet: image missing": ("affectnet", remove("val_set/images/3.jpg"), "no image file @/val_set/images/3.jpg: check data_dir"),
    "affectnet: image truncated": ("affectnet", cut("val_set/images/3.jpg"), "@/val_set/images/3.jpg is cut short or damaged: replace the file, or remove its row"),
    "affectnet: image unreadable": ("affectnet", write("val_set/images/3.jpg", "<html>"), "@/val_set/images/3.jpg cannot be read as an image: replace the file, or remove its row"),
    "affectnet: expression missing": ("affectnet", remove("val_set/annotations/3_exp.npy"), "no annotation @/val_set/annotations/3_exp.npy for affectnet: each face needs one"),
    "affectnet: expression out of range": ("affectnet", array("val_set/annotations/3_exp.npy", np.array("11")), "expression 11 in @/val_set/annotations/3_exp.npy: it must be one whole number from 0 to 10"),
    "affectnet: expression between classes": ("affectnet", array("val_set/annotations/3_exp.npy", np.array(1.5)), "expression 1.5 in @/val_set/annotations/3_exp.npy: it must be one whole number from 0 to 10"),
    "affectnet: expression is a word": ("affectnet", array("val_set/annotations/3_exp.npy", np.array("sad")), "expression sad in @/val_set/annotations/3_exp.npy: it must be one whole number from 0 to 10"),
    "affectnet: several expressions": ("affectnet", array("val_set/annotations/3_exp.npy", np.array([1, 2])), "expression 2 values in @/val_set/annotations/3_exp.npy: it must be one whole number from 0 to 10"),
    "affectnet: expression is an object": ("affectnet", array("val_set/annotations/3_exp.npy", np.array({"a": 1})), "annotation @/val_set/annotations/3_exp.npy cannot be read (Object arrays cannot be loaded when allow_pickle=False): it must be a whole .npy file"),
    "affectnet: expression truncated": ("affectnet", cut("val_set/annotations/3_exp.npy", 0.5), "annotation @/val_set/annotations/3_exp.npy cannot be read (EOF: reading array header, expected 118 bytes got 56): it must be a whole .npy file"),
    "affectnet: landmarks missing": ("affectnet", remove("val_set/annotations/3_lnd.npy"), "no annotation @/val_set/annotations/3_lnd.npy for affectnet: each face needs one"),
    "affectnet: landmarks truncated": ("affectnet", cut("val_set/annotations/3_lnd.npy"), "annotation @/val_set/annotations/3_lnd.npy cannot be read (EOF: reading array data, expected 544 bytes got 208): it must be a whole .npy file"),
    "affectnet: landmarks not 68": ("affectnet", array("val_set/annotations/3_lnd.npy", np.zeros(10)), "landmarks in @/val_set/annotations/3_lnd.npy are 10 numbers: there must be 136, x0 y0 x1 y1 ..."),
    "affectnet: landmarks not finite": ("affectnet", array("val_set/annotations/3_lnd.npy", np.full(136, np.inf)), "landmarks in @/val_set/annotations/3_lnd.npy have a number that is not finite: correct it"),
    "affectnet: landmarks are words": ("affectnet", array("val_set/annotations/3_lnd.npy", np.full(136, "x")), "landmarks in @/val_set/annotations/3_lnd.npy are no numbers: there must be 136"),
    "affectnet: landmarks swapped": ("affectnet", lnd_swapped, "landmarks of affectnet test: the chin lies below the brows in 0% of 14 faces, so rows and columns are exchanged: make the table again"),
    "affectnet_csv: no table": ("affectnet_csv", remove("validation.csv"), f"no validation.csv in @ for affectnet: {AFFECTNET}"),
    "affectnet_csv: no pictures": ("affectnet_csv", moved("Manually_Annotated_Images", "pictures"), f"no folder @/Manually_Annotated_Images for affectnet: {AFFECTNET}"),
    "affectnet_csv: a column lacks": ("affectnet_csv", replaced("validation.csv", "face_x", "x"), f"@/validation.csv lacks the column 'face_x': it has {CSV_COLUMNS}, ..."),
    "affectnet_csv: another table": ("affectnet_csv", write("validation.csv", "a,b\n1,2\n"), f"@/validation.csv has 2 columns: it has {CSV_COLUMNS}, ..."),
    "affectnet_csv: expression out of range": ("affectnet_csv", cell("validation.csv", 3, 6, "12"), "expression 12 of 2/test0002.jpg in row 2 of @/validation.csv: it must be in 0..10"),
    "affectnet_csv: landmarks not 68": ("affectnet_csv", cell("validation.csv", 3, 5, "1;2;3"), "landmarks in row 2 of @/validation.csv are 3 numbers: there must be 136, x0 y0 x1 y1 ..."),
    "affectnet_csv: landmarks missing": ("affectnet_csv", cell("validation.csv", 3, 5, ""), "landmarks in row 2 of @/validation.csv are 0 numbers: there must be 136, x0 y0 x1 y1 ..."),
    "affectnet_csv: landmarks are words": ("affectnet_csv", cell("validation.csv", 3, 5, "a;b"), "landmarks in row 2 of @/validation.csv are no numbers: there must be 136"),
    "affectnet_csv: landmarks not finite": ("affectnet_csv", cell("validation.csv", 3, 5, ";".join(["nan"] * 136)), "landmarks in row 2 of @/validation.csv have a number that is not finite: correct it"),
    "affectnet_csv: landmarks swapped": ("affectnet_csv", tables_swapped, "landmarks of affectnet test: the chin lies below the brows in 0% of 14 faces, so rows and columns are exchanged: make the table again"),
    "affectnet_csv: a box outside": ("affectnet_csv", cell("validation.csv", 3, 1, "400"), "face box (400, 14, 120, 120) of 2/test0002.jpg in row 2 of @/validation.csv lies outside its picture: correct it"),
    "affectnet_csv: a box without number": ("affectnet_csv", cell("validation.csv", 3, 1, "NULL"), "face box (NULL, 14, 120, 120) of 2/test0002.jpg in row 2 of @/validation.csv lies outside its picture: correct it"),
    "affectnet_csv: picture unreadable": ("affectnet_csv", write("Manually_Annotated_Images/2/test0002.jpg", "<html>"), "@/Manually_Annotated_Images/2/test0002.jpg cannot be read as an image: replace the file, or remove its row"),
    # FER2013.
    "fer2013: no split": ("fer2013", moved("test", "tests"), "no folder @/test for fer2013: data_dir must hold train/, validation/, test/, or fer2013.csv"),
    "fer2013: no class": ("fer2013", moved("test/sad", "sad"), "no folder @/test/sad for fer2013: each split has angry, disgust, fear, happy, neutral, sad, surprise"),
    "fer2013: another class": ("fer2013", lambda copy: (copy / "test" / "bored").mkdir(), "unknown folder 'bored' in @/test: those of fer2013 are angry, disgust, fear, happy, neutral, sad, surprise"),
    "fer2013: image truncated": ("fer2013", cut("test/sad/PrivateTest_4.jpg"), "@/test/sad/PrivateTest_4.jpg is cut short or damaged: replace the file, or remove its row"),
    "fer2013: image of another size": ("fer2013", resized("test/sad/PrivateTest_4.jpg", 96, 96), "image test/sad/PrivateTest_4.jpg of fer2013 has 96x96 pixels: the others have 48x48"),
    "fer2013: no table": ("fer2013", remove("landmarks.csv.gz"), "no landmark table landmarks.csv.gz in @ for fer2013: give its path as landmarks, or make it with `python -m palcore landmarks fer2013`"),
    "fer2013_csv: emotion out of range": ("fer2013_csv", cell("fer2013.csv", 45, 0, "7"), "emotion 7 in row 44 of @/fer2013.csv: it must be in 0..6"),
    "fer2013_csv: pixels lack": ("fer2013_csv", cell("fer2013.csv", 45, 1, "1 2 3"), "row 44 of @/fer2013.csv does not have 2304 whole numbers from 0 to 255 in its pixels"),
    "fer2013_csv: pixels too bright": ("fer2013_csv", cell("fer2013.csv", 45, 1, " ".join(["256"] * 2304)), "row 44 of @/fer2013.csv does not have 2304 whole numbers from 0 to 255 in its pixels"),
    "fer2013_csv: unknown usage": ("fer2013_csv", cell("fer2013.csv", 45, 2, "Secret"), "Usage 'Secret' in row 44 of @/fer2013.csv: it must be one of Training, PublicTest, PrivateTest"),
    "fer2013_csv: a column lacks": ("fer2013_csv", replaced("fer2013.csv", "Usage", "Use"), "@/fer2013.csv lacks the column 'Usage': it has emotion, pixels and Usage"),
}  # fmt: skip
"""What is wrong: the layout, what makes it so, and the sentence."""

TRAIN = {"rafdb: a line without label", "rafdb: a line with another file", "rafdb: label 0", "fer2013_csv: unknown usage"}
"""Those that loading the training faces notices; the others lie in the test faces."""


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_this_sentence(case, tmp_path):
    layout, change, sentence = CASES[case]
    if layout == "rafdb_table":
        name = "rafdb"
        write_rafdb(tmp_path, landmarks="table")
    else:
        name, write_copy = WRITERS[layout]
        write_copy(tmp_path)
    change(tmp_path)
    split = "train" if case in TRAIN else "test"
    options = {"index_dir": tmp_path / "index"} if name == "affectnet" else {}
    listing = data.list_faces(name, tmp_path, split, **options)
    told = [problem for problem in listing.problems if problem.fatal]
    assert told[0].kind in KINDS
    expected = sentence.replace("@", str(tmp_path))
    with pytest.raises(KINDS[told[0].kind]) as refused:
        data.load(name, tmp_path, split, **options)
    assert str(refused.value) == expected
    assert expected.startswith(told[0].sentence)
    assert "\n" not in expected


def test_landmark_files_read_in_the_wrong_order_are_refused(tmp_path):
    write_rafdb(tmp_path)
    with pytest.raises(ValueError) as refused:
        data.load("rafdb", tmp_path, "test", landmark_order="x_y")
    assert str(refused.value) == (
        f"landmarks in {tmp_path}/landmarks read as x_y: the chin lies below the brows in 0% of 14 faces, so rows and columns are "
        "exchanged: give landmark_order row_column"
    )
    with pytest.raises(ValueError, match="landmark_order 'columns': choose from row_column, x_y"):
        data.load("rafdb", tmp_path, "test", landmark_order="columns")
    with pytest.raises(ValueError, match="undetected 'drop' of landmark table .*: choose keep or leave_out"):
        write_rafdb(tmp_path / "second", landmarks="table")
        data.load("rafdb", tmp_path / "second", "test", undetected="drop")


def test_some_faces_on_their_side_are_not_a_swapped_table(tmp_path):
    drawn = write_rafdb(tmp_path)
    for file in ("test_0001.jpg", "test_0002.jpg"):
        name = file.replace(".jpg", "_aligned.txt")
        write_landmark_file(tmp_path / "landmarks" / name, drawn[file].landmarks[:, ::-1])
    assert len(data.load("rafdb", tmp_path, "test")) == 14


def test_a_list_has_all_that_is_wrong_at_once(tmp_path):
    drawn = write_rafdb(tmp_path)
    for change in (
        line(LIST, 30, lambda text: "test_0003.jpg 8"),
        remove("Image/aligned/test_0005_aligned.jpg"),
        cut("Image/aligned/test_0006_aligned.jpg"),
        write("landmarks/test_0007_aligned.txt", "1 2\n"),
        remove("landmarks/test_0005_aligned.txt"),
    ):
        change(tmp_path)
    listing = data.list_faces("rafdb", tmp_path, "test")
    assert len(listing) == sum(face.part == "test" for face in drawn.values())
    assert [(problem.kind, problem.file) for problem in listing.problems] == [
        ("label", "test_0003.jpg"),
        ("image missing", "test_0005.jpg"),
        ("image unreadable", "test_0006.jpg"),
        ("landmarks missing", "test_0005.jpg"),
        ("landmarks not 68", "test_0007.jpg"),
    ]
    assert listing.labels[listing.files.tolist().index("test_0003.jpg")] == -1
    assert data.list_faces("rafdb", tmp_path, "train").problems == []


def test_too_few_faces_for_a_validation_split(tmp_path):
    write_rafdb(tmp_path)
    lines = (tmp_path / LIST).read_text().splitlines()
    (tmp_path / LIST).write_text("\n".join([lines[0], lines[1], *lines[7:]][:3] + lines[28:]))
    for split in ("train", "validation"):
        with pytest.raises(ValueError, match="no validation split of rafdb: class . has a single face"):
            data.load("rafdb", tmp_path, split)
