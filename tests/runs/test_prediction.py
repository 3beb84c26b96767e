"""What people give to ``predict``: pictures, folders, broken runs; each bad thing ends with one sentence and exit code 1."""

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import h5py
import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

from palcore import EMOTIONS
from palcore.__main__ import main
from palcore.data.images import resize
from palcore.models import build_classifier, with_attribution
from palcore.runs import evaluation
from palcore.runs.options import Options
from palcore.runs.prediction import SHOWN, TOGETHER, network_of, overlay, predict
from palcore.weights import load_backbone_weights, scaling_of, weights_digest

FACE = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)


@pytest.fixture
def call(capsys, monkeypatch):
    """``call(*words)``: the command line's exit code, and what it says on the standard streams."""

    def run(*words):
        code, before = 0, signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr(sys, "argv", ["palcore", *map(os.fspath, words)])
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        finally:
            signal.signal(signal.SIGTERM, before)
        return code, *capsys.readouterr()

    return run


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
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def face(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "face.png"
    Image.fromarray(FACE).save(path)
    return path


def test_what_is_no_picture_is_named_before_keras_starts(run, face, monkeypatch, call):
    monkeypatch.setattr("palcore.__main__.start_quietly", lambda: pytest.fail("Keras was started first"))
    path, jpeg = face.with_name("x.jpg"), cv2.imencode(".jpg", FACE)[1].tobytes()
    for sentence in ("no picture", "cut short or damaged"):
        code, _, said = call("predict", path, "--model", run)
        assert code == 1 and sentence in said and str(path) in said and said.count("\n") == 1
        path.write_bytes(jpeg[: len(jpeg) // 20])
    assert {path.name for path in face.parent.iterdir()} == {"run", "face.png", "x.jpg"}


def test_a_prediction_writes_no_log_line(run, face):
    """Neither the oneDNN line of TensorFlow's import nor what the device is, whatever the environment asks for."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-m", "palcore", "predict", "face.png", "--model", run]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert sum(float(share) for _, share in lines[1:8]) == pytest.approx(1, abs=0.004)


def test_folders_and_several_pictures_become_one_table(run, face, call):
    folder = face.with_name("folder")
    folder.mkdir()
    for number in range(TOGETHER + 3):
        Image.fromarray(np.roll(FACE, number, axis=0)).save(folder / f"{number:02}.PNG")
    (folder / "notes.txt").touch()
    (folder / "broken.jpg").write_bytes(b"no picture")
    code, out, said = call("predict", face, folder, "--model", run / "classifier.keras", "--csv", "table.csv")
    assert code == 1 and said.startswith(f"{folder / 'broken.jpg'} cannot be read as an image") and said.count("\n") == 1
    with open("table.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    names = [str(face), *(str(folder / f"{number:02}.PNG") for number in range(TOGETHER + 3))]
    assert [line["picture"] for line in lines] == names
    assert [line.split()[0] for line in out.splitlines()] == names
    model = with_attribution(keras.models.load_model(run / "classifier.keras"))
    for line, name in zip(lines, names, strict=True):
        image = resize(cv2.imread(name)[..., ::-1], 32)
        shares = keras.ops.softmax(model.predict_on_batch(image[None])["expression"][0])
        np.testing.assert_allclose([float(line[emotion]) for emotion in EMOTIONS], shares, atol=1e-3)
        assert float(line[line["expression"]]) == max(float(line[emotion]) for emotion in EMOTIONS)
    assert not list(face.parent.glob("*attribution*"))
    assert call("predict", face, folder, "--model", run, "--out", "drawn.png")[0] == 1  # for the broken one
    assert cv2.imread("drawn.png").shape == (SHOWN * (TOGETHER + 4), 2 * SHOWN, 3)


def test_the_classifier_is_read_once_and_memory_stays_flat(run, face, monkeypatch):
    reads = []
    monkeypatch.setattr(evaluation, "read_model", lambda path, read=evaluation.read_model: reads.append(path) or read(path))
    network, large = network_of(run), face.with_name("large.png")
    Image.fromarray(FACE).resize((1500, 1500)).save(large)
    for seen in predict([large] * TOGETHER, [network]):
        assert seen.face.shape == (SHOWN, SHOWN, 3)
    before = psutil.Process().memory_info().rss
    answers = [seen.answers[str(run)].expression for seen in predict([large] * (2 * TOGETHER), [network])]
    assert len(answers) == 2 * TOGETHER and len(set(answers)) == 1 and len(reads) == 1
    assert psutil.Process().memory_info().rss - before < 2 * TOGETHER * 3 * 1500**2


def test_unusual_pictures_are_read(run, face, call):
    images = {
        "grey.png": Image.fromarray(FACE[..., 0]),
        "sixteen.png": Image.fromarray(FACE[..., 0].astype(np.uint16) * 257),
        "alpha.png": Image.fromarray(np.dstack([FACE, FACE[..., :1]])),
        "one.png": Image.fromarray(FACE[:1, :1]),
        "cmyk.jpg": Image.fromarray(FACE).convert("CMYK"),
        "GREAT.JPG": Image.fromarray(FACE),
        "with space and ümlaut.png": Image.fromarray(FACE),
        "caf\udce9.png": Image.fromarray(FACE),
    }
    for name, image in images.items():
        with open(face.with_name(name), "wb") as file:
            image.save(file, "JPEG" if name.lower().endswith("jpg") else "PNG")
    code, out, said = call("predict", *map(face.with_name, images), "--model", run)
    assert (code, said, len(out.splitlines())) == (0, "", len(images))
    code, out, said = call("predict", face.with_name(name), "--model", run)
    assert (code, said, len(out.splitlines())) == (0, "", 9)
    drawn = np.frombuffer(face.with_name(f"{face.with_name(name).stem}_attribution.png").read_bytes(), np.uint8)
    assert cv2.imdecode(drawn, cv2.IMREAD_COLOR).shape == (SHOWN, 2 * SHOWN, 3)
    assert overlay(np.full((8, 8, 3), 100, np.uint8), np.zeros((2, 2))).shape == (8, 8, 3)  # of a dead map


MAKE = "`papermill notebooks/train.ipynb OUT.ipynb`"
PREDICT = ("predict", "face.png", "--model", "run", "--out")
SAID = {
    "no run": (("predict", "face.png"), f"no saved run in runs: {MAKE} makes one in runs/\n"),
    "not that run": ((*PREDICT[:3], "nowhere"), f"give the folder that a training run has written, or make one with {MAKE}\n"),
    "no image suffix": ((*PREDICT, "x.txt"), "out x.txt has no image suffix: give a .png or .jpg file"),
    "a folder": ((*PREDICT, "x.png"), "out x.png is a folder: give a file"),
    "below a file": ((*PREDICT, "face.png/below.png"), "face.png/below.png can't be written"),
    "no such place": ((*PREDICT, "/proc/palcore/x.png"), "/proc/palcore/x.png can't be written"),
    "not installed": (("export", "run", "--format", "onnx"), "tf2onnx is not installed: in the study's folder run python -m pip"),
    "another form": (("export", "run", "--format", "pb"), "--format pb: choose from onnx, tflite"),
    "a report in place of a folder": (
        ("check", "fer2013", "--data-dir", "nothing", "--json", "x.png"),  # before the check, which would miss the folder
        "--json x.png can't be written: give the path of a file in a folder that you may write to\n",
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_cannot_be_done_is_said_with_what_would_be_right(case, run, face, monkeypatch, call):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "tf2onnx" else find(name, *more))
    face.with_name("x.png").mkdir()
    words, sentence = SAID[case]
    code, _, said = call(*words)
    assert code == 1 and sentence in said and said.count("\n") == 1
    assert not list(run.glob("*.onnx"))


def _record(change):
    def damage(run):
        record = json.loads((run / "record.json").read_text())
        change(record)
        (run / "record.json").write_text(json.dumps(record))

    return damage


def test_two_saved_runs_beside_each_other_on_a_picture_larger_than_what_they_read(run, face, call):
    for age, (name, strategy) in enumerate({"old": "mean", "plain": "none", "guided": "mean", "half": "half"}.items()):
        folder = shutil.copytree(run, run.with_name("runs") / name)
        _record(lambda record, strategy=strategy: record["config"].update(strategy=strategy))(folder)
        os.utime(folder / "record.json", (age, age))
    Image.fromarray(FACE).resize((300, 200)).save("photo.png")
    (face.parent / "runs" / "half" / "classifier.keras").unlink()  # a run that cannot be asked is none
    code, out, said = call("predict", "photo.png")
    assert code == 0, said
    lines = out.splitlines()
    assert (lines[0], lines[8]) == ("runs/plain: photo.png", "runs/guided: photo.png")
    assert lines[16] == "attribution: photo_attribution.png"
    for block in (lines[1:8], lines[9:16]):
        assert sum(float(line.split()[1]) for line in block) == pytest.approx(1, abs=0.004)
    assert cv2.imread("photo_attribution.png").shape == (SHOWN, 3 * SHOWN, 3)


def logits_of_tflite(path, faces):
    interpreter = tf.lite.Interpreter(model_path=str(path))
    [given], [out] = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], faces.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], faces)
    interpreter.invoke()
    return interpreter.get_tensor(out["index"])


def logits_of_onnx(path, faces):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: faces})[0]


@pytest.mark.filterwarnings("ignore:.*Interpreter is deprecated", "ignore:In the future `np.object`:FutureWarning")
@pytest.mark.parametrize(("form", "name", "logits_of"), [("tflite", "x", logits_of_tflite), ("onnx", "classifier", logits_of_onnx)])
def test_an_exported_file_gives_the_same_logits(form, name, logits_of, run, call):
    if form == "onnx":
        pytest.importorskip("onnxruntime", reason="not here: install it beside the extra onnx")
    path = run / f"{name}.{form}"
    code, out, said = call("export", run, "--format", form, *(["--out", path] if name == "x" else []))
    assert (code, out) == (0, f"{path}\n"), said
    faces = np.random.default_rng(1).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    expected = keras.models.load_model(run / "classifier.keras").predict_on_batch(faces)
    np.testing.assert_allclose(logits_of(path, faces), expected, atol=1e-5)


def _classifier(side, *kinds):
    """One of these layers in place of the run's."""

    def damage(run):
        model = keras.Sequential([keras.Input((side, side, 3)), *kinds])
        model.save(run / "classifier.keras")
        _record(lambda record: record.update(weights=weights_digest(model)))(run)

    return damage


hostile = keras.layers.Lambda(lambda x: x[:, 0, 0, :1] * np.ones(7))
RUNS = {
    "no metrics": (_record(lambda record: record.pop("metrics")), "it lacks config, metrics or history"),
    "window of no size": (_record(lambda record: record.update(window=[0.1, 0.2, 0])), "its window is"),
    "unknown layer": (_record(lambda record: record["config"].update(layer="gone")), "no layer 'gone'"),
    "unknown attribution": (_record(lambda record: record["config"].update(attribution="new")), "unknown method 'new'"),
    "no classifier": (lambda run: (run / "classifier.keras").unlink(), "no classifier.keras in"),
    "classifier cut": (lambda run: os.truncate(run / "classifier.keras", 3000), "is damaged or no Keras model"),
    "classifier hostile": (_classifier(32, hostile), "is damaged or no Keras model that is safe to load"),
    "other weights": (_record(lambda record: record.update(weights="others")), "has other weights than its record.json says"),
    "other architecture": (
        _classifier(40, keras.layers.Flatten(), keras.layers.Dense(7)),
        "goes from (None, 40, 40, 3) to (None, 7), and record.json is of a classifier from (None, 32, 32, 3)",
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_broken_run_folder_is_named(case, run, face, call):
    damage, sentence = RUNS[case]
    damage(run)
    code, _, said = call("predict", face, "--model", run)
    assert code == 1 and sentence in said, said
    assert not face.with_name("face_attribution.png").exists()


def test_a_home_folder_is_understood(run, face, monkeypatch, call):
    monkeypatch.setenv("HOME", str(face.parent))
    code, _, said = call("predict", "~/face.png", "--model=~/run", "--out=~/drawn.png")
    assert code == 0, said
    assert face.with_name("drawn.png").exists()


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
