"""The book's build runs what changed and no more, says what it does, and goes on after an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jupytext
import nbformat
import psutil
import pytest

from study.book import build, chapters
from study.fingerprints import notebook_fingerprint, notebook_inputs
from tests.conftest import ROOT


def write(root, name, *cells):
    """A pair of notebooks whose cells of code are given; one that begins with `#` is of words."""
    made = [nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})]
    made += [nbformat.v4.new_markdown_cell(cell) if cell.startswith("# ") else nbformat.v4.new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "jupytext": {"formats": "ipynb,py:percent"}}
    notebook = nbformat.v4.new_notebook(cells=made, metadata=metadata)
    for place, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{place}"
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    jupytext.write(notebook, path.with_suffix(".py"))
    return path


@pytest.fixture
def study(tmp_path):
    """A study of few lines, with three data sets, one method and results."""
    texts = {
        "palcore/__init__.py": "",
        "palcore/losses.py": "from palcore.heatmaps import draw\n\n\ndef loss():\n    return draw()\n",
        "palcore/heatmaps.py": "def draw():\n    return 1\n",
        "palcore/plots.py": "STYLE = 1\n",
        "palcore/data/__init__.py": 'SETS = {"drawn": "palcore.data.drawn", "real": "palcore.data.real"}\n',
        "palcore/data/drawn.py": "FACES = 1\n",
        "palcore/data/real.py": "FACES = 2\n",
        "study/__init__.py": "",
        "study/results/__init__.py": "",
        "study/results/tables.py": 'def where(root):\n    return root / "results" / "runs"\n',
        "study/results/arms.py": "from study.cells import GRID\n",
        "study/cells.py": 'GRID = "grid.yml"\n',
        "study/grid.yml": "questions: {}\n",
        "study/other.py": "A = 1\n",
        "results/runs/one.json": "{}\n",
        "requirements.lock": "numpy==2\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


CODE = {
    "method": "from palcore.losses import loss\nload('drawn')  # see results/runs",
    "pages": "from study.results import tables\nfrom study.results.arms import GRID",
    "plain": "words = 'no module'",
}
CHANGES = [
    ("requirements.lock", "numpy==3\n", {"method", "pages", "plain"}),
    ("palcore/losses.py", "loss = 1\n", {"method"}),
    ("palcore/heatmaps.py", "def draw():\n    return 2\n", {"method"}),
    ("palcore/heatmaps.py", '"""Heatmaps."""\n\n\ndef draw():\n    """Draw."""\n    return 1  # one\n', set()),
    ("palcore/plots.py", "STYLE = 2\n", set()),
    ("palcore/__init__.py", "A = 1\n", {"method"}),
    ("palcore/data/drawn.py", "FACES = 3\n", {"method"}),
    ("palcore/data/real.py", "FACES = 3\n", set()),
    ("study/results/__init__.py", "A = 1\n", {"pages"}),
    ("results/runs/one.json", "[]\n", {"pages"}),
    ("results/runs/one.json", None, {"pages"}),  # removed
    ("results/runs/two.json", "{}\n", {"pages"}),
    ("study/cells.py", 'GRID = "grid.yml"\nA = 1\n', {"pages"}),
    ("study/grid.yml", "questions: {a: b}\n", {"pages"}),
    ("study/other.py", "A = 2\n", set()),
]


@pytest.mark.parametrize(("changed", "text", "wanted"), CHANGES)
def test_a_notebook_runs_again_where_something_changed_that_it_uses(study, changed, text, wanted):
    paths = {name: write(study, name, "# Words", code) for name, code in CODE.items()}
    before = {name: notebook_fingerprint(path, study) for name, path in paths.items()}
    (study / changed).unlink() if text is None else (study / changed).write_text(text)
    assert {name for name, path in paths.items() if notebook_fingerprint(path, study) != before[name]} == wanted


def test_words_do_not_run_a_notebook_again_but_code_does(study):
    before = notebook_fingerprint(write(study, "page", "# Words", "a = 1"), study)
    assert notebook_fingerprint(write(study, "page", "# Other words", "a = 1"), study) == before
    # A semicolon hides what a cell shows, and is no part of its syntax.
    assert notebook_fingerprint(write(study, "page", "# Words", "a = 1;"), study) != before


def test_lines_that_are_not_python_are_ipythons_or_named(study):
    assert notebook_fingerprint(write(study, "page", "%matplotlib inline\na = 1"), study)
    with pytest.raises(ValueError, match=r"a cell of .*page.ipynb is not Python: .* in 'a = = 1'"):
        notebook_fingerprint(write(study, "page", "a = = 1"), study)
    (study / "palcore" / "heatmaps.py").write_text("def draw(\n")
    write(study, "method", CODE["method"])
    problems = run(study, "page", "method")
    assert [problem.split(":")[0] for problem in problems] == ["notebook page failed", "notebook method failed"]
    assert "palcore/heatmaps.py is not Python: '(' was never closed in 'def draw('" in problems[1]


def test_the_studys_own_chapters_depend_on_what_they_use():
    """What Python loads for a chapter's imports is all found, and what no chapter of real faces' loaders uses is not."""
    modules, files = notebook_inputs(ROOT / "notebooks" / "heatmaps.ipynb")
    assert {"palcore.heatmaps", "palcore.data.synthetic"} <= set(modules) and "palcore.losses" not in modules
    assert files == []
    modules, files = notebook_inputs(ROOT / "notebooks" / "train.ipynb")
    assert "palcore.runs.training" in modules and not {"palcore.data.rafdb", "palcore.data.affectnet"} & set(modules)
    assert files == []
    names = {path.relative_to(ROOT).as_posix() for path in notebook_inputs(ROOT / "notebooks" / "results_faces.ipynb")[1]}
    assert {"study/grid.yml", "notebooks/train.ipynb", "results/runs/fer2013-compact-mean-seed=0.json"} <= names
    assert "results/benchmark/cost.json" not in names


def test_all_that_python_loads_for_an_import_is_found(study):
    (study / "study" / "results" / "tables.py").write_text("from . import arms\nfrom palcore.losses import loss\n")
    code = "import sys, study.results.tables; print(*(name for name in sys.modules if name.startswith(('palcore', 'study'))))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=study, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True
    )
    found = notebook_inputs(write(study, "page", "import study.results.tables"), study)[0]
    assert set(loaded.stdout.split()) == set(found) and "palcore.heatmaps" in found


def run(study, *names):
    """Run notebooks as `make book` does; the sentences of those that failed."""
    return chapters.run_notebooks(names, study)


def outputs(study, name):
    cells = json.loads((study / "_build" / "executed" / f"{name}.ipynb").read_text())["cells"]
    return "".join("".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", []))


def test_a_notebook_runs_once_in_this_environment_in_a_folder_of_its_own_and_what_it_says_is_in_the_log(study, capfd):
    code = "import os, sys\nopen('left', 'w').close()\nprint(sys.prefix, os.getcwd())"
    path = write(study, "first", "# Words", code)
    assert run(study, "first") == []
    assert outputs(study, "first").split() == [sys.prefix, str((study / "_build" / "scratch" / "first").resolve())]
    write(study, "first", "# Other words", code)
    assert run(study, "first") == []
    lines = capfd.readouterr()
    assert lines.err == ""
    first, second = lines.out.splitlines()
    assert first.startswith("first                 0:0") and first.endswith("by the clock")
    assert second == "first                unchanged"
    log = (study / "_build" / "logs" / "first.log").read_text()
    assert sys.prefix in log
    page = chapters.with_outputs(path.read_text(), chapters.last_run("first", study))
    assert "Other words" in page and sys.prefix in page and "papermill" not in page


def test_a_notebook_that_fails_stops_no_other_and_does_not_count(study, capfd):
    write(study, "bad", "raise ValueError('sigma is -1: it must be positive')")
    write(study, "dies", "import os; os._exit(1)")
    write(study, "good", "print('well')")
    problems = run(study, "bad", "dies", "good")
    assert problems == [
        "notebook bad failed: ValueError: sigma is -1: it must be positive (see _build/logs/bad.log)",
        "notebook dies failed: nbclient.exceptions.DeadKernelError: Kernel died (see _build/logs/dies.log)",
    ]
    assert outputs(study, "good") == "well\n"
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines() if line.endswith(", failed")] == ["bad", "dies"]
    assert not (study / "_build" / "executed" / "bad.ipynb").exists()
    assert run(study, "good") == []
    assert capfd.readouterr().out.split() == ["good", "unchanged"]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# Each leaves a line with its process, so that we see how often it ran; the second waits while it is told to.
NOTED = "import os, pathlib, time\npathlib.Path('../../../ran').open('a').write(f'{name} {os.getpid()}\\n')\n"
WAITING = "pause = pathlib.Path('../../../pause')\nwhile pause.exists():\n    time.sleep(0.1)\n"


def test_a_build_that_is_interrupted_goes_on_where_it_was_and_leaves_no_kernel_behind(study, monkeypatch):
    names = ("first", "second")
    for name in names:
        write(study, name, f"name = {name!r}", NOTED + (WAITING if name == "second" else ""))
    listed = ", ".join(f"{{file: notebooks/{name}}}" for name in names)
    (study / "_toc.yml").write_text(f"format: jb-book\nroot: book/intro\nparts: [{{chapters: [{listed}]}}]")
    shutil.rmtree(study / "study")
    shutil.copytree(ROOT / "study", study / "study")
    command = [sys.executable, "-m", "study.book.build", "--execute-only"]
    environment = {**os.environ, "PYTHONPATH": str(study)}
    monkeypatch.chdir(study)
    ran, pause = study / "ran", study / "pause"
    pause.touch()

    def interrupted(number):
        """What a build prints that gets a signal while the second notebook runs, and that notebook's kernel."""
        before = len(ran.read_text().splitlines()) if ran.exists() else 0
        build = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while not (ran.exists() and "second" in "".join(ran.read_text().splitlines()[before:])):
            assert build.poll() is None
            time.sleep(0.1)
        if number == signal.SIGKILL:
            again = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert (again.returncode, again.stderr) == (1, "the book is being built already: wait for it, or stop it first\n")
        build.send_signal(number)
        text, _ = build.communicate(timeout=60)
        assert build.returncode != 0
        return text, int(ran.read_text().split()[-1])

    for number, words in ((signal.SIGTERM, "stopped: the same command goes on where it was"), (signal.SIGKILL, "first ")):
        text, kernel = interrupted(number)
        assert words in text and ("first                unchanged" in text) == (number == signal.SIGKILL)
        end = time.monotonic() + 30  # where its parent was killed, a kernel looks once a second
        while lives(kernel) and time.monotonic() < end:
            time.sleep(0.1)
        assert not lives(kernel)

    pause.unlink()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ran.read_text().split()[::2] == ["first", "second", "second", "second"]
    assert {path.name for path in (study / "_build" / "executed").iterdir()} == {f"{name}.ipynb" for name in names}


