"""A finished run on harder test faces: patches, shifts, blur (:mod:`palcore.data.disturb`)."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from palcore.data.disturb import CONDITIONS
from palcore.options import options_of
from palcore.records import read_record, write_json
from palcore.training import describe_data, evaluate_conditions


def evaluate_run(run, data_dir=None, landmarks=None):
    """Test a finished run under every one of ``CONDITIONS`` that its record lacks, and add them to record and predictions.

    ``record.json`` gets their metrics and the fingerprints of their faces, ``predictions.npz`` the expression that each face was
    called and the correlation. The run's own test is not repeated: it is checked to be of the same faces.

    :param run: folder of a run of ``palcore.training.train``, with its ``classifier.keras``.
    :param data_dir: folder of the data set; None for synthetic faces.
    :param landmarks: landmark table, where the data set's own is elsewhere.
    :return: the record, as it was written.
    :raises FileNotFoundError: where the run, its classifier or the data set is missing.
    :raises ValueError: where the test faces are not those of the run.
    """
    run = Path(run)
    record = read_record(run)
    missing = [condition for condition in CONDITIONS if condition not in record["metrics"]]
    if not missing:
        return record
    for name in ("classifier.keras", "predictions.npz"):
        if not (run / name).is_file():
            raise FileNotFoundError(f"no {name} in {run}: give the folder that a training run has written, with all its files")
    options = replace(options_of(record["config"], data_dir=data_dir, landmarks=landmarks), robustness=True)
    classifier = keras.models.load_model(run / "classifier.keras", compile=False)
    done = [condition for condition in record["metrics"] if condition not in missing]
    metrics, predictions, faces = evaluate_conditions(options, classifier, record.get("window"), but=done)
    with np.load(run / "predictions.npz") as arrays:
        kept = dict(arrays)
    seen = record["data"]
    described = describe_data(faces)
    # A patch or blur moves no landmark: such faces have the fingerprint of the run's own test.
    if described["patch_off"]["fingerprint"] != seen.get("shortcut_free", seen["test"])["fingerprint"]:
        raise ValueError(f"the test faces in {data_dir} are not those that {run} was tested on: check data_dir and landmarks")
    draft = run / "predictions.tmp.npz"
    np.savez_compressed(draft, **kept, **predictions)
    draft.replace(run / "predictions.npz")
    record["metrics"] |= metrics
    record["data"] |= described
    record["config"]["robustness"] = True
    write_json(run / "record.json", record)
    return record
