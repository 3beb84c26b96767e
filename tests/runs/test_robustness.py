import shutil

import numpy as np
import pytest

from palcore.data import load
from palcore.data.changes import CONDITIONS
from palcore.runs import faces
from palcore.runs.evaluation import evaluate_run
from palcore.runs.records import publish, read_predictions, read_record, read_results
from palcore.runs.training import check_options, train


def test_a_finished_run_gets_what_a_run_with_the_option_has(small, trained, tmp_path):
    later, options = shutil.copytree(trained[0], tmp_path / "run"), trained[1]
    whole = train(check_options(**options, robustness=True, out_dir=str(tmp_path / "whole")), verbose=0)
    assert set(CONDITIONS).isdisjoint(read_record(later)["metrics"])
    record = evaluate_run(later)
    assert record == read_record(later)
    expected = read_record(whole)
    assert set(record["metrics"]) == set(expected["metrics"]) == {"test", "shortcut_free", "validation", *CONDITIONS}
    assert record["config"]["robustness"] is True
    for condition in CONDITIONS:
        assert record["metrics"][condition]["accuracy"] == pytest.approx(expected["metrics"][condition]["accuracy"], abs=0.03)
        assert record["data"][condition] == expected["data"][condition]
    publish(later, tmp_path / "results", "one")
    labels = read_predictions(tmp_path / "results", "one", "shortcut_free")["labels"]
    found = read_predictions(tmp_path / "results", "one", "patch_eyes")
    assert found["called"].dtype == np.uint8
    assert np.mean(found["called"] == labels) == pytest.approx(record["metrics"]["patch_eyes"]["accuracy"])
    assert "blur_4_accuracy" in read_results(tmp_path / "results")
    before = (later / "record.json").stat().st_mtime_ns
    assert evaluate_run(later) == record
    assert (later / "record.json").stat().st_mtime_ns == before


def test_other_test_faces_are_refused_and_the_record_is_left_alone(trained, tmp_path, monkeypatch):
    run = shutil.copytree(trained[0], tmp_path / "run")
    before = (run / "record.json").read_bytes(), (run / "predictions.npz").read_bytes()
    monkeypatch.setattr(faces, "load_faces", lambda *_, **__: load("synthetic", None, "test", image_size=32, count=35))
    with pytest.raises(ValueError, match="the test faces in None are not those that .*run was tested on: check data_dir"):
        evaluate_run(run)
    assert before == ((run / "record.json").read_bytes(), (run / "predictions.npz").read_bytes())
    (run / "classifier.keras").unlink()
    with pytest.raises(FileNotFoundError, match="no classifier.keras in .*: give the folder of a training run"):
        evaluate_run(run)
