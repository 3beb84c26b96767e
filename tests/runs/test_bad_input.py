"""What people give to ``predict`` and ``robustness``: each bad thing ends with one sentence and exit code 1, and writes nothing."""

import importlib.util
import io
import json
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import cv2
import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from palcore.__main__ import main
from palcore.data import images
from palcore.models import build_classifier
from palcore.runs.options import Options
from palcore.runs.prediction import SHOWN
from palcore.runs.records import read_record, read_results
from palcore.weights import load_backbone_weights, scaling_of, weights_digest

FACE = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)


def call(*words):
    """The command line's exit code and what it says on the standard streams, which may be no UTF-8."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace")]
    code, before = 0, signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        patch.setattr(sys, "argv", ["palcore", *map(os.fspath, words)])
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            signal.signal(signal.SIGTERM, before)
        found = []
        for stream in streams:
            stream.flush()
            found.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))
    return code, *found


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder with the record and the classifier of a network that was never trained."""
    folder = tmp_path_factory.mktemp("made") / "run"
    folder.mkdir()
    classifier = build_classifier(image_size=32, units=8, width_multiplier=0.125)
    classifier.save(folder / "classifier.keras")
    config = {name: value for name, value in asdict(Options()).items() if name not in ("data_dir", "landmarks", "out_dir")}
    record = {"config": {**config, "image_size": 32}, "metrics": {}, "history": {}, "weights": weights_digest(classifier)}
    (folder / "record.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of it that a test may break."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in made.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def face(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "face.png"
    Image.fromarray(FACE).save(path)
    return path


def _loop(path):
    path.symlink_to(path)


def _other_weights(run):
    keras.utils.set_random_seed(1)  # not that of every test, with which the run may have been made
    build_classifier(image_size=32, units=8, width_multiplier=0.125).save(run / "classifier.keras")


def _jpeg(path, part=1.0, image=FACE):
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    path.write_bytes(encoded[: int(len(encoded) * part)])


PICTURES = {
    "missing": (lambda path: None, "no image file"),
    "folder": (Path.mkdir, "is a folder: give a picture's file"),
    "pipe": (os.mkfifo, "is a pipe or device: give a picture's file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a pipe or device: give a picture's file"),
    "loop of links": (_loop, "is a link that leads to no file: give a picture's file"),
    "dangling link": (lambda path: path.symlink_to("nothing"), "is a link that leads to no file"),
    "empty": (Path.touch, "cannot be read as an image"),
    "text": (lambda path: path.write_text("a face"), "cannot be read as an image"),
    "cut in its header": (lambda path: _jpeg(path, 0.05), "is cut short or damaged"),
}


@pytest.mark.parametrize("case", PICTURES)
def test_what_is_no_picture_is_named(case, run, face):
    make, sentence = PICTURES[case]
    path = face.with_name("x.jpg")
    make(path)
    code, _, said = call("predict", path, "--model", run)
    assert code == 1 and sentence in said and str(path) in said
    assert said.count("\n") == 1
    assert {path.name for path in face.parent.iterdir()} <= {"run", "face.png", "x.jpg"}


def test_a_picture_that_may_not_be_read_is_named(run, face, monkeypatch):
    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(images, "open", refuse, raising=False)
    code, _, said = call("predict", face, "--model", run)
    assert code == 1 and f"no permission to read {face}" in said


@pytest.mark.parametrize(
    "name",
    ["grey.png", "sixteen.png", "alpha.png", "one.png", "cmyk.jpg", "GREAT.JPG", "with space and ümlaut.png", "caf\udce9.png"],
)
def test_unusual_pictures_are_read(name, run, face):
    images = {
        "grey.png": Image.fromarray(FACE[..., 0]),
        "sixteen.png": Image.fromarray(FACE[..., 0].astype(np.uint16) * 257),
        "alpha.png": Image.fromarray(np.dstack([FACE, FACE[..., :1]])),
        "one.png": Image.fromarray(FACE[:1, :1]),
        "cmyk.jpg": Image.fromarray(FACE).convert("CMYK"),
    }
    path = face.with_name(name)
    with open(path, "wb") as file:
        images.get(name, Image.fromarray(FACE)).save(file, "JPEG" if name.lower().endswith("jpg") else "PNG")
    code, out, said = call("predict", path, "--model", run)
    assert code == 0, said
    assert len(out.splitlines()) == 8
    drawn = np.frombuffer(path.with_name(f"{path.stem}_attribution.png").read_bytes(), np.uint8)
    assert cv2.imdecode(drawn, cv2.IMREAD_COLOR).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("x.txt", "out x.txt has no image suffix: give a .png or .jpg file"),
        ("x.png", "out x.png is a folder: give a file"),
        ("face.png/below.png", "face.png/below.png can't be written"),
        ("/proc/palcore/x.png", "/proc/palcore/x.png can't be written"),
    ],
)
def test_where_nothing_can_be_written_is_said(out, sentence, run, face):
    face.with_name("x.png").mkdir()
    code, _, said = call("predict", face, "--model", run, "--out", out)
    assert code == 1 and sentence in said


