"""The study's committed results: records and predictions of finished runs, copied there, and read as one table."""

import shutil
from pathlib import Path

import pandas as pd

from palcore.files import whole_file, write_json
from palcore.runs.records import predictions_of, read_record


def publish(run, results, name):
    """Copy a run's record and predictions into the committed results, as ``NAME.json`` and ``NAME.npz``.

    :param run: the run folder.
    :param results: the folder of records, such as ``results/runs``.
    :param name: file name without suffix.
    :return: path of the copied record.
    """
    run, results = Path(run), Path(results)
    record = read_record(run)
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
    ``validation_accuracy`` after the last epoch, and ``training_accuracy`` in it, while weights still change, dropout is on and
    faces are augmented; ``minutes``, ``device``, ``commit``.

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
        for name, kept in (("validation_accuracy", "val_expression_accuracy"), ("training_accuracy", "expression_accuracy")):
            row |= {name: record["history"][kept][-1]} if kept in record["history"] else {}
        row |= {"minutes": record["seconds"] / 60, "device": record["device"], "commit": record["commit"]}
        rows.append(row)
    if not rows:
        raise FileNotFoundError(f"no run records in {folder}: run the experiment, then publish its runs there")
    return pd.DataFrame(rows)


def read_predictions(folder, name, condition="test"):
    """Arrays ``labels``, ``probabilities`` and ``correlation`` of one committed run."""
    arrays = predictions_of(Path(folder) / f"{name}.npz")
    return {key.removeprefix(f"{condition}_"): array for key, array in arrays.items() if key.startswith(f"{condition}_")}
