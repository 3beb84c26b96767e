"""Run the book's notebooks with papermill where something changed, and build the book: `make book`."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import yaml
from nbclient.exceptions import CellControlSignal, DeadKernelError
from papermill.exceptions import PapermillException

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workflow import pages  # noqa: E402

BUILD = ROOT / "_build"
SOURCE, EXECUTED, SCRATCH = BUILD / "src", BUILD / "executed", BUILD / "scratch"
LONGEST_CELL = 1200
"""Seconds after which a cell is given up."""


def listing_problems(files, root=ROOT):
    """One sentence for each file that is listed but absent, and for each notebook that is there but not listed."""
    problems = []
    for name in files:
        suffix = ".ipynb" if name.startswith("notebooks/") else ".md"
        if not (root / f"{name}{suffix}").exists():
            problems.append(f"_toc.yml lists {name}, but there is no {name}{suffix}: write it, or take it off the list")
    there = {f"notebooks/{path.stem}" for path in root.glob("notebooks/*.ipynb")}
    problems += [f"{name}.ipynb is not in _toc.yml: add it there" for name in sorted(there - set(files))]
    return problems


def fingerprint(notebook, root=ROOT):
    """What a notebook's outputs depend on: its text, palcore, the packages, the backend, and the results if it speaks of them."""
    inputs = [notebook, root / "requirements.lock", root / "workflow" / "grid.yml", *root.glob("palcore/**/*.py")]
    if "results" in notebook.read_text():
        inputs += [path for path in root.glob("results/**/*") if path.is_file()]
    digest = hashlib.sha256(f"{sys.version_info[:2]} {os.environ.get('KERAS_BACKEND', 'tensorflow')}".encode())
    for path in sorted(inputs):
        # Each file's own digest, so that no two sets of files read as the same bytes.
        digest.update(path.relative_to(root).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def execute(name):
    """Run one notebook unless its last run still holds; a sentence if it fails, else None. NAME.failed.ipynb is its log."""
    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    done, mark, failed = (EXECUTED / f"{name}{suffix}" for suffix in (".ipynb", ".sha256", ".failed.ipynb"))
    wanted = fingerprint(notebook)
    if done.exists() and mark.exists() and mark.read_text() == wanted:
        print(f"{name}: unchanged", flush=True)
        return None
    print(f"{name}: running", flush=True)
    # An empty folder of its own: what the notebook writes stays in _build, and it cannot lean on where it stands.
    shutil.rmtree(SCRATCH / name, ignore_errors=True)
    (SCRATCH / name).mkdir(parents=True)
    try:
        papermill.execute_notebook(
            notebook,
            failed,
            cwd=SCRATCH / name,
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=LONGEST_CELL,
        )
    except (PapermillException, CellControlSignal, DeadKernelError, TimeoutError) as error:
        reason = f"{error.ename}: {error.evalue}" if hasattr(error, "evalue") else str(error)
        return f"notebook {name} failed: {reason} (see {failed.relative_to(ROOT)})"
    failed.replace(done)
    mark.write_text(wanted)
    return None


def without_papermill(notebook):
    """An executed notebook's text without papermill's timings and paths, which differ from machine to machine."""
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
    return nbformat.writes(notebook)


def last_run(name):
    """The text of a notebook that has run."""
    return without_papermill(nbformat.read(EXECUTED / f"{name}.ipynb", as_version=4))


def build_html():
    """Jupyter Book with warnings as errors, into _build/html. Returns its exit code."""
    # --path-output is the repository: the program adds `_build` itself.
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", str(SOURCE), "--path-output", str(ROOT), "-n", "-W", "--keep-going", "-q"]
    code = subprocess.run(command, cwd=ROOT).returncode
    if code:
        # Sphinx warns about a page only while it reads it: forget what was read, or the next build would pass.
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    pages.copy_records(BUILD / "html")
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--execute-only", action="store_true", help="run the notebooks, do not build the pages")
    arguments = parser.parse_args()
    # The kernel must be this environment's: a `python3` kernel in the user's home folder would shadow it.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = pages.listed_files(contents)
    problems = listing_problems(files)
    if not problems:
        EXECUTED.mkdir(parents=True, exist_ok=True)
        results = [execute(Path(name).name) for name in files if name.startswith("notebooks/")]
        problems = [result for result in results if result]
    if problems:
        sys.exit("\n".join(problems))
    if not arguments.execute_only:
        pages.stage(pages.source_files(contents, last_run), SOURCE)
        sys.exit(build_html())


if __name__ == "__main__":
    main()
