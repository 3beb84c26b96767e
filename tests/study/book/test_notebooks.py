"""The committed notebooks are paired, fresh and empty, and the checks notice when something is not."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from traitlets.config import PyFileConfigLoader

from palcore.training import Options, check_options
from study.book import build, pairs, source
from study.book.notebook import refuse_unknown_parameters
from tests.conftest import ROOT
from tests.study.book.test_build_book import write

SOURCES = sorted((ROOT / "notebooks").glob("*.py"))


def test_notebooks_are_paired_fresh_and_empty():
    assert SOURCES
    assert pairs.problems() == []


def test_table_of_contents_lists_what_there_is():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    assert build.listing_problems(source.listed_files(contents)) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_parameters_have_values_that_papermill_can_replace(source):
    [cell] = [cell for cell in jupytext.read(source).cells if "parameters" in cell.metadata.get("tags", [])]
    names = {}
    exec(cell.source, names)
    names.pop("__builtins__")
    assert "seed" in names
    json.dumps(names)
    if source.stem == "train":
        assert set(names) == set(Options.__dataclass_fields__), "every option of a run is a parameter"
        check_options(**names)
    assert re.search(r"\b(begin|Page|Glance)\(In\b", source.read_text()), "what refuses a misspelled parameter"


@pytest.fixture
def folder(tmp_path):
    """A folder with one good pair, ``page``."""
    folder = write(tmp_path, "page", "# Page", "print(seed)").parent
    pairs.write_pairs(folder)
    assert pairs.problems(folder) == []
    return folder


PARAMETERS = 'strategy = "mean"  # none, mean\nseed = 0\n'
TAGS = ' tags=["parameters"]'
FAULTS = {
    "page.ipynb is stale": lambda notebook: notebook.cells[2].metadata.update(tags=["hide-input"]),
    "page.ipynb holds outputs": lambda notebook: notebook.cells[2].update(execution_count=1),
}


@pytest.mark.parametrize("said", FAULTS)
def test_a_changed_tag_and_an_output_are_noticed_and_mended(folder, said):
    notebook = nbformat.read(folder / "page.ipynb", as_version=4)
    FAULTS[said](notebook)
    nbformat.write(notebook, folder / "page.ipynb")
    assert pairs.problems(folder) == [f"{said}: run `make pairs`"]
    assert pairs.unlike_pairs(folder) == (pairs.problems(folder) if "stale" in said else []), "the build minds no outputs"
    pairs.write_pairs(folder)
    assert pairs.problems(folder) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed)", 'seed)\n\n# %% mystnb={"image": {"classes": "fits", "alt": "a"}}\nmore = 1', []),  # whatever its order
        (TAGS, "", ["has 0 cells tagged `parameters`"]),
        ("# Page", "# As {cite}`key` says.", ["{cite}`key`, which JupyterLab shows raw"]),
    ],
)
def test_what_a_script_says_is_looked_at(folder, old, new, said):
    source = folder / "page.py"
    source.write_text(source.read_text().replace(old, new))
    pairs.write_pairs(folder)
    problems = pairs.problems(folder)
    assert len(problems) == len(said) and all(words in problem for words, problem in zip(said, problems, strict=True))


def test_half_a_pair_is_noticed(folder):
    shutil.copyfile(folder / "page.ipynb", folder / "other.ipynb")
    assert pairs.problems(folder) == ["other has only one half of its pair: run `make pairs`"]


def test_links_become_what_the_book_makes_more_of():
    text = "[Eq. pal](../book/method.md) [key](../book/references.bib) [here](../book/method.md) [`A`](../palcore/data/listing.py)"
    roles = "{eq}`pal` {cite}`key` [here](../book/method.md) {py:obj}`~palcore.data.listing.A`"
    assert source.with_roles(text) == roles
    assert source.with_roles("[`palcore.data`](../palcore/data/__init__.py)") == "{py:obj}`palcore.data`"


def test_an_unlisted_file_is_noticed(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "page.ipynb").write_text("{}\n")
    contents = {
        "format": "jb-book",
        "root": "book/intro",
        "parts": [{"chapters": [{"file": "notebooks/page", "sections": [{"file": "book/lost"}]}]}],
    }
    files = source.listed_files(contents)
    assert files == ["book/intro", "notebooks/page", "book/lost"]
    assert build.listing_problems(files, tmp_path) == []
    assert build.listing_problems(["book/intro"], tmp_path) == ["notebooks/page.ipynb is not in _toc.yml: add it there"]


def test_staging_touches_what_changed_only(tmp_path):
    source.stage({"a.md": b"one", "deep/b.md": b"two", "old.md": b"old"}, tmp_path)
    before = (tmp_path / "a.md").stat().st_mtime_ns
    source.stage({"a.md": b"one", "deep/b.md": b"three"}, tmp_path)
    assert (tmp_path / "a.md").stat().st_mtime_ns == before
    assert (tmp_path / "deep" / "b.md").read_bytes() == b"three"
    assert not (tmp_path / "old.md").exists()


def test_in_jupyterlab_a_notebook_that_was_run_and_saved_keeps_what_its_reader_wrote_and_no_more(folder):
    """By what JupyterLab reads and writes a folder's notebooks with: Jupytext's manager, set up as `make lab` does it."""
    [settings] = Path(sys.prefix).glob("etc/jupyter/jupyter_server_config.d/jupytext.json")
    assert json.loads(settings.read_text())["ServerApp"]["jpserver_extensions"]["jupyterlab_jupytext"], "it is switched off"
    place = "study/book/jupyter_server_config.py"
    assert f"-m jupyterlab notebooks --config {place}" in (ROOT / "Makefile").read_text()
    manager = jupytext.TextFileContentsManager(root_dir=str(folder))
    manager.register_pre_save_hook(PyFileConfigLoader(str(ROOT / place)).load_config().ContentsManager.pre_save_hook)
    source = folder / "page.py"
    source.write_text(source.read_text().replace("print(seed)", "print(seed + 3)"))
    os.utime(source, (0, 0))
    pairs.write_pairs(folder)
    model = manager.get("page.ipynb")
    cell = model["content"]["cells"][-1]
    assert cell["source"] == "print(seed + 3)", "a pair that was written long after its script is opened"
    cell.update(source="print(seed + 4)", execution_count=3, outputs=[nbformat.v4.new_output("stream", text="7")])
    model["content"]["metadata"]["language_info"] = {"name": "python"}
    manager.save(model, "page.ipynb")
    assert pairs.problems(folder) == [] and "language_info" not in (folder / "page.ipynb").read_text()
    assert all("print(seed + 4)" in (folder / name).read_text() for name in ("page.py", "page.ipynb"))


@pytest.mark.parametrize("cells", [["", PARAMETERS], ["", PARAMETERS, "# Parameters\nseed = 3\n", "other = seed"], [""]])
def test_known_parameters_pass(cells):
    refuse_unknown_parameters(cells)


def test_a_misspelled_parameter_is_refused_also_when_the_check_runs_again():
    cells = ["", PARAMETERS, '# Parameters\nseed = 3\nstratgey = "none"\n', "later = 1", "more = 2"]
    with pytest.raises(ValueError, match="unknown parameter stratgey of this notebook: choose from strategy, seed"):
        refuse_unknown_parameters(cells)