def _copies(run, **strategies):
    """Copies of a run in ``runs/``, each with its strategy, the last one the newest."""
    for age, (name, strategy) in enumerate(strategies.items()):
        folder = run.with_name("runs") / name
        folder.mkdir(parents=True)
        for path in run.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        _record(lambda record, strategy=strategy: record["config"].update(strategy=strategy))(folder)
        os.utime(folder / "record.json", (age, age))


def test_two_saved_runs_beside_each_other_on_a_picture_larger_than_what_they_read(run, face):
    _copies(run, old="mean", plain="none", guided="mean", half="half")
    Image.fromarray(FACE).resize((300, 200)).save("photo.png")
    (face.parent / "runs" / "half" / "classifier.keras").unlink()  # a run that cannot be asked is none
    code, out, said = call("predict", "photo.png")
    assert code == 0, said
    lines = out.splitlines()
    assert [lines[0], lines[8], lines[16]] == ["runs/plain", "runs/guided", "attribution: photo_attribution.png"]
    for block in (lines[1:8], lines[9:16]):
        assert sum(float(line.split()[1]) for line in block) == pytest.approx(1, abs=0.004)
    assert cv2.imread("photo_attribution.png").shape == (SHOWN, 3 * SHOWN, 3)


def test_what_is_missing_for_a_prediction_is_said_with_the_command_that_brings_it(run, face, monkeypatch):
    make = "`papermill notebooks/train.ipynb OUT.ipynb`"
    assert call("predict", face) == (1, "", f"no saved run in runs: {make} makes one in runs/\n")
    code, _, said = call("predict", face, "--model", "nowhere")
    assert code == 1 and said.endswith(f"give the folder that a training run has written, or make one with {make}\n")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "dlib" else find(name, *more))
    sentence = "dlib is not installed, which finds the faces: in the study's folder run python -m pip install -e '.[landmarks]'\n"
    assert call("predict", face, "--model", run, "--find-faces") == (1, "", sentence)


def _record(change):
    def damage(run):
        record = json.loads((run / "record.json").read_text())
        change(record)
        (run / "record.json").write_text(json.dumps(record))

    return damage


def _classifier(make):
    def damage(run):
        model = make()
        model.save(run / "classifier.keras")
        _record(lambda record: record.update(weights=weights_digest(model)))(run)

    return damage


def _hostile():
    image = keras.Input((32, 32, 3))
    return keras.Model(image, keras.layers.Lambda(lambda x: x[:, 0, 0, :1] * np.ones(7))(image))


def _write(name, content):
    return lambda run: (run / name).write_bytes(content)


def _only_half(run):
    (run / "record.json").unlink()
    (run / "resume.npz").touch()


