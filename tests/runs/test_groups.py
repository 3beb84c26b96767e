"""Gender, race and age group of RAF-DB's faces: read strictly, and scored from what a finished run has left."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from palcore.__main__ import app
from palcore.data import load
from palcore.data.rafdb import GROUPS, read_groups
from palcore.runs.groups import evaluate_groups
from palcore.runs.options import check_options
from palcore.runs.records import run_facts
from tests.copies import write_rafdb, write_rafdb_groups

NAMES = [f"test_{number:04d}.jpg" for number in range(1, 15)]


@pytest.fixture
def annotated(tmp_path):
    """A folder with annotations alone, and the numbers in them."""
    (tmp_path / "EmoLabel").mkdir()
    return tmp_path, write_rafdb_groups(tmp_path, NAMES)


def test_groups_are_those_of_the_files(annotated):
    folder, numbers = annotated
    found = read_groups(folder, NAMES[::-1])
    for place, (kind, names) in enumerate(GROUPS.items()):
        assert found[kind].tolist() == [names[numbers[file][place]] for file in NAMES[::-1]]


POINTS = "1 2\n" * 5
BROKEN = {
    "empty": ("", "makes no sense: it must have five lines of two numbers, then gender, race and age group"),
    "short": (POINTS + "0\n1\n", "makes no sense"),
    "long": (POINTS + "0\n1\n2\n3\n", "makes no sense"),
    "words": ("a b\n" * 5 + "0\n1\n2\n", "makes no sense"),
    "three numbers": ("1 2 3\n" * 5 + "0\n1\n2\n", "makes no sense"),
    "not finite": ("1 nan\n" * 5 + "0\n1\n2\n", "makes no sense"),
    "gender": (POINTS + "3\n1\n2\n", "gender 3 in .*: it must be one of 0 male, 1 female, 2 unsure"),
    "race": (POINTS + "0\n-1\n2\n", "race -1 in .*: it must be one of 0 Caucasian, 1 African-American, 2 Asian"),
    "age": (POINTS + "0\n1\n2.0\n", "age 2.0 in .*: it must be one of 0 0-3, 1 4-19"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_makes_no_sense_names_itself(annotated, case):
    content, sentence = BROKEN[case]
    path = annotated[0] / "Annotation" / "manual" / "test_0003_manu_attri.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=sentence) as problem:
        read_groups(annotated[0], NAMES)
    assert str(path) in str(problem.value)


def test_a_missing_file_or_folder_names_itself(annotated, tmp_path):
    (annotated[0] / "Annotation" / "manual" / "test_0003_manu_attri.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no annotation file .*test_0003_manu_attri.txt: there must be one for each face"):
        read_groups(annotated[0], NAMES)
    (tmp_path / "other" / "EmoLabel").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no .*other/Annotation/manual for rafdb: it holds gender"):
        read_groups(tmp_path / "other", NAMES)


@pytest.fixture
def copy(tmp_path):
    """A drawn copy with annotations, and the numbers in them."""
    drawn = write_rafdb(tmp_path / "rafdb")
    return tmp_path / "rafdb", write_rafdb_groups(tmp_path / "rafdb", drawn)


@pytest.fixture
def run(copy, tmp_path):
    """What a run on the copy would have left, right on every second face."""
    options = check_options(dataset="rafdb", data_dir=str(copy[0]))
    faces = load("rafdb", copy[0], "test")
    right = np.arange(len(faces)) % 2 == 0
    called = np.where(right, faces.labels, (faces.labels + 1) % 7)
    facts = run_facts(options, 100, None, {"test": {"faces": len(faces), "fingerprint": faces.fingerprint()}})
    scores = {
        "faces": len(faces),
        "accuracy": 0.5,
        "mean_class_accuracy": 0.5,
        "macro_f1": 0.5,
        "recall": dict.fromkeys(faces.counts(), 0.5),
    }
    metrics = {"test": {**scores, "attribution": {"correlation": 0.1}}}
    record = {**facts, "metrics": metrics, "history": {"loss": [1.0]}, "seconds": 1, "device": "x", "commit": None, "parameters": 7}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    np.savez(tmp_path / "run" / "predictions.npz", test_labels=faces.labels, test_probabilities=np.eye(7)[called])
    return tmp_path / "run", faces, right


def test_a_record_gets_accuracy_and_count_of_each_group(copy, run):
    (folder, numbers), (place, faces, right) = copy, run
    done = CliRunner().invoke(app, ["groups", str(place), "--data-dir", str(folder)], catch_exceptions=False)
    record = json.loads((place / "record.json").read_text())
    for kind_place, (kind, names) in enumerate(GROUPS.items()):
        members = np.array([numbers[file][kind_place] for file in faces.files])
        found = record["metrics"]["test"]["groups"][kind]
        assert sum(scores["faces"] for scores in found.values()) == len(faces)
        for number, name in enumerate(names):
            assert found[name] == {"faces": (members == number).sum(), "accuracy": right[members == number].mean()}
    oldest = record["metrics"]["test"]["groups"]["age"]["70+"]
    assert f"| 70+ | {oldest['faces']} | {100 * oldest['accuracy']:.1f} |" in (place / "model_card.md").read_text()
    assert f"age    70+                  {oldest['faces']} faces, accuracy {oldest['accuracy']:.3f}" in done.stdout.splitlines()


def test_other_faces_and_other_data_sets_are_refused(copy, run):
    place, before = run[0], (run[0] / "record.json").read_text()
    record = json.loads(before)
    record["data"]["test"]["fingerprint"] = "0"
    (place / "record.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="the test faces in .* are not those that .* was tested on"):
        evaluate_groups(place, str(copy[0]))
    record["config"]["dataset"] = "fer2013"
    (place / "record.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="is a run on fer2013: only rafdb has gender"):
        evaluate_groups(place, str(copy[0]))
