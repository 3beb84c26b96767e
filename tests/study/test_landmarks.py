"""Landmark tables: written in parts, read back, made by a detector, and gone on with after an interruption."""

import importlib.util
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from palcore.__main__ import main
from palcore.data import load
from palcore.data.landmark_table import PIXEL_COLUMNS, append_rows
from palcore.data.readers import SPLITS
from study import landmarks
from tests.data import conftest

originals, copy, drawn = conftest.originals, conftest.copy, conftest.drawn  # the fixtures of the data sets' tests

NAMES = [f"train/{number}.jpg" for number in range(2 * landmarks.BATCH + 7)]
FACES = {name: partial(np.full, (48, 48, 3), number, np.uint8) for number, name in enumerate(NAMES)}
WHOLE = {name: (number != 3, number) for number, name in enumerate(NAMES)}


def detect(image):
    """A face is found in every picture but one, of which the centre's are kept; the landmarks tell which picture it was."""
    value = image[0, 0, 0]
    return value != 3, np.full((68, 2), value / 256)


def table(path):
    files, found, points = landmarks.read_landmark_table(path)
    return dict(zip(files, zip(found.tolist(), (256 * points[:, 0, 0]).round().astype(int).tolist(), strict=True), strict=True))


def stopping_after(count):
    """A detector that is interrupted, by Ctrl-C say, when it has answered ``count`` times."""
    answers = iter(range(count))

    def stop(image):
        if next(answers, None) is None:
            raise KeyboardInterrupt
        return detect(image)

    return stop


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_what_is_written_in_parts_is_read_back(tmp_path, rng, name):
    points, found = rng.uniform(-0.1, 1.1, (3, 68, 2)), [True, False, True]
    points[1] = np.nan
    append_rows(tmp_path / name, ["a", "b"], found[:2], points[:2])
    append_rows(tmp_path / name, ["c"], found[2:], points[2:])
    files, seen, read = landmarks.read_landmark_table(tmp_path / name)
    assert files == ["a", "b", "c"] and seen.tolist() == found
    np.testing.assert_allclose(read, points, atol=1e-5)


def in_pixels(path):
    pd.DataFrame([["a", 1, *[0.0] * 136]], columns=PIXEL_COLUMNS).to_csv(path, index=False)


def test_pixels_become_fractions_counted_from_the_corner(tmp_path):
    in_pixels(tmp_path / "pixels.csv")
    _, _, read = landmarks.read_landmark_table(tmp_path / "pixels.csv", (50, 100))
    np.testing.assert_allclose(read[0, 5], [0.01, 0.005])
    with pytest.raises(ValueError, match="is in pixels"):
        landmarks.read_landmark_table(tmp_path / "pixels.csv")


@pytest.mark.parametrize("stopped", [0, 3, landmarks.BATCH, landmarks.BATCH + 1])
def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, stopped):
    out = tmp_path / "landmarks.csv.gz"
    with pytest.raises(KeyboardInterrupt):
        landmarks.write_landmarks(FACES, out, stopping_after(stopped))
    assert not out.exists()
    seen = []
    faces = {name: lambda name=name: seen.append(name) or FACES[name]() for name in NAMES}
    summary = landmarks.write_landmarks(faces, out, detect)
    assert seen == NAMES[stopped:]
    assert summary == landmarks.Summary(len(NAMES), len(NAMES) - stopped, len(NAMES) - 1)
    assert table(out) == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize("cut", [1, 40, 10**6])
def test_a_row_that_was_cut_off_is_made_again(tmp_path, cut):
    out, part = tmp_path / "landmarks.csv", tmp_path / "landmarks.csv.part"
    with pytest.raises(KeyboardInterrupt):
        landmarks.write_landmarks(FACES, out, stopping_after(5))
    part.write_bytes(part.read_bytes()[:-cut])
    landmarks.write_landmarks(FACES, out, detect)
    assert table(out) == WHOLE


def test_a_table_that_is_whole_is_left_and_one_that_lacks_faces_completed(tmp_path):
    out = tmp_path / "landmarks.csv.gz"
    landmarks.write_landmarks(dict(list(FACES.items())[:9]), out, detect)
    assert landmarks.write_landmarks(dict(list(FACES.items())[:9]), out, stopping_after(0)) == landmarks.Summary(9, 0, 8)
    assert landmarks.write_landmarks(FACES, out, detect).new == len(NAMES) - 9
    assert table(out) == WHOLE


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("landmarks.csv.gz", in_pixels, r"is in pixels \(column detected\).*left as it is, give another --out"),
        ("landmarks.csv", lambda path: path.write_text("some,thing\n1,2\n"), "left as it is, give another --out"),
        (
            "landmarks.csv",
            lambda path: append_rows(path, ["b"], [1], np.zeros((1, 68, 2))),
            "has landmarks of 1 faces that the data set lacks, b first",
        ),
        ("landmarks.txt", lambda path: path.touch(), "its name must end in .csv or .csv.gz"),
        ("none/landmarks.csv", None, "no folder .*none for the landmark table landmarks.csv: make it"),
    ],
)
def test_an_out_that_makes_no_sense_is_refused_and_left_as_it_is(name, make, sentence, tmp_path):
    out = tmp_path / name
    before = make and (make(out), out.read_bytes())
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        landmarks.write_landmarks(FACES, out, stopping_after(0))
    assert before is None or out.read_bytes() == before[1]


