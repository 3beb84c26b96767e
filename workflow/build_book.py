"""Run the book's notebooks with papermill where something changed, and build the book: `make book`."""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import papermill
import yaml

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SOURCE, EXECUTED = BUILD / "src", BUILD / "executed"


def listed_files():
    """Every file that _toc.yml names, without suffix."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    return [contents["root"], *(chapter["file"] for chapter in chapters)]


def check_listing(files):
    """Fail where a notebook is listed but absent, or there but not listed."""
    listed = {Path(name).name for name in files if name.startswith("notebooks/")}
    there = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    if listed - there:
        sys.exit(f"_toc.yml lists notebooks/{min(listed - there)}, which does not exist: write it, or take it off the list")
    if there - listed:
        sys.exit(f"notebooks/{min(there - listed)}.ipynb is not in _toc.yml: add it there")


def fingerprint(notebook):
    """What a notebook's outputs depend on: its own text, palcore, and the committed results."""
    digest = hashlib.sha256(notebook.read_bytes())
    inputs = [*ROOT.glob("palcore/**/*.py"), *ROOT.glob("results/**/*.json"), *ROOT.glob("results/**/*.npz")]
    for path in sorted([*inputs, *ROOT.glob("results/**/*.csv"), ROOT / "requirements.lock"]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def execute(name):
    """Run one notebook unless its last run still holds. A failed run is kept as NAME.failed.ipynb."""
    notebook = ROOT / "notebooks" / f"{name}.ipynb"
    done, mark = EXECUTED / f"{name}.ipynb", EXECUTED / f"{name}.sha256"
    wanted = fingerprint(notebook)
    if done.exists() and mark.exists() and mark.read_text() == wanted:
        print(f"{name}: unchanged", flush=True)
        return
    print(f"{name}: running", flush=True)
    failed = EXECUTED / f"{name}.failed.ipynb"
    parameters = {"out_dir": str(BUILD / "runs" / name)} if name == "train" else {}
    shutil.rmtree(BUILD / "runs" / name, ignore_errors=True)
    try:
        papermill.execute_notebook(
            notebook, failed, parameters=parameters, cwd=notebook.parent, progress_bar=False, kernel_name="python3"
        )
    except papermill.PapermillExecutionError as error:
        sys.exit(f"notebook {name} failed: {error.ename}: {error.evalue} (see {failed.relative_to(ROOT)})")
    failed.replace(done)
    mark.write_text(wanted)


def stage(source, target):
    """Copy a file unless the copy is the same, so that Sphinx rereads only what changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)


def write_reference():
    """One page of the API reference per module of palcore."""
    names = []
    for path in sorted((ROOT / "palcore").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    lines = ["# API reference", "", "Every public function and class of `palcore`, generated from its docstrings.", ""]
    for name in names:
        lines += [f"## {name}", "", "```{eval-rst}", f".. automodule:: {name}", "   :members:", "```", ""]
    page = SOURCE / "book" / "reference.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-execute", action="store_true", help="build from the notebooks' last runs")
    arguments = parser.parse_args()
    # The kernel must be this environment's: a user's own `python3` kernel would shadow it.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    EXECUTED.mkdir(parents=True, exist_ok=True)
    files = listed_files()
    check_listing(files)
    for name in files:
        if name.startswith("notebooks/") and not arguments.no_execute:
            execute(Path(name).name)
    for name in files:
        if name.startswith("notebooks/"):
            stage(EXECUTED / f"{Path(name).name}.ipynb", SOURCE / f"{name}.ipynb")
    for path in [*(ROOT / "book").rglob("*.*"), ROOT / "_config.yml", ROOT / "_toc.yml"]:
        if path.is_file():
            stage(path, SOURCE / path.relative_to(ROOT))
    write_reference()
    command = [sys.executable, "-m", "jupyter_book.cli.main", "build", str(SOURCE), "--path-output", str(ROOT)]
    sys.exit(subprocess.run([*command, "-n", "-W", "--keep-going", "-q"], cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
