"""The chapters run from any folder, with another seed, and all that they claim still holds."""

import pytest

from tests.conftest import executed

CHAPTERS = {
    "heatmaps": {"faces_count": 16},
    "attribution": {"faces_count": 64, "epochs": 1},
    "second_derivative": {"faces_count": 64, "epochs": 1},
    "channel_strategies": {"faces_count": 700, "steps": 16},
    "predict": {},
}
"""Each chapter and the parameters that make it quick."""

SOLUTIONS = {"attribution": 2, "second_derivative": 1, "predict": 0}
"""Exercises of the chapters that have not three."""


DEAR = ("attribution", "second_derivative", "channel_strategies")
"""Chapters that train several networks: `make test` leaves them to `make book`, and `make test TESTS="-m dear"` has them."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.dear if name in DEAR else ()) for name in CHAPTERS])
def test_every_claim_holds_in_another_folder_with_another_seed(name, tmp_path, monkeypatch):
    # Where a reader's own runs are neither in runs/ nor in ../runs/.
    place = tmp_path / "notebooks"
    place.mkdir()
    monkeypatch.chdir(place)
    if name == "predict":
        monkeypatch.delenv("MPLBACKEND")  # the kernel's own, which shows what it draws
    notebook = executed(name, place, **CHAPTERS[name], seed=7)
    assert not list(place.iterdir()), "a chapter writes no files"
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    solutions = [cell for cell, tag in zip(notebook.cells, tags, strict=True) if "hide-cell" in tag]
    assert len(solutions) == SOLUTIONS.get(name, 3)
    assert all("assert" in cell.source and cell.execution_count for cell in solutions)
    if name == "predict":
        said = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
        assert "`papermill notebooks/train.ipynb OUT.ipynb` makes one" in said and "image/png" in said and "Warning" not in said
