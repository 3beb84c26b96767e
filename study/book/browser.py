"""Trained networks, small enough to be committed and to answer in a reader's browser: ``results/browser/``.

``python -m study.book.browser [fer2013=DIR] NAME=RUN ...`` writes ``NAME.npz``, the weights of a finished run of the grid as int8,
and ``NAME.json``, the run's record with what int8 changes. ``book/patch/patch.js`` computes with them what Keras computes.
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.synthetic import PATCH_COLOURS, PATCH_SIDE
from palcore.files import write_arrays, write_json
from palcore.runs.records import read_record, repository_root

FOLDER = repository_root() / "results" / "browser"
LEVELS = 63
"""Steps on either side of zero that a weight takes: seven bits, with which a network stays below 1 MiB."""

NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def quantised(kernel):
    """A kernel whose last axis is the output channel, in steps of its own for each channel.

    :param kernel: ``(..., C)`` float.
    :return: ``(int8 likewise, step (C,) float32)``; their product is off by half a step at most.
    """
    step = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / LEVELS
    step = np.where(step > 0, step, 1).astype(np.float32)
    return np.round(kernel / step).astype(np.int8), step


KNOWN = {
    **dict.fromkeys(["InputLayer", "Dropout", "Flatten", "Rescaling", "BatchNormalization", "Dense"], {}),
    "Conv2D": {"kernel_size": (3, 3), "padding": "same", "strides": (1, 1)},
    **dict.fromkeys(["MaxPooling2D", "AveragePooling2D"], {"pool_size": (2, 2), "padding": "valid"}),
}
"""The layers that ``patch.js`` has code for, and what it takes for granted of them."""


def described(classifier):
    """What each layer of a classifier does, in the words of ``patch.js``: ``[{"kind", "name", ...}]``; dropout does nothing.

    :raises ValueError: for a layer that ``patch.js`` has no code for.
    """
    layers = []
    for layer in classifier.layers:
        kind, config = type(layer).__name__, layer.get_config()
        known = kind in KNOWN and all(config[name] == value for name, value in KNOWN[kind].items())
        if not known or config.get("activation", "relu") not in ("relu", "linear"):
            raise ValueError(f"layer {layer.name!r} ({kind}) of {classifier.name}: book/patch/patch.js has no code for it")
        step = {"kind": kind, "name": layer.name}
        step |= {name: config[name] for name in ("scale", "offset", "epsilon") if name in config}
        if "activation" in config:
            step["relu"] = config["activation"] == "relu"
        if kind not in ("InputLayer", "Dropout"):
            layers.append(step)
    return layers


def packed(classifier):
    """Its weights, ``{"layer/part": array}``: kernels int8 with their steps, all else float32."""
    arrays = {}
    for layer in classifier.layers:
        for weight in layer.weights:
            value = np.asarray(weight.value, np.float32)
            if weight.name == "kernel":
                value, arrays[f"{layer.name}/step"] = quantised(value)
            if weight.name in ("kernel", "bias", *NORM):
                arrays[f"{layer.name}/{weight.name}"] = value
    return arrays


def unpacked(name):
    """The committed classifier ``name`` as a Keras model, with the very weights that the browser has."""
    from palcore.models import build_classifier

    config = read_record(FOLDER / f"{name}.json")["config"]
    kept = ("backbone", "image_size", "units", "dropout", "width_multiplier", "normalisation")
    options = {key: config[key] for key in kept if key in config}
    classifier = build_classifier(**options)
    with np.load(FOLDER / f"{name}.npz") as arrays:
        for layer in classifier.layers:
            for weight in layer.weights:
                if f"{layer.name}/{weight.name}" in arrays:
                    value = arrays[f"{layer.name}/{weight.name}"]
                    weight.assign(value * arrays[f"{layer.name}/step"] if weight.name == "kernel" else value)
    return classifier


def _compared(classifier, small, record, data_dir):
    """What int8 changes, on all test faces, in each condition of a run."""
    from palcore.runs.faces import tested_faces
    from palcore.runs.options import options_of

    options, changes = options_of({**record["config"], "robustness": False}, data_dir=data_dir), {}
    for condition, faces in tested_faces(options, record.get("window")).items():
        whole, int8 = (each.predict(faces.images[:], verbose=0).argmax(axis=-1) for each in (classifier, small))
        changes[condition] = {"accuracy": float(np.mean(int8 == faces.labels)), "same_answer": float(np.mean(int8 == whole))}
    return changes


def commit_network(name, run, data_dir=None):
    """Write ``NAME.npz`` and ``NAME.json`` from a finished run, whose folder has its cell's name (``study/cells.py``).

    :param data_dir: folder of the data set; None for drawn faces.
    :raises FileNotFoundError: where the study has no published record of that cell.
    """
    from palcore.runs.evaluation import read_classifier
    from palcore.weights import weights_digest

    record = read_record(run)
    path = FOLDER.parent / "runs" / f"{Path(run).resolve().name}.json"
    committed, classifier = read_record(path), read_classifier(run, record)
    write_arrays(FOLDER / f"{name}.npz", packed(classifier))
    int8 = {"layers": described(classifier)}
    write_json(FOLDER / f"{name}.json", record | {"int8": int8})
    small = unpacked(name)
    int8 |= {"weights": weights_digest(small), "changes": _compared(classifier, small, record, data_dir)}
    int8["committed"] = {
        "record": f"runs/{path.name}",
        "same_options": committed["config"].items() <= record["config"].items(),
        "same_faces": all(committed["data"][split].items() <= faces.items() for split, faces in record["data"].items()),
        "accuracy": {condition: committed["metrics"][condition]["accuracy"] for condition in int8["changes"]},
    }
    write_json(FOLDER / f"{name}.json", record | {"int8": int8})
    print(f"{FOLDER / name}.npz: {(FOLDER / f'{name}.npz').stat().st_size / 2**20:.2f} MiB")


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def scripts():
    """What the page loads when its reader asks: ``{file name: text}``, a script for each network and one for the faces.

    Scripts, since a page that is read from a disk may load nothing else. The faces are the first seven test faces, one an
    expression, without patch.
    """
    texts = {}
    for path in sorted(FOLDER.glob("*.npz")):
        record = read_record(path.with_suffix(".json"))
        with np.load(path) as arrays:
            weights = {key: _base64(array) for key, array in arrays.items()}
        size = record["config"]["image_size"]
        network = {"layers": record["int8"]["layers"], "size": size, "emotions": EMOTIONS, "weights": weights}
        texts[f"{path.stem}.js"] = f"(window.patchData ??= {{}}).{path.stem} = {json.dumps(network)};\n"
    config = read_record(FOLDER / "none.json")["config"]
    size = config["image_size"]
    faces = load("synthetic", split="test", image_size=size, shortcut=None, seed=config["seed"], count=len(EMOTIONS))
    shown = {
        "colours": PATCH_COLOURS,
        "side": round(PATCH_SIDE * size),
        "labels": faces.labels.tolist(),
        "images": _base64(faces.images[:]),
    }
    return texts | {"faces.js": f"(window.patchData ??= {{}}).faces = {json.dumps(shown)};\n"}


def main(words):
    pairs = [word.split("=", 1) for word in words]
    if not pairs or not all(len(pair) == 2 and pair[0].isidentifier() for pair in pairs):
        sys.exit("give names and run folders: python -m study.book.browser none=RUN_WITHOUT_PAL mean=RUN_WITH_PAL")
    runs = dict(pairs)
    data_dir = runs.pop("fer2013", None)
    for name, run in runs.items():
        commit_network(name, Path(run), data_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
