"""What was found out about the tests themselves, and about runs that are killed, is in records that hold what is promised."""

import json
from pathlib import Path

import pytest

from tests.data.test_fuzz import READERS

RESULTS = Path(__file__).resolve().parents[1] / "results"


def test_nine_of_ten_changes_are_noticed_and_each_other_was_looked_at():
    modules = json.loads((RESULTS / "quality" / "mutation.json").read_text())["modules"]
    assert set(modules) == {"heatmaps", "attribution", "losses", "splitting", "logits"}
    for name, row in modules.items():
        assert row["tried"] == row["killed"] + len(row["survivors"]) > 0
        assert row["killed"] >= 0.9 * row["tried"], name
        assert all(each["verdict"].startswith(("equivalent: ", "noticed by tests/")) for each in row["survivors"]), name


def test_95_of_100_branches_are_taken():
    packages = json.loads((RESULTS / "quality" / "coverage.json").read_text())["packages"]
    assert packages["all"]["percent"] >= 95


@pytest.mark.parametrize(("backend", "kills"), [("tensorflow", 20), ("jax", 5)])
def test_killed_runs_end_as_one_left_alone(backend, kills):
    row = json.loads((RESULTS / "kills.json").read_text())[backend]
    assert len(row["kills"]) == kills + 1 and row["kills"][-1]["killed"] == "in the test"
    assert all(run["same"] for run in row["runs"])


def test_each_reader_was_fed_damaged_files_for_ten_minutes():
    rows = json.loads((RESULTS / "quality" / "fuzz.json").read_text())
    assert rows.keys() == READERS.keys()
    assert all(row["seconds"] >= 600 and row["files"] > 1000 for row in rows.values())
