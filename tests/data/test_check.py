"""The check says all that is wrong with a copy, beside the owner's counts, and what is no more than a note."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from palcore.__main__ import app
from palcore.data.check import check, report_lines
from palcore.data.fer2013 import READER as FER2013
from palcore.data.readers import SPLITS
from tests import copies


@pytest.fixture
def fer2013(copy, drawn):
    """A copy of FER2013 in folders, and the names of its faces."""
    return copy("fer2013"), list(drawn("fer2013"))


def told(report, fatal):
    problems = [problem for problems in report.problems.values() for problem in problems]
    return [(problem.split, problem.kind) for problem in problems if problem.fatal is fatal and problem.kind != "counts"]


def first(names, folder):
    return next(name for name in names if name.startswith(folder))


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


@pytest.mark.parametrize("layout", copies.WRITERS)
def test_a_sound_copy_has_no_problem_and_nothing_is_kept(layout, copy, drawn):
    name, folder = copies.WRITERS[layout][0], copy(layout)
    report = check(name, folder)
    assert told(report, True) == told(report, False) == report.fatal == []
    assert sum(report.faces.values()) == len(drawn(layout))
    assert set(report.facts["copies"].values()) == {0}
    lines = report_lines(report)
    assert lines[-1] == "nothing that would break or bias a run"
    assert ("train: 1 left out: contempt" in lines) == (name == "affectnet")
    assert [path.name for path in folder.parent.iterdir()] == ["copy"]


def test_validation_faces_that_are_training_faces_are_a_note_and_mirrored_test_faces_are_counted(fer2013):
    folder, names = fer2013
    shutil.copyfile(folder / first(names, "train/happy"), folder / first(names, "validation/happy"))
    image = copies.cv2.imread(str(folder / first(names, "test/sad")))
    copies.write_image(folder / first(names, "train/sad"), image[:, ::-1, 0], quality=80)
    report = check("fer2013", folder)
    assert report.fatal == []
    assert told(report, False) == [("validation", "copy"), ("test", "near copy")]
    assert report.facts["near_copies"]["train/test"] == report.facts["copies"]["train/validation"] == 1
    assert "1 test faces have nearly the picture of a train face, or its mirror image" in report_lines(report)


def test_copies_that_the_owner_ships_are_notes_in_a_whole_copy_only(fer2013, monkeypatch):
    folder, names = fer2013
    train = folder / first(names, "train/happy")
    shutil.copyfile(train, folder / first(names, "test/happy"))
    assert [problem.kind for problem in check("fer2013", folder).fatal] == ["copy"]
    counts = {split: dict.fromkeys(FER2013.PUBLISHED[split], 28 // 7 if split == "train" else 14 // 7) for split in SPLITS}
    monkeypatch.setattr(type(FER2013), "PUBLISHED", counts)
    monkeypatch.setattr(type(FER2013), "KNOWN_COPIES", {"train/test": 1, "validation/test": 0})
    report = check("fer2013", folder)
    assert report.fatal == [] and told(report, False) == [("test", "copy")] * 2
    assert "fer2013 comes from its owner with 1 test faces that stand in another split" in "\n".join(report_lines(report))
    shutil.copyfile(train, folder / first(names[::-1], "test/happy"))
    assert [problem.kind for problem in check("fer2013", folder).fatal] == ["copy", "copy"]


def test_a_data_set_that_nobody_has_counted(fer2013, monkeypatch):
    monkeypatch.setattr(type(FER2013), "PUBLISHED", {})
    report = check("fer2013", fer2013[0])
    assert not report.problems
    assert {split: sum(counts.values()) for split, counts in report.facts["counts"].items()} == report.faces
    assert report_lines(report)[1].split() == ["surprise", "4", "2", "2"]


def test_the_command_exits_with_1_only_for_what_would_break_or_bias_a_run(fer2013, tmp_path):
    folder, names = fer2013
    copies.write_image(folder / names[0], np.zeros((48, 48), np.uint8))
    result = run("fer2013", "--data-dir", folder, "--json", tmp_path / "report.json")
    assert result.exit_code == 0
    assert "note: train, image blank: 1\n" in result.stdout and "happiness           4     7,215" in result.stdout
    assert result.stdout.endswith("nothing that would break or bias a run\n")
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["counts"]["train"]["happiness"] == 4 and record["published"]["train"]["happiness"] == 7215
    assert record["problems"] == {}
    for name in names[1:14]:
        (folder / name).write_bytes(b"")
    (folder / "test" / "bored").mkdir()
    result = run("fer2013", "--data-dir", folder, "--json", tmp_path / "report.json")
    assert result.exit_code == 1
    assert f"PROBLEM: train, image unreadable: 13\n  {folder}/train/" in result.stdout
    assert "  and 3 more: --json lists all\n" in result.stdout
    assert result.stdout.endswith(" problems that would break or bias a run\n")
    text = (tmp_path / "report.json").read_text()
    assert len(json.loads(text)["problems"]["image unreadable"]["train"]) == 13
    assert f"DATA_DIR/{names[1]} cannot" in text and "'bored' in DATA_DIR/test" in text and str(folder) not in text


def test_names_that_the_output_lacks_lose_no_report(fer2013):
    folder, _ = fer2013
    (folder / "train" / "happy" / "表情.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "palcore", "check", "fer2013", "--data-dir", str(folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder.parent)
    assert done.returncode == 1 and rb"train/happy/\u8868\u60c5.jpg cannot be read as an image" in done.stdout


def test_the_command_takes_the_order_of_the_landmark_files(tmp_path):
    copies.write_rafdb(tmp_path, order="x_y")
    assert run("rafdb", "--data-dir", tmp_path).exit_code == 1
    assert run("rafdb", "--data-dir", tmp_path, "--landmark-order", "x_y").exit_code == 0
