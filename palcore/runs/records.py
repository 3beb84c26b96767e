"""Run records: what was run, on what, and what came out. Every number in the book is read from one of these."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from palcore import __version__

PLACES = ("data_dir", "landmarks", "out_dir")
"""Options that say where things are: no part of a record, which is to be shared."""

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "opencv-python-headless", "pillow", "scikit-learn")


def repository_root(start=None):
    """The folder of this study, the nearest one at or above ``start`` (default: here, then the package's) with ``_toc.yml``.

    :raises FileNotFoundError: outside a copy of the study.
    """
    starts = [Path(start)] if start else [Path.cwd(), Path(__file__)]
    for place in starts:
        for folder in (place.resolve(), *place.resolve().parents):
            if (folder / "_toc.yml").is_file() and (folder / "palcore").is_dir():
                return folder
    raise FileNotFoundError(f"no _toc.yml and palcore/ at or above {starts[0]}: run this inside a copy of the study")


def versions():
    """Version of Python and of each package that can change a result; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def device():
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

        names = [found.device_kind for found in jax.devices() if found.platform != "cpu"]
    return ", ".join(names) if names else f"{_processor()}, {os.cpu_count()} cores"


def commit():
    """The study's commit, with ``+`` where tracked files differ from it; None outside a git copy."""
    try:
        root = repository_root()
        git = ["git", "-C", str(root)]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")


def write_json(path, content):
    """Write a record so that a crash leaves the old file or the new one, never half of one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    draft.replace(path)


def write_record(folder, options, image_size, **facts):
    """Write a run's ``record.json``: its options but for the places of things, the facts, and what it was run with.

    :param folder: the run's.
    :param options: from ``palcore.runs.options.check_options``.
    :param image_size: side in pixels, whether the options or the data set gave it.
    :param facts: what JSON can hold.
    """
    import keras

    config = {name: value for name, value in asdict(options).items() if name not in PLACES}
    config |= {"image_size": image_size, "weights": options.weights and Path(options.weights).name}
    machine = {"backend": keras.backend.backend(), "device": device(), "versions": {"palcore": __version__, **versions()}}
    write_json(folder / "record.json", {"config": config, **facts, **machine})


def read_record(path):
    """A run's record as a dictionary.

    :param path: ``record.json``, or the run folder that holds it.
    :raises FileNotFoundError: where there is none.
    :raises ValueError: where the file is not a record.
    """
    path = Path(path)
    path = path / "record.json" if path.is_dir() else path
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise FileNotFoundError(f"no run record {path}: give the folder that a training run has written") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not a run record: {error}") from None
    if not {"config", "metrics", "history"} <= record.keys():
        raise ValueError(f"{path} is not a run record: it lacks config, metrics or history")
    return record


def publish(run, results, name=None):
    """Copy a run's record and predictions into the committed results, as ``NAME.json`` and ``NAME.npz``.

    :param run: the run folder.
    :param results: the folder of records, such as ``results/runs``.
    :param name: file name without suffix; default: the run folder's name.
    :return: path of the copied record.
    """
    run, results = Path(run), Path(results)
    record = read_record(run)
    name = name or run.name
    results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "predictions.npz", results / f"{name}.npz")
    write_json(results / f"{name}.json", record)
    return results / f"{name}.json"


def _flat(prefix, scores):
    found = {}
    for score, value in scores.items():
        if isinstance(value, dict):
            found |= _flat(f"{prefix}_{score}", value)
        elif isinstance(value, int | float):
            found[f"{prefix}_{score}"] = value
    return found


def read_results(folder, paths=None):
    """All records of a folder as a table, one row per run, sorted by name.

    Columns: ``name``; each option of the configuration; ``<test>_<score>`` for each test condition (``test``,
    ``shortcut_free``) and score (``accuracy``, ``mean_class_accuracy``, ``macro_f1``, ``correlation``, ``pointing``, ``energy`` and
    so on; scores in groups are named ``<test>_<group>_<score>``, such as ``test_reliance_patch_accuracy``);
    ``validation_accuracy`` after the last epoch; ``minutes``, ``device``, ``commit``.

    :param folder: such as ``results/runs``.
    :param paths: of some of its records; None for all.
    :raises FileNotFoundError: where there is no record.
    """
    rows = []
    for path in sorted(Path(folder).glob("*.json")) if paths is None else paths:
        record = read_record(path)
        row = {"name": path.stem, **record["config"]}
        for condition, scores in record["metrics"].items():
            groups = {name: value for name, value in scores.items() if name != "attribution"}
            row |= _flat(condition, {**groups, **scores.get("attribution", {})})
        watched = record["history"].get("val_expression_accuracy")
        row |= {"validation_accuracy": watched[-1]} if watched else {}
        row |= {"minutes": record["seconds"] / 60, "device": record["device"], "commit": record["commit"]}
        rows.append(row)
    if not rows:
        raise FileNotFoundError(f"no run records in {folder}: run the experiment, then publish its runs there")
    return pd.DataFrame(rows)


def read_predictions(folder, name, condition="test"):
    """Arrays ``labels``, ``probabilities`` and ``correlation`` of one committed run."""
    with np.load(Path(folder) / f"{name}.npz") as arrays:
        return {key.removeprefix(f"{condition}_"): arrays[key] for key in arrays if key.startswith(f"{condition}_")}
