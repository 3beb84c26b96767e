"""Everything that can be wrong with a copy, one thing at a time: the check names it in exactly this sentence, and nothing else."""

import gzip
import json
import shutil

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from palcore.__main__ import app
from palcore.data import fer2013, load
from palcore.data.check import check
from palcore.data.check.report import Report, report_lines, report_record
from palcore.data.landmark_fit import with_landmark_problems
from palcore.data.listing import Listing
from palcore.data.table import SPLITS
from tests import copies


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """``{layout: (folder, names of the faces)}``: a sound copy of each layout, drawn once."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in copies.WRITERS}
    return {layout: (folders[layout], list(write(folders[layout]))) for layout, (_, write) in copies.WRITERS.items()}


@pytest.fixture
def copy(originals, tmp_path, monkeypatch):
    """A function of a layout that gives a folder of its own to spoil, with the names of its faces."""
    monkeypatch.chdir(tmp_path)  # where AffectNet's index goes

    def make(layout):
        folder, names = originals[layout]
        shutil.copytree(folder, tmp_path / layout)
        return tmp_path / layout, names

    return make


def found(report, fatal):
    return [
        (split, problem.kind, problem.sentence)
        for split, problems in report.problems.items()
        for problem in problems
        if problem.fatal is fatal and problem.kind != "counts"
    ]


@pytest.mark.parametrize(("layout", "name"), [(layout, name) for layout, (name, _) in copies.WRITERS.items()])
def test_a_sound_copy_has_no_problem(copy, layout, name):
    folder, names = copy(layout)
    report = check(name, folder)
    assert found(report, True) == found(report, False) == []
    assert report.fatal == []
    assert sum(report.faces.values()) == len(names)
    assert report.copies == {
        "crossing": 0, "crossing_with_other_label": 0, "repeated_within": 0,
        "train/validation": 0, "train/test": 0, "validation/test": 0,
    }  # fmt: skip
    lines = report_lines(report)
    assert lines[-1] == "nothing that would break or bias a run"
    assert ("train: 1 left out: contempt" in lines) == (name == "affectnet")


# What is done to the third test face of RAF-DB, which shows disgust, and the sentence about it.
ALIGNED, TEXT = "Image/aligned/test_0003_aligned.jpg", "landmarks/test_0003_aligned.txt"
LIST = "EmoLabel/list_patition_label.txt"


def rewrite(path, change):
    path.write_text(change(path.read_text()))


def set_landmarks(path, change):
    np.savetxt(path, change(np.loadtxt(path)), fmt="%g", delimiter="\t")


RAFDB = {
    "missing": (
        "image missing",
        lambda folder: (folder / ALIGNED).unlink(),
        "no image file {folder}/Image/aligned/test_0003_aligned.jpg: check data_dir",
    ),
    "empty": (
        "image unreadable",
        lambda folder: (folder / ALIGNED).write_bytes(b""),
        "{folder}/Image/aligned/test_0003_aligned.jpg cannot be read as an image: replace the file, or remove its row",
    ),
    "no image": (
        "image unreadable",
        lambda folder: (folder / ALIGNED).write_text("<html>404</html>"),
        "{folder}/Image/aligned/test_0003_aligned.jpg cannot be read as an image: replace the file, or remove its row",
    ),
    "truncated": (
        "image unreadable",
        lambda folder: (folder / ALIGNED).write_bytes((folder / ALIGNED).read_bytes()[:-700]),
        "{folder}/Image/aligned/test_0003_aligned.jpg is cut short or damaged: replace the file, or remove its row",
    ),
    "wrong size": (
        "image size",
        lambda folder: copies.write_image(folder / ALIGNED, copies.drawn_faces("validation", 64)[0][2]),
        "image test_0003.jpg of rafdb has 64x64 pixels: the others have 100x100",
    ),
    "label out of range": (
        "label",
        lambda folder: rewrite(folder / LIST, lambda text: text.replace("test_0003.jpg 3", "test_0003.jpg 8")),
        "label 8 of test_0003.jpg in line 31 of {folder}/EmoLabel/list_patition_label.txt: it must be a whole number from 1 to 7",
    ),
    "no landmarks": (
        "landmarks missing",
        lambda folder: (folder / TEXT).unlink(),
        "no landmark file {folder}/landmarks/test_0003_aligned.txt: `python -m palcore landmarks` makes a table instead",
    ),
    "not 68": (
        "landmarks not 68",
        lambda folder: set_landmarks(folder / TEXT, lambda points: points[:37]),
        "landmark file {folder}/landmarks/test_0003_aligned.txt has 37 lines: it must have 68, of two numbers each",
    ),
    "not finite": (
        "landmarks not finite",
        lambda folder: rewrite(folder / TEXT, lambda text: text.replace(text.split()[9], "nan")),
        "landmark file {folder}/landmarks/test_0003_aligned.txt has a number that is not finite: correct it",
    ),
    "swapped": (
        "landmarks swapped",
        lambda folder: set_landmarks(folder / TEXT, lambda points: points[:, ::-1]),
        "landmarks of test_0003.jpg are those of a face in a mirror: x and y are exchanged",
    ),
    "mirrored": (
        "landmarks swapped",
        lambda folder: set_landmarks(folder / TEXT, lambda points: [0, 99] + points * [1, -1]),
        "landmarks of test_0003.jpg are those of a face in a mirror: left and right, or up and down, are exchanged",
    ),
    "of a larger image": (
        "landmarks elsewhere",
        lambda folder: set_landmarks(folder / TEXT, lambda points: 4 * points),
        "landmarks of test_0003.jpg do not lie on its face: most lie off the image, around (2.09, 2.01) of its sides; "
        "are they in pixels of another image?",
    ),
    "of another image": (
        "landmarks elsewhere",
        lambda folder: shutil.copyfile(folder / TEXT.replace("03", "04"), folder / TEXT),
        "landmarks of test_0004.jpg are exactly those of test_0003.jpg, another picture: one of the two has the wrong ones",
    ),
    "copy": (
        "copy",
        lambda folder: shutil.copyfile(folder / ALIGNED.replace("test_0003", "train_00003"), folder / ALIGNED),
        "test_0003.jpg of test is the same picture as train_00003.jpg of train",
    ),
    "copy with another label": (
        "copy",
        lambda folder: shutil.copyfile(folder / ALIGNED.replace("test_0003", "train_00004"), folder / ALIGNED),
        "test_0003.jpg of test is the same picture as train_00004.jpg of train, but labelled disgust, not happiness",
    ),
}


# Likewise for AffectNet's third test face in the form with folders, and in the form with tables.
IMAGE, EXPRESSION, LANDMARKS = (f"val_set/{place}" for place in ("images/2.jpg", "annotations/2_exp.npy", "annotations/2_lnd.npy"))
PICTURE = "Manually_Annotated_Images/2/test0002.jpg"


def set_array(path, change):
    np.save(path, change(np.load(path)))


def set_cell(folder, column, change):
    """Changes a cell of the third row of validation.csv."""
    lines = (folder / "validation.csv").read_text().splitlines()
    cells = lines[3].split(",")
    cells[column] = change(cells[column])
    lines[3] = ",".join(cells)
    (folder / "validation.csv").write_text("\n".join(lines))


AFFECTNET = {
    "missing": (
        "image missing",
        lambda folder: (folder / IMAGE).unlink(),
        "no image file {folder}/val_set/images/2.jpg: check data_dir",
    ),
    "truncated": (
        "image unreadable",
        lambda folder: (folder / IMAGE).write_bytes((folder / IMAGE).read_bytes()[:-900]),
        "{folder}/val_set/images/2.jpg is cut short or damaged: replace the file, or remove its row",
    ),
    "label out of range": (
        "label",
        lambda folder: np.save(folder / EXPRESSION, np.array("11")),
        "expression 11 in {folder}/val_set/annotations/2_exp.npy: it must be one whole number from 0 to 10",
    ),
    "no landmarks": (
        "landmarks missing",
        lambda folder: (folder / LANDMARKS).unlink(),
        "no annotation {folder}/val_set/annotations/2_lnd.npy for affectnet: each face needs one",
    ),
    "not 68": (
        "landmarks not 68",
        lambda folder: set_array(folder / LANDMARKS, lambda values: values[:130]),
        "landmarks in {folder}/val_set/annotations/2_lnd.npy are 130 numbers: there must be 136, x0 y0 x1 y1 ...",
    ),
    "not finite": (
        "landmarks not finite",
        lambda folder: set_array(folder / LANDMARKS, lambda values: np.where(values == values[5], np.inf, values)),
        "landmarks in {folder}/val_set/annotations/2_lnd.npy have a number that is not finite: correct it",
    ),
    "swapped": (
        "landmarks swapped",
        lambda folder: set_array(folder / LANDMARKS, lambda values: values.reshape(68, 2)[:, ::-1].ravel()),
        "landmarks of val_set/images/2.jpg are those of a face in a mirror: x and y are exchanged",
    ),
    "of another image": (
        "landmarks elsewhere",
        lambda folder: shutil.copyfile(folder / LANDMARKS, folder / LANDMARKS.replace("2_", "3_")),
        "landmarks of val_set/images/3.jpg are exactly those of val_set/images/2.jpg, another picture: "
        "one of the two has the wrong ones",
    ),
    "copy": (
        "copy",
        lambda folder: shutil.copyfile(folder / "train_set/images/9.jpg", folder / IMAGE),
        "val_set/images/2.jpg of test is the same picture as train_set/images/9.jpg of train",
    ),
}
AFFECTNET_CSV = {
    "truncated": (
        "image unreadable",
        lambda folder: (folder / PICTURE).write_bytes((folder / PICTURE).read_bytes()[:-900]),
        "{folder}/Manually_Annotated_Images/2/test0002.jpg is cut short or damaged: replace the file, or remove its row",
    ),
    "label out of range": (
        "label",
        lambda folder: set_cell(folder, 6, lambda label: "12"),
        "expression 12 of 2/test0002.jpg in row 2 of {folder}/validation.csv: it must be in 0..10",
    ),
    "not 68": (
        "landmarks not 68",
        lambda folder: set_cell(folder, 5, lambda text: text.rpartition(";")[0]),
        "landmarks in row 2 of {folder}/validation.csv are 135 numbers: there must be 136, x0 y0 x1 y1 ...",
    ),
    "box off the picture": (
        "face box",
        lambda folder: set_cell(folder, 1, lambda x: "326"),
        "face box (326, 14, 120, 120) of 2/test0002.jpg in row 2 of {folder}/validation.csv lies outside its picture: correct it",
    ),
    "box of another picture": (
        "landmarks elsewhere",
        lambda folder: set_cell(folder, 1, lambda x: "150"),
        "landmarks of 2/test0002.jpg do not lie on its face: most lie off the image, around (-0.51, 0.51) of its sides; "
        "are they in pixels of another image?",
    ),
}
CASES = [
    pytest.param(layout, *case, id=f"{layout}: {name}")
    for layout, cases in {"rafdb": RAFDB, "affectnet": AFFECTNET, "affectnet_csv": AFFECTNET_CSV}.items()
    for name, case in cases.items()
]


@pytest.mark.parametrize(("layout", "kind", "spoil", "sentence"), CASES)
def test_each_fault_of_a_face_is_named(copy, layout, kind, spoil, sentence):
    folder, _ = copy(layout)
    spoil(folder)
    problems = found(check(copies.WRITERS[layout][0], folder), True)
    assert problems == [("test", kind, sentence.format(folder=folder))]


def test_a_few_missing_pictures_of_affectnet_s_tables_are_notes(copy):
    folder, _ = copy("affectnet_csv")
    (folder / "Manually_Annotated_Images/2/train0002.jpg").unlink()
    report = check("affectnet", folder)
    assert report.fatal == []
    [(_, kind, sentence)] = found(report, False)
    assert kind == "image missing"
    assert sentence == f"no image file {folder}/Manually_Annotated_Images/2/train0002.jpg: check data_dir"


def test_everything_is_listed_at_once(copy):
    folder, _ = copy("rafdb")
    (folder / ALIGNED).unlink()
    set_landmarks(folder / TEXT.replace("03", "05"), lambda points: points[:5])
    rewrite(folder / LIST, lambda text: text.replace("train_00007.jpg 7", "train_00007.jpg 0"))
    shutil.copyfile(folder / ALIGNED.replace("03", "01"), folder / ALIGNED.replace("03", "02"))
    report = check("rafdb", folder)
    assert sorted(problem.kind for problem in report.fatal) == ["image missing", "label", "landmarks not 68"]
    assert report.copies["repeated_within"] == 1


FER2013 = {
    "face not in the table": (
        "landmarks missing",
        lambda lines: lines[:1] + lines[2:],
        "landmark table {folder}/landmarks.csv lacks {first}: `python -m palcore landmarks` adds it",
    ),
    "not finite": (
        "landmarks not finite",
        lambda lines: [*lines[:1], lines[1].rpartition(",")[0] + ",", *lines[2:]],
        "landmarks of {first} in {folder}/landmarks.csv are not finite: correct or remove the row",
    ),
    "not 68": (
        "table",
        lambda lines: [line.rpartition(",")[0] for line in lines],
        "landmark table {folder}/landmarks.csv has 137 columns beginning file, detected, x0, y0: "
        "it must have 138, file, found (or detected), x0, y0, ... x67, y67",
    ),
    "another row's": (
        "landmarks elsewhere",
        lambda lines: [*lines[:2], lines[2].split(",", 1)[0] + "," + lines[1].split(",", 1)[1], *lines[3:]],
        "landmarks of {second} are exactly those of {first}, another picture: one of the two has the wrong ones",
    ),
}


@pytest.mark.parametrize(("kind", "change", "sentence"), FER2013.values(), ids=FER2013)
def test_each_fault_of_a_landmark_table_is_named(copy, kind, change, sentence):
    folder, _ = copy("fer2013")
    with gzip.open(folder / "landmarks.csv.gz", "rt") as table:
        lines = table.read().splitlines()
    (folder / "landmarks.csv.gz").unlink()
    train = sorted((line for line in lines if line.startswith("train/angry")), key=lambda line: line.split(",")[0])
    lines = [lines[0], *train, *(line for line in lines[1:] if line not in train)]
    (folder / "landmarks.csv").write_text("\n".join(change(lines)) + "\n")
    first, second = (line.split(",")[0] for line in train[:2])
    sentence = sentence.format(folder=folder, first=first, second=second)
    problems = set(found(check("fer2013", folder), True))
    # A table that cannot be read concerns every split.
    assert problems == {(split, kind, sentence) for split in (SPLITS if kind == "table" else ["train"])}


def test_a_picture_of_one_colour_is_a_note(copy):
    folder, names = copy("fer2013")
    copies.write_image(folder / names[0], np.zeros((48, 48), np.uint8))
    report = check("fer2013", folder)
    assert report.fatal == []
    assert found(report, False) == [
        ("train", "image blank", f"image {names[0]} has one colour all over: there is no face to see"),
    ]


def test_a_missing_folder_is_named_and_the_rest_still_looked_at(copy):
    folder, _ = copy("fer2013")
    shutil.rmtree(folder / "test" / "fear")
    path = next((folder / "train" / "sad").iterdir())
    path.write_bytes(b"")
    problems = check("fer2013", folder).fatal
    folders = "angry, disgust, fear, happy, neutral, sad, surprise"
    assert [problem.sentence for problem in problems] == [
        f"{path} cannot be read as an image: replace the file, or remove its row",
        f"no folder {folder}/test/fear for fer2013: each split has {folders}",
        "fer2013 test has no face of fear: every split needs all seven expressions",
    ]


def test_validation_faces_that_are_training_faces_are_a_note(copy):
    folder, names = copy("fer2013")
    train = next(name for name in names if name.startswith("train/happy"))
    validation = next(name for name in names if name.startswith("validation/happy"))
    shutil.copyfile(folder / train, folder / validation)
    report = check("fer2013", folder)
    assert report.fatal == []
    assert found(report, False) == [
        ("validation", "copy", f"{validation} of validation is the same picture as {train} of train"),
    ]


def test_a_test_picture_that_was_mirrored_and_saved_again_into_train_is_counted(copy):
    folder, names = copy("fer2013")
    train, test = (next(name for name in names if name.startswith(f"{split}/happy")) for split in ("train", "test"))
    cv2.imwrite(str(folder / train), cv2.imread(str(folder / test))[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    report = check("fer2013", folder)
    assert ("test", "near copy", f"{test} of test is the mirror image of {train} of train") in found(report, False)
    assert report.near["train/test"] == 1
    lines = report_lines(report)
    assert "1 test faces have nearly the picture of a train face, or its mirror image" in lines


def test_copies_and_other_labels_are_counted_in_the_text():
    counted = {"crossing": 2, "crossing_with_other_label": 1, "repeated_within": 0, "train/test": 2, "train/validation": 0}
    labels = {"test": {"FER+": {"agreement": 0.719, "faces": 2720}}, "train": {}}
    lines = report_lines(Report("mine", {}, {}, {}, {"train": {"blank": 3}}, counted, {}, labels, {}))
    assert lines[-5:] == [
        "train: 3 left out: blank",
        "2 pictures stand in more than one split, 1 of them with different labels; 0 faces repeat an earlier one of their split",
        "2 test faces are also train faces",
        "test: 2,720 faces have a label of FER+, and 71.9% of those are the owner's too",
        "nothing that would break or bias a run",
    ]


def test_copies_that_the_owner_ships_are_notes_in_a_whole_copy_only(copy, monkeypatch):
    folder, names = copy("fer2013")
    train, test = (next(name for name in names if name.startswith(f"{split}/happy")) for split in ("train", "test"))
    shutil.copyfile(folder / train, folder / test)
    assert [problem.kind for problem in check("fer2013", folder).fatal] == ["copy"]
    counts = {split: dict.fromkeys(fer2013.PUBLISHED[split], 28 // 7 if split == "train" else 14 // 7) for split in SPLITS}
    monkeypatch.setattr(fer2013, "PUBLISHED", counts)
    monkeypatch.setattr(fer2013, "KNOWN_COPIES", {"train/test": 1, "validation/test": 0})
    report = check("fer2013", folder)
    assert report.fatal == []
    sentence = "fer2013 comes from its owner with 1 test faces that stand in another split: results on its splits include them"
    assert found(report, False) == [
        ("test", "copy", sentence),
        ("test", "copy", f"{test} of test is the same picture as {train} of train"),
    ]
    more = next(name for name in names[::-1] if name.startswith("test/happy"))
    shutil.copyfile(folder / train, folder / more)
    assert [problem.kind for problem in check("fer2013", folder).fatal] == ["copy", "copy"]


def test_a_data_set_that_nobody_has_counted(copy, monkeypatch):
    folder, _ = copy("fer2013")
    monkeypatch.setattr(fer2013, "PUBLISHED", {})
    report = check("fer2013", folder)
    assert report.fatal == [] and not any(report.problems.values())
    assert {split: sum(counts.values()) for split, counts in report.counts.items()} == {"train": 28, "validation": 14, "test": 14}
    assert report_lines(report)[1].split() == ["surprise", "4", "2", "2"]


def test_landmarks_that_fit_no_image_better_than_another_are_noticed(monkeypatch):
    faces = load("synthetic", split="test", count=140, image_size=48, shortcut=None)

    def listing(shift):
        def list_split(data_dir, split, landmarks=None):
            rows = {"train": slice(0, 120), "validation": slice(120, 127), "test": slice(127, 134)}[split]
            part = faces.subset(rows)
            points = np.roll(part.landmarks, shift, axis=0)
            frames, items = np.full((len(part), 2), 48), part.images.items
            listing = Listing("fer2013", split, part.files, items, part.images.read, str, part.labels, points, frames, 48)
            return with_landmark_problems(listing, "landmark table x.csv")

        return list_split

    monkeypatch.setattr(fer2013, "list_faces", listing(0))
    assert check("fer2013", ".").fatal == []
    monkeypatch.setattr(fer2013, "list_faces", listing(1))
    [problem] = check("fer2013", ".").fatal
    assert problem.kind == "landmarks elsewhere"
    assert problem.sentence.startswith("landmarks of fer2013 train fit other faces of it as well as their own (effect size ")
    assert problem.sentence.endswith(" in 100 faces, at least 0.3 expected): they are on the wrong images")


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_the_command_exits_with_1_only_for_what_would_break_or_bias_a_run(copy, tmp_path):
    folder, names = copy("fer2013")
    copies.write_image(folder / names[0], np.zeros((48, 48), np.uint8))
    result = run("fer2013", "--data-dir", folder, "--json", tmp_path / "report.json")
    assert result.exit_code == 0
    assert "note: train, image blank: 1\n" in result.stdout
    assert result.stdout.endswith("nothing that would break or bias a run\n")
    assert "happiness           4     7,215" in result.stdout
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["counts"]["train"]["happiness"] == 4 and record["published"]["train"]["happiness"] == 7215
    assert record["problems"] == {}
    (folder / names[1]).write_bytes(b"")
    result = run("fer2013", "--data-dir", folder, "--json", tmp_path / "report.json")
    assert result.exit_code == 1
    sentence = "cannot be read as an image: replace the file, or remove its row"
    assert f"PROBLEM: train, image unreadable: 1\n  {folder}/{names[1]} {sentence}\n" in result.stdout
    assert result.stdout.endswith("1 problem that would break or bias a run\n")
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["problems"] == {"image unreadable": {"train": [f"DATA_DIR/{names[1]} {sentence}"]}}


def test_the_command_takes_the_order_of_the_landmark_files(tmp_path):
    copies.write_rafdb(tmp_path, order="x_y")
    result = run("rafdb", "--data-dir", tmp_path)
    assert result.exit_code == 1
    sentence = "the chin lies below the brows in 0% of 14 faces, so rows and columns are exchanged: give landmark_order x_y"
    assert (
        f"PROBLEM: test, landmarks swapped: 1\n  landmarks in {tmp_path}/landmarks read as row_column: {sentence}" in result.stdout
    )
    assert run("rafdb", "--data-dir", tmp_path, "--landmark-order", "x_y").exit_code == 0


def test_many_sentences_are_counted_in_the_text_and_listed_in_the_record(copy):
    folder, names = copy("fer2013")
    for name in names[:13]:
        (folder / name).write_bytes(b"")
    report = check("fer2013", folder)
    lines = report_lines(report, shown=10)
    assert "PROBLEM: train, image unreadable: 13" in lines
    assert "  and 3 more: --json lists all" in lines
    assert len(report_record(report, folder)["problems"]["image unreadable"]["train"]) == 13


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ferplus", "."), "unknown dataset 'ferplus': choose from synthetic, fer2013, rafdb, affectnet"),
        (("rafdb", "nowhere"), "no folder nowhere for dataset rafdb: check data_dir"),
        (("rafdb", None), "data_dir is missing for dataset rafdb: give the folder that holds it"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, sentence):
    with pytest.raises((ValueError, FileNotFoundError)) as problem:
        check(*arguments)
    assert str(problem.value) == sentence
