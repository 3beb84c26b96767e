"""Accuracy by gender, race and age group, where the owner's annotators noted them: RAF-DB. Apart, since no training needs it."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from palcore.data.rafdb import GROUPS, read_groups
from palcore.runs.evaluation import read_arrays
from palcore.runs.faces import tested_faces
from palcore.runs.options import options_of
from palcore.runs.records import read_record, save_record


def evaluate_groups(run, data_dir, landmarks=None):
    """Add accuracy and count by gender, race and age group of RAF-DB's test faces to a run's record, as ``groups`` of ``test``.

    What the run answered is read from its ``predictions.npz``; nothing is computed anew.

    :param run: folder of a run on RAF-DB.
    :param data_dir: RAF-DB's folder, with ``Annotation/manual`` (``palcore.data.rafdb.read_groups``).
    :param landmarks: landmark table or folder, where it is not in ``data_dir``.
    :return: the record, as it was written.
    :raises FileNotFoundError: where the run, the data set or the annotation of a face is missing.
    :raises ValueError: for a run on another data set or on other test faces, or an annotation that makes no sense.
    """
    run = Path(os.path.expanduser(run))
    record = read_record(run)
    name = record["config"].get("dataset")
    if name != "rafdb":
        raise ValueError(f"{run} is a run on {name}: only rafdb has gender, race and age group of its faces")
    options = replace(options_of(record["config"], data_dir=data_dir, landmarks=landmarks), robustness=False)
    arrays = read_arrays(run / "predictions.npz")
    faces = tested_faces(options, record.get("window"))["test"]
    if faces.fingerprint() != record["data"]["test"]["fingerprint"]:
        raise ValueError(f"the test faces in {data_dir} are not those that {run} was tested on: check data_dir and landmarks")
    right = np.argmax(arrays["test_probabilities"], axis=-1) == arrays["test_labels"]
    groups = read_groups(data_dir, faces.files)
    record["metrics"]["test"]["groups"] = {
        kind: {group: _share(right[members == group]) for group in GROUPS[kind] if group in members}
        for kind, members in groups.items()
    }
    save_record(run, record)
    return record


def _share(right):
    return {"faces": len(right), "accuracy": float(np.mean(right))}
