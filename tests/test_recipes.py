"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the study; what they make is run.

That of a data set is followed in ``tests/data/test_readers.py``, beside the data sets that it is compared with.
"""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("_build", "runs", "results")

TRY = """
import json
from IPython.display import Markdown
from palcore.runs.options import check_options
from palcore.runs.training import train
from study import grid
from study.cells import expand, parameters, read_grid
from study.results import pages
from tests.runs.kill_twenty import make_small

make_small()
[cell, *_] = cells = [cell for cell in expand(read_grid(), tuned={}) if "sigma-drawn" in cell.questions and "mean" in cell.name]
tiny = {"epochs": 1, "loss": "distance", "backbone": "mine", "width_multiplier": 1.0}
folder = train(check_options(**{**parameters(cell), **tiny}), verbose=0)
record = json.loads((folder / "record.json").read_text())
shown = []
pages.display = lambda thing: shown.append(thing.data)
print(grid.publish(cells), len(cells), record["config"]["loss"], record["parameters"], record["history"]["loss"])
pages.Page([]).answer("sigma-drawn")
print(shown[0])
"""


def recipe(title):
    """``[(the text of a step, the code below it)]`` of a section of CONTRIBUTING.md."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    steps = []
    for step in re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]:
        text, _, rest = step.partition("   ```")
        steps.append((text, re.sub("^   ", "", rest.partition("\n")[2].partition("   ```")[0], flags=re.MULTILINE)))
    return steps


def add_line(path, text):
    """What "**Add the line** `X` at the end of `NAME`" tells: X before the bracket that ends NAME."""
    line, name = re.search(r"\*\*Add the line\*\* `([^`]+)` at the end of `(\w+)`", text).groups()
    before, start, after = path.read_text().partition(f"\n{name} = ")
    depths = list(itertools.accumulate((char in "([{") - (char in ")]}") for char in after))
    end = depths.index(0)  # of the bracket that closes the first one
    path.write_text(f"{before}{start}{after[:end].rstrip().rstrip(',')}, {line}{after[end:]}")


def unneeded(place, name):
    return name.startswith(".") or name == "__pycache__" or (Path(place) == ROOT and name in LEFT_OUT)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the study, without its records, that follows all recipes; runs a command in it."""
    folder = tmp_path_factory.mktemp("copy") / "study"
    shutil.copytree(ROOT, folder, ignore=lambda place, names: [name for name in names if unneeded(place, name)])
    (folder / "results" / "runs").mkdir(parents=True)
    places = {"PYTHONPATH": str(folder), "TF_NUM_INTRAOP_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1"}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words], cwd=folder, env={**os.environ, **places}, capture_output=True, text=True, check=False
        )
        assert not done.returncode, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return folder, run


def test_a_loss_a_backbone_and_a_question_train_a_run_that_a_page_shows(copy):
    folder, run = copy
    losses, models = folder / "palcore" / "losses.py", folder / "palcore" / "models.py"
    (_, code), (line, _), _ = recipe("A loss")
    losses.write_text(losses.read_text().replace("\nLOSSES = ", f"\n{code}\n\nLOSSES = "))
    add_line(losses, line)
    (_, code), (line, _), _ = recipe("A backbone")
    models.write_text(models.read_text().replace("\nBACKBONES = ", f"\n{code}\n\nBACKBONES = "))
    add_line(models, line)
    (_, question), *_ = recipe("A question")
    with (folder / "study" / "grid.yml").open("a") as file:
        file.write(question)
    counts, _, shown = run("-c", TRY).partition("\n")
    copied, planned, loss, parameters, values = counts.split(maxsplit=4)
    assert (copied, planned, loss) == ("1", "9", "distance") and int(parameters) < 2_000_000 and "nan" not in values
    assert "1 of 12" in shown and "sigma-drawn" in run("-m", "study.grid", "list", "sigma-drawn")


def test_a_chapter_is_paired_runs_and_stands_in_the_contents(copy):
    folder, run = copy
    (_, code), (line, _), *_ = recipe("A chapter")
    (folder / "notebooks" / "mine.py").write_text(code)
    contents = folder / "_toc.yml"
    entry = re.search(r"\*\*Add the line\*\* `([^`]+)` to `_toc.yml`", line).group(1)
    before = "      - file: notebooks/data\n"
    contents.write_text(contents.read_text().replace(before, f"{before}      {entry}\n"))
    assert run("-m", "study.book.pairs", "--write").strip() == "wrote mine.ipynb"
    run("-m", "papermill", "notebooks/mine.ipynb", "out.ipynb", "-p", "seed", "3", "-k", "python3", "--no-progress-bar")
    assert "What was found" in (folder / "out.ipynb").read_text()