RUNS = {
    "missing": (lambda run: [path.unlink() for path in run.iterdir()], "no run record"),
    "half finished": (_only_half, "its training has not ended"),
    "empty": (_write("record.json", b""), "is not a run record"),
    "cut": (_write("record.json", b'{"config": {'), "is not a run record"),
    "not UTF-8": (_write("record.json", b"\xff\xfe{}"), "is not a run record"),
    "a list": (_write("record.json", b"[1, 2]"), "is not a run record: it lacks config, metrics or history"),
    "deep": (_write("record.json", b"[" * 100_000), "is not a run record"),
    "config is text": (_record(lambda record: record.update(config="x")), "it lacks config, metrics or history"),
    "no metrics": (_record(lambda record: record.pop("metrics")), "it lacks config, metrics or history"),
    "a folder": (lambda run: [(run / "record.json").unlink(), (run / "record.json").mkdir()], "record.json can't be read"),
    "unknown layer": (_record(lambda record: record["config"].update(layer="gone")), "no layer 'gone'"),
    "unknown attribution": (_record(lambda record: record["config"].update(attribution="new")), "unknown method 'new'"),
    "no classifier": (lambda run: (run / "classifier.keras").unlink(), "no classifier.keras in"),
    "classifier empty": (_write("classifier.keras", b""), "is damaged or no Keras model that is safe to load"),
    "classifier cut": (
        lambda run: (run / "classifier.keras").write_bytes((run / "classifier.keras").read_bytes()[:3000]),
        "is damaged or no Keras model that is safe to load",
    ),
    "classifier hostile": (_classifier(_hostile), "is damaged or no Keras model that is safe to load"),
    "other weights": (
        _other_weights,
        "has other weights than its record.json says",
    ),
    "other architecture": (
        _classifier(lambda: keras.Sequential([keras.Input((40, 40, 3)), keras.layers.Flatten(), keras.layers.Dense(7)])),
        "goes from (None, 40, 40, 3) to (None, 7), and record.json is of a classifier from (None, 32, 32, 3)",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_broken_run_folder_is_named(case, run, face):
    damage, sentence = RUNS[case]
    damage(run)
    code, _, said = call("predict", face, "--model", run)
    assert code == 1 and sentence in said, said
    assert not face.with_name("face_attribution.png").exists()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda run: None, "no predictions.npz in"),
        (_write("predictions.npz", b"PK\x03\x04cut"), "predictions.npz is damaged: the run has to be trained again"),
        (lambda run: np.savez(run / "predictions.npz", x=np.array([{}])), "predictions.npz is damaged"),
        (_record(lambda record: record["config"].update(strategy="best")), "option strategy is 'best': choose from none"),
    ],
)
def test_robustness_names_what_is_wrong_before_it_computes(damage, sentence, run):
    damage(run)
    before = (run / "record.json").read_bytes()
    code, _, said = call("robustness", run)
    assert code == 1 and sentence in said, said
    assert (run / "record.json").read_bytes() == before


def test_a_home_folder_is_understood(run, face, monkeypatch):
    monkeypatch.setenv("HOME", str(face.parent))
    code, _, said = call("predict", "~/face.png", "--model=~/run", "--out=~/drawn.png")
    assert code == 0, said
    assert face.with_name("drawn.png").exists()


def test_a_report_that_cannot_be_written_is_refused_before_the_check(tmp_path):
    code, _, said = call("check", "fer2013", "--data-dir", tmp_path / "nothing", "--json", tmp_path)
    assert code == 1
    assert said == f"--json {tmp_path} can't be written: give the path of a file in a folder that you may write to\n"


def test_a_draft_of_a_record_never_counts_in_a_table(run):
    (run / "one.json.tmp").write_text('{"config"')
    (run / "record.json").rename(run / "one.json")
    record = read_record(run / "one.json")
    (run / "one.json").write_text(json.dumps({**record, "seconds": 60, "device": "x", "commit": None}))
    assert read_results(run)["name"].tolist() == ["one"]


def _cut_h5(path):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"block1_conv1"]


@pytest.mark.parametrize(
    ("name", "make", "sentence"),
    [
        ("w.h5", lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n cut"), "w.h5 is damaged or no HDF5 file"),
        ("w.h5", _cut_h5, "w.h5 is damaged or no HDF5 file"),
        ("w.keras", lambda path: path.write_bytes(b"PK\x03\x04 cut"), "w.keras is damaged or no Keras model"),
        ("w.keras", Path.mkdir, "no weights file"),
    ],
)
def test_weights_that_are_there_but_damaged_are_named(name, make, sentence, tmp_path):
    path = tmp_path / name
    make(path)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        if name.endswith(".h5"):
            scaling_of("vgg16", str(path))
        load_backbone_weights(None, path)
