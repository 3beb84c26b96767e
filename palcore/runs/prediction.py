"""The expressions of pictures of faces, and where the network looked.

A picture is looked at before Keras is imported, which takes seconds: what needs it is imported where it is used.
"""

import csv
import importlib.util
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.special import softmax

from palcore import EMOTIONS
from palcore.data.geometry import crop_matrix, transform_image
from palcore.data.images import read_image, resize
from palcore.files import whole_file
from palcore.runs.records import MAKE_RUN, read_record

SHOWN = 256
"""Side in pixels of each picture that is saved."""

TOGETHER = 32
"""Faces that a network is given at once."""


@dataclass(frozen=True)
class Network:
    """A run's classifier with its attribution, read and compiled once.

    ``window``: ``[left, top, side]`` to which a picture is cropped first, in fractions, or None.
    """

    name: str
    model: Any
    window: list | None = None


@dataclass(frozen=True)
class Answer:
    """What a network makes of a face: ``{expression: probability}``, and the face with its attribution over it, ``(S, S, 3)``."""

    probabilities: dict
    drawn: np.ndarray

    @property
    def expression(self) -> str:
        return max(self.probabilities, key=self.probabilities.get)


@dataclass(frozen=True)
class Seen:
    """A face of a picture, counted from 1, and each network's answer by its name; ``face`` is ``(S, S, 3)`` uint8 RGB."""

    picture: Path
    number: int
    face: np.ndarray
    answers: dict


def overlay(image: np.ndarray, attribution: np.ndarray, strength: float = 0.55) -> np.ndarray:
    """The image with its attribution drawn over it.

    :param image: ``(H, W, 3)`` uint8 RGB.
    :param attribution: ``(h, w)``; negative values count as 0.
    :param strength: opacity of the map, in [0, 1].
    :return: ``(H, W, 3)`` uint8 RGB.
    """
    positive = np.maximum(np.asarray(attribution, np.float32), 0)
    largest = float(positive.max())
    levels = np.uint8(255 * positive / largest) if largest > 0 else np.zeros(positive.shape, np.uint8)
    height, width = image.shape[:2]
    levels = cv2.resize(levels, (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS), cv2.COLOR_BGR2RGB)
    grey = image.mean(axis=-1, keepdims=True)
    return np.uint8(np.round((1 - strength) * grey + strength * colours))


def run_of(path: Path) -> Path:
    """The folder of a run, from that folder or a file in it, such as its classifier."""
    path = Path(os.path.expanduser(path))
    return path.parent if path.is_file() else path


def network_of(run: Path) -> Network:
    """The network of a run's folder.

    :raises FileNotFoundError: where the run or its classifier is missing.
    :raises ValueError: where they are damaged, or not of one run.
    """
    from palcore.runs.evaluation import read_classifier

    record = read_record(run)
    return attributed(str(run), read_classifier(run, record), record["config"], record.get("window"))


def attributed(name: str, classifier: Any, config: dict | None = None, window: list | None = None) -> Network:
    """The network of a classifier in memory.

    :param classifier: from ``palcore.models.build_classifier``, trained.
    :param config: a record's; options that it lacks have their defaults.
    """
    from palcore.models import with_attribution
    from palcore.runs.options import Options

    config = {**asdict(Options()), **(config or {})}  # a record may be older than some of the options
    return Network(name, with_attribution(classifier, config["layer"], config["attribution"], "mean", config["score"]), window)


def _framed(network, face):
    """The part of a face that a network reads."""
    if network.window is None:
        return face
    left, top, side = network.window
    return transform_image(face, crop_matrix(left, top, side, side))


def look(network: Network, faces: list) -> list:
    """A network's ``Answer`` to each of some faces, at most ``TOGETHER``.

    :param faces: ``(H, W, 3)`` uint8 RGB each, of any size, cropped to the face.
    """
    from palcore.evaluation import outputs_of

    framed = [_framed(network, face) for face in faces]
    images = np.stack([resize(face, network.model.input_shape[1]) for face in framed])
    outputs = outputs_of(network.model, images, TOGETHER)
    shares = softmax(outputs["expression"].astype(np.float64), axis=-1)
    return [
        Answer(dict(zip(EMOTIONS, map(float, share), strict=True)), overlay(resize(face, SHOWN), attribution))
        for share, face, attribution in zip(shares, framed, outputs["attribution"], strict=True)
    ]


def predict(pictures: list, networks: list, find: Callable | None = None, troubles: list | None = None) -> Iterator[Seen]:
    """Each face of some pictures as the networks see it, in order; pictures are read as they are needed, and let go.

    :param pictures: paths of their files.
    :param networks: ``Network`` each.
    :param find: a function of a picture that returns its faces as pictures, such as ``palcore.data.detection.face_crops``; None
        takes each picture as one face.
    :param troubles: where the errors of pictures are put that can't be read or have no face; None: the first is raised.
    """
    waiting = []
    for path in pictures:
        try:
            waiting += [(path, number, face) for number, face in enumerate(faces_of(path, find), start=1)]
        except (ValueError, FileNotFoundError) as trouble:
            if troubles is None:
                raise
            troubles.append(trouble)
        while len(waiting) >= TOGETHER:
            yield from _seen(waiting[:TOGETHER], networks)
            waiting = waiting[TOGETHER:]
    if waiting:
        yield from _seen(waiting, networks)


