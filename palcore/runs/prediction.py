"""The expression of one picture of a face, and where the network looked."""

from pathlib import Path

import cv2
import keras
import numpy as np
from scipy.special import softmax

from palcore import EMOTIONS
from palcore.data.geometry import crop_matrix, transform_image
from palcore.data.table import read_image, resize
from palcore.models import with_attribution
from palcore.runs.records import read_record


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
    image, run = Path(image), Path(run)
    record = read_record(run)
    picture = read_image(image)
    out = Path(out) if out else Path(f"{image.stem}_attribution.png")
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"out {out} has no image suffix: give a .png or .jpg file")
    classifier = keras.models.load_model(run / "classifier.keras", compile=False)
    config = record["config"]
    model = with_attribution(classifier, config["layer"], config["attribution"], "mean", config["score"])
    if record.get("window") is not None:
        left, top, side = record["window"]
        picture = transform_image(picture, crop_matrix(left, top, side, side))
    outputs = model.predict(resize(picture, config["image_size"])[None], verbose=0)
    probabilities = softmax(outputs["expression"][0].astype(np.float64))
    large = resize(picture, 4 * config["image_size"])
    out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(out), cv2.cvtColor(overlay(large, outputs["attribution"][0]), cv2.COLOR_RGB2BGR)):
        raise ValueError(f"out {out} cannot be written: choose another place")
    return dict(zip(EMOTIONS, map(float, probabilities), strict=True)), out
