"""The result pages run without a record, with some, and with all of the grid's, and say what the records say."""

import json
import re
import zlib
from pathlib import Path

import IPython.display
import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from palcore import EMOTIONS
from palcore.book import pages
from palcore.data.changes import CONDITIONS
from palcore.runs.options import check_options
from workflow import build_book
from workflow.cells import defaults, expand, read_grid

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = ["results_shortcut", "results_faces", "results_controls", "results_licensed"]
FACES = 40
pytestmark = pytest.mark.xdist_group("pages")  # one worker: what the tests share is prepared once


def write(folder, cell, lift=0.0):
    """A record and predictions as training leaves them, the same for the same cell."""
    rng = np.random.default_rng(zlib.crc32(cell.name.encode()))
    places = {} if cell.options["dataset"] == "synthetic" else {"data_dir": "DIR"}
    options = vars(check_options(**{**defaults(), **cell.options, **places}))
    names = ["test", *(["shortcut_free"] if not places else []), *(CONDITIONS if options["robustness"] else [])]
    metrics, arrays = {}, {}
    for name in names:
        accuracy = float(rng.uniform(0.4, 0.6)) + lift
        attribution = {"correlation": float(rng.uniform(0.2, 0.8)), "pointing": 0.5, "energy": 0.5}
        recall = dict.fromkeys(EMOTIONS, accuracy)
        metrics[name] = {
            "faces": FACES,
            "recall": recall,
            "accuracy": accuracy,
            "mean_class_accuracy": accuracy,
            "attribution": attribution,
        }
        arrays |= {f"{name}_labels": np.zeros(FACES, np.uint8), f"{name}_probabilities": rng.random((FACES, 7)).astype(np.float16)}
    record = {"config": {key: value for key, value in options.items() if key not in ("data_dir", "out_dir", "landmarks")}}
    record |= {"metrics": metrics, "history": {"val_expression_accuracy": [0.5]}, "seconds": 60, "device": "none", "commit": "abc"}
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / f"{cell.name}.json").write_text(json.dumps(record))
    np.savez(folder / "runs" / f"{cell.name}.npz", **arrays)


@pytest.fixture
def show(monkeypatch):
    """Runs a page's cells and returns what it displays as one text."""

    def run(name, results):
        shown = []

        def display(thing):
            shown.append(thing.to_string() if isinstance(thing, pd.DataFrame) else thing.data)

        monkeypatch.setattr(IPython.display, "display", display)
        monkeypatch.setattr(pages, "display", display)
        names = {"In": []}
        for cell in jupytext.read(NOTEBOOKS / f"{name}.py").cells:
            if cell.cell_type == "code":
                exec(cell.source, names)  # `In` is IPython's list of the cells that ran
            if "parameters" in cell.metadata.get("tags", []):
                names["results_dir"] = str(results)
        plt.close("all")
        return "\n".join(shown)

    return run


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for cell in expand(read_grid()):
        write(folder, cell)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_records_says_so(show, tmp_path, page):
    text = show(page, tmp_path)
    assert " runs are in." in text
    assert set(line.split()[0] for line in text.splitlines() if "runs are in." in line) == {"0"}
    assert "Verdict" not in text


def test_the_overview_lists_every_question_and_says_what_is_shown(show, complete, tmp_path):
    grid = read_grid()
    empty, text = show("results", tmp_path), show("results", complete)
    assert "No run is in yet." in empty
    for question, described in grid["questions"].items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| [{question}]")]
        assert described["asks"] in row
        count = sum(question in cell.questions for cell in expand(grid))
        assert row.endswith(f"| {count} of {count} |")
        assert f"| 0 of {count} |" in empty
    assert len([line for line in text.splitlines() if line.startswith("- ") and "corrected p" in line]) == 10


@pytest.mark.parametrize("page", PAGES)
def test_a_page_with_all_records_shows_each_table_and_verdict(show, complete, page):
    text = show(page, complete)
    done = [line.split() for line in text.splitlines() if " runs are in." in line]
    assert done and all(words[0] == words[2] for words in done)
    assert text.count("**Verdict.**") >= len(done) - 1
    assert "corrected together" in text
    assert "papermill notebooks/train.ipynb" in text
    assert "nan" not in text.lower().replace("nan-", "")


def test_a_changed_record_changes_the_page(show, complete, tmp_path):
    before = show("results_controls", complete)
    cells = {cell.name: cell for cell in expand(read_grid())}
    for cell in cells.values():
        if {"landmarks", "rivals"} & set(cell.questions):
            write(tmp_path, cell, lift=0.3 if cell.name == "fer2013-compact-mean-jaw=0-seed=1" else 0.0)
    after = show("results_controls", tmp_path)
    differing = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert differing
    assert any("without the jaw" in line for line in differing)
    assert not any("seed=1.json" in line and "jaw=0" not in line for line in differing)


def test_a_page_shows_what_is_there_and_no_more(show, tmp_path):
    some = [cell for cell in expand(read_grid()) if "rivals" in cell.questions and cell.options["seed"] < 2]
    written = [cell for cell in some if cell.options.get("loss", "pal") == "pal"]
    for cell in written:
        write(tmp_path, cell)
    text = show("results_controls", tmp_path)
    wanted = sum("rivals" in cell.questions for cell in expand(read_grid()))
    assert 0 < len(written) < wanted and f"{len(written)} of {wanted} runs are in." in text
    assert "PAL, weight" in text
    [row] = [line for line in text.splitlines() if line.startswith("feature cosine, weight 0.3")]
    assert row.split()[4:] == ["0", "-", "-", "-"]


def test_the_links_of_a_page_lead_to_the_records_beside_it(show, complete, tmp_path):
    """A page lies in notebooks/ of the built book, and the records in its results/."""
    (tmp_path / "results").symlink_to(complete)
    build_book.copy_records(tmp_path, tmp_path / "html")
    (tmp_path / "html" / "notebooks").mkdir()
    links = re.findall(r"\]\((.*?)\)", show("results_controls", complete))
    shown = [question for cell in expand(read_grid()) for question in cell.questions if question in ("landmarks", "rivals")]
    assert len([link for link in links if link.endswith(".json")]) == len(shown)
    assert all((tmp_path / "html" / "notebooks" / link).resolve().is_file() for link in links if link.endswith(".json"))
    (tmp_path / "results").unlink()
    build_book.copy_records(tmp_path, tmp_path / "html")
    assert not (tmp_path / "html" / "results").exists()
