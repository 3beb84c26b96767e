"""The expressions of pictures of faces, and where the network looked.

A picture is looked at before Keras is imported, which takes seconds: what needs it is imported where it is used.
"""

import csv
import importlib.util
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.special import softmax

from palcore import EMOTIONS, choose
from palcore.data.geometry import crop_matrix, transform_image
from palcore.data.images import read_image, resize
from palcore.files import whole_file
from palcore.runs.records import MAKE_RUN, read_record

SHOWN = 256  # side in pixels of each picture that is saved
TOGETHER = 32  # faces that a network is given at once
OPACITY = 0.55  # of an attribution that is drawn over its face


class Network(NamedTuple):
    """A run's classifier with its attribution, read and compiled once; ``window`` is ``[left, top, side]`` to which a picture is
    cropped first, in fractions, or None."""

    name: str
    model: Any
    window: list | None = None


class Answer(NamedTuple):
    """What a network makes of a face: ``{expression: probability}``, and the face with its attribution over it, ``(S, S, 3)``."""

    probabilities: dict[str, float]
    drawn: np.ndarray

    @property
    def expression(self) -> str:
        return max(self.probabilities, key=self.probabilities.get)


class Seen(NamedTuple):
    """A picture of a face, and each network's answer by its name; ``face`` is ``(S, S, 3)`` uint8 RGB."""

    picture: Path
    face: np.ndarray
    answers: dict[str, Answer]


def overlay(image: np.ndarray, attribution: np.ndarray) -> np.ndarray:
    """The image ``(H, W, 3)`` uint8 RGB, in grey, with its attribution ``(h, w)`` drawn over it; negative values count as 0."""
    positive = np.maximum(np.asarray(attribution, np.float32), 0)
    levels = np.uint8(255 * positive / max(positive.max(), np.finfo(np.float32).tiny))
    levels = cv2.resize(levels, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_CIVIDIS), cv2.COLOR_BGR2RGB)
    return np.uint8(np.round((1 - OPACITY) * image.mean(axis=-1, keepdims=True) + OPACITY * colours))


def run_of(path: Path) -> Path:
    """The folder of a run, from that folder or a file in it, such as its classifier."""
    path = Path(path).expanduser()
    return path.parent if path.is_file() else path


def network_of(run: Path) -> Network:
    """The network of a run's folder; errors as ``read_record`` and ``palcore.runs.evaluation.read_classifier``."""
    from palcore.runs.evaluation import read_classifier

    record = read_record(run)
    return attributed(str(run), read_classifier(run, record), record["config"], record.get("window"))


def attributed(name: str, classifier: Any, config: dict | None = None, window: list | None = None) -> Network:
    """The network of a trained classifier in memory; ``config`` is a record's, and options that it lacks have their defaults."""
    from palcore.models import with_attribution
    from palcore.runs.options import Options

    config = {**asdict(Options()), **(config or {})}
    return Network(name, with_attribution(classifier, config["layer"], config["attribution"], "mean", config["score"]), window)


def look(network: Network, faces: list) -> list[Answer]:
    """A network's answer to each of some faces, ``(H, W, 3)`` uint8 RGB of any size, cropped to the face; at most ``TOGETHER``."""
    from palcore.evaluation import outputs_of

    if network.window is not None:
        left, top, side = network.window
        faces = [transform_image(face, crop_matrix(left, top, side, side)) for face in faces]
    images = np.stack([resize(face, network.model.input_shape[1]) for face in faces])
    outputs = outputs_of(network.model, images, TOGETHER)
    shares = softmax(outputs["expression"].astype(np.float64), axis=-1)
    return [
        Answer(dict(zip(EMOTIONS, map(float, share), strict=True)), overlay(resize(face, SHOWN), attribution))
        for share, face, attribution in zip(shares, faces, outputs["attribution"], strict=True)
    ]


