"""The notebook `train` runs from each layout of the real data sets, as papermill calls it."""

import json
from pathlib import Path

import papermill
import pytest

from tests.copies import TEST, WRITERS

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "train.ipynb"
TINY = {"image_size": 32, "epochs": 1, "units": 8, "batch_size": 8, "width_multiplier": 0.125}


@pytest.mark.timeout(900)  # a kernel each: seconds on two free cores, minutes on busy ones
@pytest.mark.parametrize("layout", WRITERS)
def test_the_notebook_trains_from_each_layout(layout, tmp_path, monkeypatch):
    name, write = WRITERS[layout]
    drawn = write(tmp_path / "copy")
    for path in [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)  # a licensed folder may be read-only
    before = sorted((tmp_path / "copy").rglob("*"))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parent.parent))
    out = tmp_path / "runs" / "one"
    parameters = {"dataset": name, "data_dir": str(tmp_path / "copy"), "out_dir": str(out), **TINY}
    papermill.execute_notebook(NOTEBOOK, tmp_path / "out.ipynb", parameters, cwd=tmp_path, progress_bar=False)
    record = json.loads((out / "record.json").read_text())
    assert sum(part["faces"] for part in record["data"].values()) == len(drawn)
    assert record["data"]["test"]["faces"] == record["metrics"]["test"]["faces"] == TEST
    assert record["config"]["dataset"] == name
    if name == "affectnet":
        assert record["data"]["train"]["dropped"] == {"contempt": 1, "none": 1, "uncertain": 1, "no face": 1}
        assert {path.name.split("-")[1] for path in (tmp_path / "runs" / "index").iterdir()} == {"train", "test"}
    assert sorted((tmp_path / "copy").rglob("*")) == before
    assert str(tmp_path) not in (out / "record.json").read_text()
