"""The grid of training runs from the command line.

python -m study.grid list [QUESTION ...]      cells, with the minutes that each may take on two cores
python -m study.grid run [SNAKEMAKE OPTION ...]    run the grid (`make grid` does it)
python -m study.grid attempt CELL [fer2013=DIR ...]   what Snakemake calls: run one cell
python -m study.grid publish [QUESTION ...] [--runs DIR]   copy finished runs into results/runs/, another machine's from DIR
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from palcore.files import Busy, locked, whole_file, write_json
from study.cells import ROOT, RUNS, command, expand, read_grid


def state(cell, root=ROOT):
    """`finished` where there is a record, `published` where one was published, `failed` where only a log, else `missing`."""
    folder, published = Path(root) / cell.folder, Path(root) / "results" / "runs" / f"{cell.name}.json"
    if (folder / "record.json").exists():
        return "finished"
    return "published" if published.exists() else "failed" if (folder / "log.ipynb").exists() else "missing"


def publish(cells, root=ROOT, questions=(), runs=None):
    """Copy the record and predictions of each finished cell into `results/runs/`.

    A record that is there already is left alone where it says the same, as are published cells whose run folder is gone: another
    machine's, say.

    :param runs: folder of the cells' folders, such as one that came from another machine; None for the study's own.
    :return: how many cells were copied anew.
    """
    from palcore.runs.records import read_record

    results, runs, copied = Path(root) / "results" / "runs", Path(runs or Path(root) / RUNS), 0
    for cell in cells:
        record, published = runs / cell.name / "record.json", results / f"{cell.name}.json"
        if (questions and not set(questions) & set(cell.questions)) or not record.exists():
            continue
        content = read_record(record)
        if not published.exists() or json.loads(published.read_text()) != content:
            with whole_file(published.with_suffix(".npz")) as draft:
                shutil.copyfile(record.with_name("predictions.npz"), draft)
            write_json(published, content)
            copied += 1
    return copied


def attempt(cell, data_dir=None, threads=2, root=ROOT):
    """Run one cell's papermill line.

    A run that failed, or was killed, goes on from its last epoch when it is tried again, and `train` keeps a second one out of its
    folder. The log of the latest attempt is kept.

    :return: papermill's exit code.
    :raises ValueError: where the cell has a record already.
    """
    folder = Path(root) / cell.folder
    if state(cell, root) == "finished":
        raise ValueError(f"cell {cell.name} has a record already, in {folder}: remove that folder to run it again")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.ipynb").unlink(missing_ok=True)  # none of an earlier attempt may be taken for this one's
    # The kernel must be the study's own, not one of that name in the user's home folder.
    few = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), str(threads))
    line = command(cell, data_dir, sys.executable)
    print(shlex.join(line), flush=True)
    environment = {"JUPYTER_PREFER_ENV_PATH": "1", **few, **os.environ}
    return subprocess.run([*line, "--no-progress-bar"], cwd=root, env=environment).returncode


def run(options):
    """Become Snakemake, holding a lock that the system drops however this process ends: killed or not, it can go on."""
    program = shutil.which("snakemake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        sys.exit("no snakemake here: install the extra `grid` (pip install -e .[grid]), or call `make grid`")
    (ROOT / ".snakemake").mkdir(exist_ok=True)
    os.chdir(ROOT)
    profile = [] if any(word.startswith("--profile") for word in options) else ["--profile", "study/profiles/local"]
    try:
        with locked(ROOT / ".snakemake" / "grid.lock", "the grid is running already: wait for it, or stop it first") as lock:
            os.set_inheritable(lock, True)
            os.execv(program, [program, "--snakefile", "study/Snakefile", "--nolock", *profile, *options])
    except Busy as busy:
        sys.exit(str(busy))


def list_cells(grid, cells, titles):
    """Print the cells of some questions, or of all, and a line for each question: how its cells stand."""
    for cell in cells:
        if not titles or set(titles) & set(cell.questions):
            print(f"{cell.minutes:6.1f} min  {state(cell):9}  {cell.name}")
    for title, question in grid["questions"].items():
        states = [state(cell) for cell in cells if title in cell.questions]
        new = [cell.minutes for cell in cells if cell.questions[0] == title]
        counts = ", ".join(f"{states.count(word)} {word}" for word in ("finished", "published", "failed", "missing"))
        where = "GPU" if question.get("gpu") else "CPU"
        print(f"{title:20} {len(states):3} cells ({len(new)} of its own, {sum(new) / 60:.1f} h {where}): {counts}")
    minutes = [cell.minutes for cell in cells if not cell.gpu]
    print(f"{len(minutes)} cells without GPU, {sum(minutes) / 60:.1f} hours")


def main(words=None):
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["run"]:
        run(words[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["list", "run", "attempt", "publish"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="questions or cells; for attempt a cell and folders")
    parser.add_argument("--runs", help="folder of runs that came from another machine, to publish")
    parser.add_argument("--threads", type=int, default=2, help="cores of an attempt")
    given = parser.parse_args(words)
    grid = read_grid()
    cells = {cell.name: cell for cell in expand(grid)}
    if given.action == "attempt":
        folders = dict(name.split("=", 1) for name in given.names if "=" in name and name not in cells)
        named = [name for name in given.names if name.partition("=")[0] not in folders]
        if len(named) != 1 or named[0] not in cells:
            sys.exit(f"no such cell: {' '.join(named) or 'give its name'}; `python -m study.grid list` shows them")
        cell = cells[named[0]]
        sys.exit(attempt(cell, folders.get(cell.options["dataset"]), given.threads))
    for name in given.names:
        if name not in grid["questions"]:
            sys.exit(f"unknown question {name!r}: choose from {', '.join(grid['questions'])}")
    if given.action == "publish":
        print(f"{publish(cells.values(), questions=given.names, runs=given.runs)} runs copied into results/runs/")
    else:
        list_cells(grid, list(cells.values()), given.names)


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
