"""Run records: what was run, on what, and what came out. Every number in the book is read from one of these."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from palcore import __version__
from palcore.data.memory import keep_freed_memory
from palcore.runs.card import model_card

PLACES = ("data_dir", "landmarks", "out_dir")
"""Options that say where things are: no part of a record, which is to be shared."""

MAKE_RUN = "`papermill notebooks/train.ipynb OUT.ipynb`"
"""What makes a run, in the study's folder."""

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
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
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


def threads():
    """Threads among which one operation is split; sums are, too, so that the last digits of a run depend on their number."""
    given = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(given) if given.isdigit() and int(given) else cores


def commit():
    """The study's commit, with ``+`` where tracked files differ from it; None outside a git copy."""
    try:
        command = ["git", "-C", str(repository_root()), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def whole_file(path, suffix=".tmp"):
    """Write a file so that a crash leaves the old one or the new one, never half of one: beside it, then renamed.

    :param path: the file.
    :param suffix: appended to its name for the draft, whose path is given to the ``with`` block.
    :raises OSError: where it can't be written, such as on a full disk; the draft is removed.
    """
    path = Path(path)
    draft = path.with_name(path.name + suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink()
        # HDF5, in a full folder, may say RuntimeError where it closes a file.
        if isinstance(error, OSError | RuntimeError):
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            raise OSError(f"{path} can't be written ({reason}): make room or choose another place, then call it again") from None
        raise


def write_json(path, content):
    """Write a record, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_arrays(path, arrays):
    """Write ``{name: array}`` as a compressed ``.npz`` file, whole or not at all."""
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)


def run_facts(options, image_size, window, data):
    """All that makes a run what it is, but for the places of things: options, faces, backend and versions.

    :param options: from ``palcore.runs.options.check_options``.
    :param image_size: side in pixels, whether the options or the data set gave it.
    :param window: to which faces that are not trained on are cropped, ``[left, top, side]``, or None.
    :param data: from ``palcore.runs.faces.describe_data``.
    """
    import keras

    config = {name: value for name, value in asdict(options).items() if name not in PLACES}
    config |= {"image_size": image_size, "weights": options.weights and Path(options.weights).name}
    facts = {"config": config, "window": window, "data": data, "backend": keras.backend.backend()}
    if options.weights and Path(options.weights).is_file():
        with open(options.weights, "rb") as file:
            facts["weights_file"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return facts | {"versions": {"palcore": __version__, **versions()}}


def identity(record):
    """Sixteen digits that change with any option, version or face of a run: two runs that share them must end the same.

    :param record: a record, or ``run_facts``.
    """
    kept = {name: record.get(name) for name in ("config", "window", "data", "backend", "weights_file", "versions")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def write_record(folder, facts, **outcome):
    """Write a run's ``record.json`` and ``model_card.md``.

    :param folder: the run's.
    :param facts: from ``run_facts``.
    :param outcome: what came out, as JSON can hold it.
    """
    machine = {"device": device(), "threads": threads(), "memory": keep_freed_memory()}
    save_record(folder, {**facts, "identity": identity(facts), **outcome, **machine})


def save_record(folder, record):
    """Write a record, and before it the model card that is made from it: where there is a record, there is its card."""
    with whole_file(Path(folder) / "model_card.md") as draft:
        draft.write_text(model_card(record, _check_of(record["config"]["dataset"])), encoding="utf-8")
    write_json(Path(folder) / "record.json", record)


def _check_of(dataset):
    """What the study has found out about the test faces of a data set (``results/check``); None outside a copy of it."""
    try:
        path = repository_root() / "results" / "check" / f"{dataset}_faces.json"
    except FileNotFoundError:
        return None
    return json.loads(path.read_text()) if path.is_file() else None


def read_record(path):
    """A run's record as a dictionary.

    :param path: ``record.json``, or the run folder that holds it.
    :raises FileNotFoundError: where there is none.
    :raises ValueError: where the file is not a record, or is one of another version of the study.
    """
    path = Path(os.path.expanduser(path))
    path = path / "record.json" if path.is_dir() else path
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        unfinished = ": its training has not ended" if path.with_name("resume.npz").is_file() else ""
        remedy = "give the folder that a training run has written" + ("" if unfinished else f", or make one with {MAKE_RUN}")
        raise FileNotFoundError(f"no run record {path}{unfinished}: {remedy}") from None
    except OSError as error:
        raise ValueError(f"run record {path} can't be read ({error.strerror}): give the folder of a training run") from None
    except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8
        raise ValueError(f"{path} is not a run record: {error}") from None
    parts = ("config", "metrics", "history")
    if not isinstance(record, dict) or not all(isinstance(record.get(part), dict) for part in parts):
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
    with whole_file(results / f"{name}.npz") as draft:
        shutil.copyfile(run / "predictions.npz", draft)
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


def read_results(folder, paths=None, defaults=None):
    """All records of a folder as a table, one row per run, sorted by name.

    Columns: ``name``; each option of the configuration; ``<test>_<score>`` for each test condition (``test``,
    ``shortcut_free``) and score (``accuracy``, ``mean_class_accuracy``, ``macro_f1``, ``correlation``, ``pointing``, ``energy`` and
    so on; scores in groups are named ``<test>_<group>_<score>``, such as ``test_reliance_patch_accuracy``);
    ``validation_accuracy`` after the last epoch; ``minutes``, ``device``, ``commit``.

    :param folder: such as ``results/runs``.
    :param paths: of some of its records; None for all.
    :param defaults: ``{option: value}`` of options that are newer than a record.
    :raises FileNotFoundError: where there is no record.
    """
    rows = []
    for path in sorted(Path(folder).glob("*.json")) if paths is None else paths:
        record = read_record(path)
        row = {"name": path.stem, **(defaults or {}), **record["config"]}
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