def faces_of(path: Path, find: Callable | None = None) -> list:
    """The faces of a picture, see ``predict``.

    :raises FileNotFoundError: where it is missing.
    :raises ValueError: where it can't be read, or no face is found in it.
    """
    picture = read_image(path)
    faces = [picture] if find is None else find(picture)
    if not faces:
        raise ValueError(f"no face found in {path}: crop the picture to one, and leave --find-faces out")
    return faces


def _seen(waiting, networks):
    answers = [look(network, [face for _, _, face in waiting]) for network in networks]
    for place, (path, number, face) in enumerate(waiting):
        by_name = {network.name: given[place] for network, given in zip(networks, answers, strict=True)}
        yield Seen(path, number, resize(face, SHOWN), by_name)


def saved_runs(*folders: str) -> list:
    """The newest finished run, and beside it the newest on the same data set of the other kind: one without PAL, one with it.

    :param folders: that hold run folders; one that is not there holds none.
    :return: run folders, the one without PAL first; one or two.
    :raises FileNotFoundError: where there is no run, with the command that makes one.
    """
    paths = [path for folder in folders for path in Path(folder).glob("*/record.json")]
    paths = [path.parent for path in paths if path.with_name("classifier.keras").is_file()]
    paths.sort(key=lambda path: (path / "record.json").stat().st_mtime, reverse=True)
    if not paths:
        raise FileNotFoundError(f"no saved run in {' or '.join(map(str, folders))}: {MAKE_RUN} makes one in runs/")
    configs = {path: read_record(path)["config"] for path in paths}
    like = [path for path in paths if configs[path]["dataset"] == configs[paths[0]]["dataset"]]
    newest = {configs[path]["strategy"] == "none": path for path in reversed(like)}
    return [newest[plain] for plain in (True, False) if plain in newest]


def image_file(out: Path) -> Path:
    """The path of a picture to be saved, once it makes sense.

    :raises ValueError: where it does not end as a picture does, or is a folder.
    """
    out = Path(os.path.expanduser(out))
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"out {out} has no image suffix: give a .png or .jpg file")
    if out.is_dir():
        raise ValueError(f"out {out} is a folder: give a file")
    return out


def save_beside(out: Path, faces: list):
    """Save faces as one picture: a row for each, first as it is, then as each network sees it.

    :param faces: ``Seen`` each.
    """
    lines = [np.hstack([seen.face, *(answer.drawn for answer in seen.answers.values())]) for seen in faces]
    # OpenCV itself can't write to a name that is not UTF-8.
    encoded = cv2.imencode(out.suffix.lower(), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))[1].tobytes()
    with whole_file(out) as draft:
        draft.write_bytes(encoded)


@contextmanager
def table(path: Path | None):
    """Yields a function that writes a ``Seen`` into a CSV file, a line for each network; without a path, it does nothing."""
    if path is None:
        yield lambda seen: None
        return
    with (
        whole_file(Path(os.path.expanduser(path))) as draft,
        draft.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        lines = csv.writer(file)
        lines.writerow(["picture", "face", "run", "expression", *EMOTIONS])

        def write(seen: Seen):
            for run, answer in seen.answers.items():
                shares = [f"{answer.probabilities[name]:.4f}" for name in EMOTIONS]
                lines.writerow([seen.picture, seen.number, run, answer.expression, *shares])

        yield write


def export(run: Path, form: str, out: Path | None = None) -> Path:
    """Write a run's classifier in another form, on TensorFlow: from float32 pixels 0 to 255 to seven logits, as before.

    :param form: ``onnx`` or ``tflite``.
    :param out: the file; None for ``classifier.onnx`` or ``classifier.tflite`` in the run's folder.
    :raises ValueError: for another form, or where what it needs is not installed.
    """
    if form not in ("onnx", "tflite"):
        raise ValueError(f"--format {form}: choose from onnx, tflite")
    needed = "tf2onnx" if form == "onnx" else "tensorflow"
    if importlib.util.find_spec(needed) is None:
        raise ValueError(f"{needed} is not installed: in the study's folder run python -m pip install -e '.[onnx]'")
    from palcore.runs.evaluation import read_classifier

    classifier = read_classifier(run, read_record(run))
    classifier(np.zeros((1, *classifier.input_shape[1:]), np.float32))  # Keras exports what was called before
    out = Path(os.path.expanduser(out or run / f"classifier.{form}"))
    with whole_file(out, f".tmp.{form}") as draft, redirect_stdout(io.StringIO()):  # which tells all that it does
        if form == "onnx":
            classifier.export(str(draft), format="onnx", verbose=False)
        else:
            import tensorflow as tf

            draft.write_bytes(tf.lite.TFLiteConverter.from_keras_model(classifier).convert())
    return out
