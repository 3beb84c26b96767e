"""The notebook `train`, run by papermill's command line as a user would run it."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat

from palcore.runs.records import read_record
from tests.conftest import ROOT

QUICK = {"epochs": 1, "units": 16, "image_size": 32, "width_multiplier": 0.125, "train_share": 0.1}


def test_a_run_leaves_its_record_and_shows_what_it_says(tmp_path):
    given = {"strategy": "mean", "seed": 3, **QUICK, "normalisation": "convolution", "layer": "block4_relu2"}
    words = [word for name, value in given.items() for word in ("-p", name, str(value))]
    # The kernel of this environment, not one of the same name in the user's home folder.
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment = {**inherited, "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "1"}
    command = [sys.executable, "-m", "papermill", ROOT / "notebooks" / "train.ipynb", "OUT.ipynb", "--no-progress-bar", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path / "runs" / "synthetic-compact-mean-3")
    assert record["config"]["seed"] == 3 and record["config"]["strategy"] == "mean"
    assert (tmp_path / "runs" / "synthetic-compact-mean-3" / "classifier.keras").is_file()
    cells = nbformat.read(tmp_path / "OUT.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4  # faces, curves, confusion matrix, attributions
    assert not [output for output in outputs if output.get("name") == "stderr"], "libraries' log lines"
    text = "".join(output["data"].get("text/markdown", "") for output in outputs if "data" in output)
    assert f"Of 1400 test faces {100 * record['metrics']['test']['accuracy']:.1f} % were named rightly" in text
