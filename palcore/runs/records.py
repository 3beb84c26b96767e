"""Run records: what was run, on what, and what came out. Every number in the book is read from one of these."""

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from palcore import __version__
from palcore.data.memory import keep_freed_memory
from palcore.files import read_arrays, read_json

PLACES = ("data_dir", "landmarks", "out_dir")  # options that say where things are: no part of a record, which is to be shared
MAKE_RUN = "`papermill notebooks/train.ipynb OUT.ipynb`"  # what makes a run, in the study's folder
STATE = "resume.npz"  # the state of a half-finished run, in its folder
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-python-headless", "pillow", "scikit-learn")


def repository_root() -> Path:
    """The folder of this study, the nearest one at or above the working directory, or else the package, with ``_toc.yml``.

    :raises FileNotFoundError: outside a copy of the study.
    """
    for place in (Path.cwd(), Path(__file__)):
        for folder in (place.resolve(), *place.resolve().parents):
            if (folder / "_toc.yml").is_file() and (folder / "palcore").is_dir():
                return folder
    raise FileNotFoundError(f"no _toc.yml and palcore/ at or above {Path.cwd()}: run this inside a copy of the study")


def versions() -> dict[str, str]:
    """Version of Python and of each package that can change a result; those not installed are left out."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            numbers[package] = importlib.metadata.version(package)
    return numbers


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def device() -> str:
    """Name of the accelerator that the backend uses, or of the processor with its number of cores."""
    import keras  # here, since reading and writing records does without it and importing it takes seconds

    backend = keras.backend.backend()
    names = []
    if backend == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            names.append(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
    elif backend == "jax":
        import jax

        names = [each.device_kind for each in jax.devices() if each.platform != "cpu"]
    return ", ".join(names) if names else f"{_processor()}, {os.cpu_count()} cores"


def threads() -> int:
    """Threads among which one operation is split; sums are, too, so that the last digits of a run depend on their number."""
    given = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(given) if given.isdigit() and int(given) else cores


def commit() -> str | None:
    """The study's commit, with ``+`` where tracked files differ from it; None outside a git copy."""
    try:
        command = ["git", "-C", str(repository_root()), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def run_facts(options: Any, image_size: int, window: list | None, data: dict) -> dict:
    """All that makes a run what it is, but for the places of things: options, faces, backend and versions.

    :param options: ``palcore.runs.options.Options``, which this module does not import: records are read without Keras.
    :param image_size: side in pixels, whether the options or the data set gave it.
    :param window: to which faces that are not trained on are cropped, ``[left, top, side]``, or None.
    :param data: from ``palcore.runs.faces.run_data``.
    """
    import keras

    config = {name: value for name, value in asdict(options).items() if name not in PLACES}
    config |= {"image_size": image_size, "weights": options.weights and Path(options.weights).name}
    facts = {"config": config, "window": window, "data": data, "backend": keras.backend.backend()}
    if options.weights and Path(options.weights).is_file():
        with open(options.weights, "rb") as file:
            facts["weights_file"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return facts | {"versions": {"palcore": __version__, **versions()}}


def identity(record: dict) -> str:
    """Sixteen digits of a record, or of ``run_facts``, that change with any option, version or face: two runs that share them must
    end the same."""
    kept = {name: record.get(name) for name in ("config", "window", "data", "backend", "weights_file", "versions")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def history_of(logs: dict, options: Any) -> dict[str, list[float]]:
    """Keras's history under the same names for every strategy, as plain numbers; PAL's loss without its weight."""
    history = {}
    for name, values in logs.items():
        weighted = name.endswith("attribution_loss") and options.warp == "device" and options.pal_weight > 0
        if options.strategy == "none":
            name = f"{'val_' if name.startswith('val_') else ''}expression_{name.removeprefix('val_')}"
        history[name] = [round(float(value) / (options.pal_weight if weighted else 1.0), 6) for value in values]
    return history


def machine_facts() -> dict:
    """What a record says of the machine: no number but the last digits depends on it."""
    return {"device": device(), "threads": threads(), "memory": keep_freed_memory()}


def read_record(path: str | Path) -> dict:
    """A run's record as a dictionary, from ``record.json`` or the run folder that holds it.

    :raises ValueError: where the file is not a record; a ``FileNotFoundError`` where there is none.
    """
    path = Path(os.path.expanduser(path))
    path = path / "record.json" if path.is_dir() else path
    remedy = f"give the folder that a training run has written, or make one with {MAKE_RUN}"
    if not path.exists() and path.with_name(STATE).is_file():
        raise FileNotFoundError(f"no run record {path}: its training has not ended")
    record = read_json(path, "run record", remedy)
    if fault := _fault(record):
        raise ValueError(f"{path} is not a run record: {fault}")
    return record


def _fault(record):
    """What a record lacks of that which every reader takes for granted; None for a whole one."""
    if not isinstance(record, dict) or not all(isinstance(record.get(part), dict) for part in ("config", "metrics", "history")):
        return "it lacks config, metrics or history"
    window = record.get("window")
    numbers = isinstance(window, list) and all(isinstance(value, int | float) and math.isfinite(value) for value in window)
    if window is not None and not (numbers and len(window) == 3 and window[2] > 0):
        return f"its window is {window!r}, not left, top and side"
    return None


def predictions_of(path: str | Path) -> dict:
    """All arrays of a run's ``predictions.npz``; errors as ``palcore.files.read_arrays``."""
    return read_arrays(path, "predictions", "give the folder that a training run has written, or train it again")