def predict(pictures: list, networks: list, troubles: list | None = None) -> Iterator[Seen]:
    """Some pictures, each cropped to a face, as the networks see them, in order; ``TOGETHER`` are read at once, and let go.

    :param pictures: paths of their files.
    :param troubles: where the errors of pictures are put that can't be read; None: the first is raised.
    """
    for start in range(0, len(pictures), TOGETHER):
        paths, faces = [], []
        for path in pictures[start : start + TOGETHER]:
            try:
                faces.append(read_image(path))
                paths.append(path)
            except (ValueError, FileNotFoundError) as trouble:
                if troubles is None:
                    raise
                troubles.append(trouble)
        answers = {network.name: look(network, faces) for network in networks if faces}
        for place, (path, face) in enumerate(zip(paths, faces, strict=True)):
            yield Seen(path, resize(face, SHOWN), {name: given[place] for name, given in answers.items()})


def saved_runs(*folders: str) -> list[Path]:
    """The newest finished run in some folders of runs, and the newest of the other kind on the same data set: without PAL, with it.

    :return: run folders, the one without PAL first; one or two.
    :raises FileNotFoundError: where there is no run, with the command that makes one.
    """
    runs = [path.parent for folder in folders for path in Path(folder).glob("*/record.json")]
    runs = [run for run in runs if (run / "classifier.keras").is_file()]
    runs.sort(key=lambda run: (run / "record.json").stat().st_mtime)
    if not runs:
        raise FileNotFoundError(f"no saved run in {' or '.join(map(str, folders))}: {MAKE_RUN} makes one in runs/")
    configs = {run: read_record(run)["config"] for run in runs}
    like = [run for run in runs if configs[run]["dataset"] == configs[runs[-1]]["dataset"]]
    newest = {configs[run]["strategy"] == "none": run for run in like}
    return [newest[plain] for plain in (True, False) if plain in newest]


def image_file(out: Path) -> Path:
    """The path of a picture to be saved; a ``ValueError`` where it does not end as a picture does, or is a folder."""
    out = Path(out).expanduser()
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"out {out} has no image suffix: give a .png or .jpg file")
    if out.is_dir():
        raise ValueError(f"out {out} is a folder: give a file")
    return out


def save_beside(out: Path, faces: list[Seen]) -> None:
    """Save faces as one picture: a row for each, first as it is, then as each network sees it."""
    lines = [np.hstack([seen.face, *(answer.drawn for answer in seen.answers.values())]) for seen in faces]
    # OpenCV itself can't write to a name that is not UTF-8.
    encoded = cv2.imencode(out.suffix.lower(), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))[1].tobytes()
    with whole_file(out) as draft:
        draft.write_bytes(encoded)


@contextmanager
def table(path: Path | None) -> Iterator[Callable]:
    """Yields a function that writes a ``Seen`` into a CSV file, a line for each network; without a path, it does nothing."""
    if path is None:
        yield lambda seen: None
        return
    utf8 = {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}
    with whole_file(path.expanduser()) as draft, draft.open("w", **utf8) as file:
        lines = csv.writer(file)
        lines.writerow(["picture", "run", "expression", *EMOTIONS])

        def write(seen: Seen):
            for run, answer in seen.answers.items():
                shares = [f"{answer.probabilities[name]:.4f}" for name in EMOTIONS]
                lines.writerow([seen.picture, run, answer.expression, *shares])

        yield write


def export(run: Path, form: str, out: Path | None = None) -> Path:
    """Write a run's classifier in another form, on TensorFlow: from float32 pixels 0 to 255 to seven logits, as before.

    :param out: the file; None for ``classifier.onnx`` or ``classifier.tflite`` in the run's folder.
    :raises ValueError: for another form than ``onnx`` and ``tflite``, or where what it needs is not installed.
    """
    needed = {"onnx": "tf2onnx", "tflite": "tensorflow"}
    choose(form, needed, f"--format {form}")
    if importlib.util.find_spec(needed[form]) is None:
        raise ValueError(f"{needed[form]} is not installed: in the study's folder run python -m pip install -e '.[onnx]'")
    from palcore.runs.evaluation import read_classifier

    classifier = read_classifier(run, read_record(run))
    classifier(np.zeros((1, *classifier.input_shape[1:]), np.float32))  # Keras exports what was called before
    out = Path(out or run / f"classifier.{form}").expanduser()
    with whole_file(out, f".tmp.{form}") as draft, redirect_stdout(io.StringIO()):  # which tells all that it does
        if form == "onnx":
            classifier.export(str(draft), format="onnx", verbose=False)
        else:
            import tensorflow as tf

            draft.write_bytes(tf.lite.TFLiteConverter.from_keras_model(classifier).convert())
    return out