@pytest.mark.parametrize(("size", "working"), [((48, 48), (192, 192)), ((100, 50), (192, 96)), ((400, 800), (96, 192))])
def test_the_detector_sees_images_of_one_size(size, working):
    assert landmarks.working_image(np.zeros((*size, 3), np.uint8)).shape == (*working, 3)


def test_the_box_at_the_centre_is_in_the_image_and_symmetric():
    left, top, right, bottom = landmarks.centre_box(96, 192)
    assert (left, top) == (10, 5)
    assert (left + right, top + bottom) == (191, 95)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"dlib is not installed.* run python -m pip install -e '\.\[landmarks\]'"):
        landmarks.dlib_detector()


@pytest.mark.parametrize("layout", ["fer2013", "fer2013_csv", "rafdb"])
def test_a_data_set_s_own_loader_finds_the_table_that_was_made_for_it(layout, copy, drawn):
    folder, name, faces = copy(layout), conftest.LAYOUTS[layout][0], list(drawn(layout).values())
    shutil.rmtree(folder / "landmarks", ignore_errors=True)
    (folder / "landmarks.csv.gz").unlink(missing_ok=True)

    def look(image):
        """The true landmarks, by the image's pixels; JPEG changes them, so the nearest one counts."""
        return True, min(faces, key=lambda face: np.abs(face.image.astype(int) - image).mean()).landmarks

    written = folder / "landmarks.csv.gz", landmarks.Summary(*[len(faces)] * 3)
    assert landmarks.landmark_dataset(name, folder, detect=look) == written
    for split in SPLITS:
        loaded = load(name, folder, split)
        np.testing.assert_allclose(loaded.landmarks, [drawn(layout)[file].landmarks for file in loaded.files], atol=1e-5)


def run(*arguments):
    return CliRunner().invoke(landmarks.app, [*map(str, arguments)], catch_exceptions=True)


def test_the_command_shows_progress_and_the_licence_and_says_how_to_go_on(copy, monkeypatch, capsys):
    folder = copy("fer2013")
    out = folder.parent / "own.csv"
    monkeypatch.setattr(landmarks, "dlib_detector", lambda: stopping_after(3))
    monkeypatch.setattr("sys.argv", ["landmarks", "fer2013", "--data-dir", str(folder), "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        main(landmarks.app)
    assert end.value.code == 130
    assert capsys.readouterr().err.endswith("stopped: the same command goes on where it was\n")
    assert len(out.with_name("own.csv.part").read_text().splitlines()) == 4
    monkeypatch.setattr(landmarks, "dlib_detector", lambda: detect)
    result = run("fer2013", "--data-dir", folder, "--out", out)
    assert result.exit_code == 0
    seen = f"{out}: 56 faces, 53 of them new; a face was found in 56\nruns take it with `-p landmarks {out}` only\n"
    assert result.stdout == f"{seen}{landmarks.LICENCE}\n"
    assert "landmarks of fer2013: 100%" in result.stderr and "56/56" in result.stderr
    broken = next((folder / "test").rglob("*.jpg"))
    broken.write_bytes(b"")
    result = run("fer2013", "--data-dir", folder, "--out", out)
    assert result.exit_code == 1 and str(result.exception).startswith(f"{broken} cannot be read as an image")


def test_faces_are_cut_out_as_squares_the_largest_first():
    picture = np.zeros((2 * landmarks.PHOTO_SIDE, 3 * landmarks.PHOTO_SIDE, 3), np.uint8)
    picture[200:400, 300:500] = 50
    picture[1000:1600, 2400:3000] = 200  # at the right edge, so that its square leaves the picture
    seen = []

    def find(small):
        seen.append(small.shape)
        return [(100, 200 / 3, 500 / 3, 400 / 3), (800, 1000 / 3, 1000, 1600 / 3)]

    large, small = landmarks.face_crops(picture, find)
    assert max(seen[0]) == landmarks.PHOTO_SIDE
    assert large.shape == (780, 780, 3) and small.shape == (260, 260, 3)
    np.testing.assert_array_equal(large[390, [100, 400, 770]], 200)  # the edge repeats outwards
    assert large[10, 10, 0] == 0 and small[130, 130, 0] == 50 and small[5, 5, 0] == 0
    assert landmarks.face_crops(picture, lambda picture: []) == []
    assert landmarks.square_around((10, 10, 30, 20), margin=0.0) == (10, 5, 20)
