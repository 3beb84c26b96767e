"""The expression of one picture of a face, and where the network looked."""

import os
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from scipy.special import softmax

from palcore import EMOTIONS
from palcore.data.geometry import crop_matrix, transform_image
from palcore.data.table import read_image, resize
from palcore.models import with_attribution
from palcore.runs.evaluation import read_classifier
from palcore.runs.options import Options
from palcore.runs.records import MAKE_RUN, read_record, whole_file

SHOWN = 256
"""Side in pixels of each picture that ``compare_file`` saves."""


def overlay(image, attribution, strength=0.55):
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


def predict_file(image, run, out=None):
    """Probabilities of the seven expressions for one image file, cropped to the face; saves the attribution over it.

    :param image: the picture's path.
    :param run: a run folder of ``palcore.runs.training.train``.
    :param out: where to save; None for ``<picture>_attribution.png`` in the current folder.
    :return: ``({expression: probability}, path of the saved picture)``.
    :raises FileNotFoundError: where the picture or the run is missing.
    :raises ValueError: where the picture cannot be read or ``out`` is no image file.
    """
    (image, out), run = _places(image, out), Path(os.path.expanduser(run))
    read_record(run)  # the run's fault comes before the picture's
    probabilities, drawn = predict_picture(_read_picture(image), run)
    _write_picture(out, drawn)
    return probabilities, out


def predict_picture(picture, run):
    """Probabilities of the seven expressions for one picture, and the attribution drawn over it.

    :param picture: ``(H, W, 3)`` uint8 RGB, cropped to the face.
    :param run: a run folder of ``palcore.runs.training.train``.
    :return: as ``see_picture``.
    :raises FileNotFoundError: where the run is missing.
    """
    record = read_record(run)
    return see_picture(picture, read_classifier(run, record), record["config"], record.get("window"))


def see_picture(picture, classifier, config=None, window=None):
    """Likewise, for a classifier in memory.

    :param picture: ``(H, W, 3)`` uint8 RGB of any size, cropped to the face.
    :param classifier: from ``palcore.models.build_classifier``, trained.
    :param config: a record's; options that it lacks have their defaults.
    :param window: ``[left, top, side]`` to which the picture is cropped first, in fractions, or None.
    :return: ``({expression: probability}, (4 side, 4 side, 3) uint8 RGB)``, with the side that the classifier reads.
    """
    config = {**asdict(Options()), **(config or {})}  # a record may be older than some of the options
    model = with_attribution(classifier, config["layer"], config["attribution"], "mean", config["score"])
    if window is not None:
        left, top, side = window
        picture = transform_image(picture, crop_matrix(left, top, side, side))
    side = classifier.input_shape[1]
    outputs = model.predict(resize(picture, side)[None], verbose=0)
    probabilities = softmax(outputs["expression"][0].astype(np.float64))
    drawn = overlay(resize(picture, 4 * side), outputs["attribution"][0])
    return dict(zip(EMOTIONS, map(float, probabilities), strict=True)), drawn


def saved_runs(*folders):
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
    found = {configs[path]["strategy"] == "none": path for path in reversed(like)}
    return [found[plain] for plain in (True, False) if plain in found]


def compare_file(image, runs, out=None, find=None):
    """The faces of one picture in several runs, saved side by side: a row for each face, first as it is, then as each run sees it.

    :param image: the picture's path.
    :param runs: run folders of ``palcore.runs.training.train``.
    :param out: where to save; None for ``<picture>_attribution.png`` in the current folder.
    :param find: a function of a picture that returns its faces as pictures, such as ``palcore.data.detection.face_crops``; None
        takes the picture as one face.
    :return: ``([{run's name: {expression: probability}} for each face], path of the saved picture)``.
    :raises FileNotFoundError: where the picture or a run is missing.
    :raises ValueError: as for ``predict_file``, and where no face is found.
    """
    image, out = _places(image, out)
    picture = _read_picture(image)
    faces = [picture] if find is None else find(picture)
    if not faces:
        raise ValueError(f"no face found in {image}: crop the picture to one, and leave --find-faces out")
    found, rows = [], []
    for face in faces:
        seen = {str(run): predict_picture(face, Path(os.path.expanduser(run))) for run in runs}
        found.append({run: probabilities for run, (probabilities, _) in seen.items()})
        rows.append(np.hstack([resize(part, SHOWN) for part in (face, *(drawn for _, drawn in seen.values()))]))
    _write_picture(out, np.vstack(rows))
    return found, out


def _places(image, out):
    """The paths of the picture and of what will be saved, once they make sense."""
    image = Path(os.path.expanduser(image))
    out = Path(os.path.expanduser(out or f"{image.stem}_attribution.png"))
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"out {out} has no image suffix: give a .png or .jpg file")
    if out.is_dir():
        raise ValueError(f"out {out} is a folder: give a file")
    return image, out


def _write_picture(out, picture):
    # OpenCV itself can't write to a name that is not UTF-8.
    encoded = cv2.imencode(out.suffix.lower(), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    with whole_file(out) as draft:
        draft.write_bytes(encoded)


def _read_picture(path):
    """``read_image`` of what may be anything; only a file is opened, since a pipe would be waited for."""
    if not path.is_file():
        if not os.path.lexists(path):
            raise FileNotFoundError(f"no image file {path}: check its name")
        kind = "a folder" if path.is_dir() else "a pipe or device" if path.exists() else "a link that leads to no file"
        raise ValueError(f"{path} is {kind}: give a picture's file")
    return read_image(path)