def test_a_build_stops_at_a_notebook_whose_halves_differ(study, monkeypatch):
    path = write(study, "first", "a = 1")
    (study / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nparts: [{chapters: [{file: notebooks/first}]}]")
    path.with_suffix(".py").write_text(path.with_suffix(".py").read_text() + "b = 2\n")
    monkeypatch.setattr(build, "ROOT", study)
    assert build.build(with_pages=False) == ["first.ipynb is stale: run `make pairs`"]


def test_pages_that_were_left_half_written_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    read = tmp_path / ".doctrees" / "page.doctree"
    codes = {"good": "pass", "warns": "print('noise'); print('a.md:1: WARNING: no such label'); raise SystemExit(1)"}

    def make(kind):
        read.parent.mkdir(exist_ok=True)
        read.touch()
        monkeypatch.setattr(build, "PAGES", f"import pathlib; print(pathlib.Path({str(read)!r}).exists())\n{codes[kind]}")
        problem = build.build_html()
        return problem, (tmp_path / "logs" / "pages.log").read_text().splitlines()[0]

    assert make("good") == (None, "True")
    problem, _ = make("warns")
    assert problem == "a.md:1: WARNING: no such label\nthe pages failed (see logs/pages.log)"
    assert make("good") == (None, "False")
    assert make("good") == (None, "True")
