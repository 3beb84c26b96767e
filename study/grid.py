"""The grid of training runs from the command line.

python -m study.grid list [QUESTION ...]      cells, with the minutes that each may take on two cores
python -m study.grid command CELL ...         the papermill line that runs a cell by hand
python -m study.grid run [SNAKEMAKE OPTION ...]    run the grid (`make grid` does it)
python -m study.grid attempt CELL [fer2013=DIR ...]   what Snakemake calls: run one cell and note how it ended
python -m study.grid publish [QUESTION ...] [--runs DIR]   copy finished runs into results/runs/, another machine's from DIR
"""

import argparse
import json
import os
import shlex
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from study import watch
from study.cells import GRID, RUNS, command, expand, read_grid

ROOT = Path(__file__).resolve().parent.parent


def attempts(runs):
    """`{cell: {"attempts": n, "finished": n, "failed": n}}` of a folder of runs; a killed attempt is neither."""
    found = {}
    path = Path(runs) / "attempts.csv"
    for line in path.read_text().splitlines() if path.exists() else []:
        name, event, _ = line.rsplit(",", 2)
        counts = found.setdefault(name, {"attempts": 0, "finished": 0, "failed": 0})
        counts["attempts" if event == "started" else event] += 1
    return found


def state(cell, root=ROOT):
    """`finished` where there is a record, `published` where one was published, `failed` where only a log, else `missing`."""
    folder, published = Path(root) / cell.folder, Path(root) / "results" / "runs" / f"{cell.name}.json"
    if (folder / "record.json").exists():
        return "finished"
    return "published" if published.exists() else "failed" if (folder / "log.ipynb").exists() else "missing"


def publish(cells, root=ROOT, questions=(), runs=None):
    """Copy the record and predictions of each finished cell into `results/runs/`, and how often each cell was tried.

    A file that is there already with the same bytes is left alone, as are published cells whose run folder is gone.

    :param runs: folder of the cells' folders, such as one that came from another machine; None for the study's own.
    :return: how many cells were copied anew.
    """
    from palcore.runs.records import publish as copy

    results, runs, copied = Path(root) / "results" / "runs", Path(runs or Path(root) / RUNS), 0
    for cell in cells:
        if questions and not set(questions) & set(cell.questions):
            continue
        run, copy_of = runs / cell.name, results / f"{cell.name}.json"
        if not (run / "record.json").exists():
            continue
        if copy_of.exists() and json.loads(copy_of.read_text()) == json.loads((run / "record.json").read_text()):
            continue
        copy(run, results, cell.name)
        copied += 1
    tried = {**published_attempts(results), **attempts(runs)}
    rows = [(cell.name, *tried[cell.name].values()) for cell in cells if cell.name in tried]
    if rows:
        results.mkdir(parents=True, exist_ok=True)
        lines = ["cell,attempts,finished,failed", *(",".join(map(str, row)) for row in rows)]
        (results / "attempts.csv").write_text("\n".join(lines) + "\n")
    return copied


def published_attempts(results):
    """`attempts` as they were published before: another machine's, say, whose run folders are not here."""
    path = Path(results) / "attempts.csv"
    found = {}
    for line in path.read_text().splitlines()[1:] if path.exists() else []:
        name, *counts = line.rsplit(",", 3)
        found[name] = dict(zip(("attempts", "finished", "failed"), map(int, counts), strict=True))
    return found


def note(cell, event, root=ROOT):
    """Add a line to `attempts.csv`: a cell was started, finished, or failed."""
    runs = Path(root) / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / "attempts.csv").open("a") as file:
        file.write(f"{cell.name},{event},{datetime.now(UTC).isoformat(timespec='seconds')}\n")


def attempt(cell, data_dir=None, threads=2, root=ROOT, **patience):
    """Run one cell's papermill line, and note in `attempts.csv` that it was started and how it ended.

    A run that failed goes on as long as it gets farther than the time before: one that ran out of memory, or whose input hung. One
    in which nothing moves any more is given up; its log is kept. A run that outlives the grid that started it holds the cell's
    lock: it is not started a second time beside it.

    :param patience: `patience` and `poll` of `watch.run`.
    :return: papermill's exit code.
    :raises ValueError: where the cell is being run, or has a record already.
    """
    import fcntl

    runs = Path(root) / RUNS
    if state(cell, root) == "finished":
        raise ValueError(f"cell {cell.name} has a record already, in {runs / cell.name}: remove that folder to run it again")
    (runs / cell.name).mkdir(parents=True, exist_ok=True)
    # The kernel must be the study's own, not one of that name in the user's home folder.
    environment = {"JUPYTER_PREFER_ENV_PATH": "1", **os.environ}
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        environment.setdefault(name, str(threads))
    line = command(cell, data_dir, sys.executable)
    with (runs / cell.name / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"cell {cell.name} is being run by another process: wait for it, or stop it first") from None
        print(shlex.join(line), flush=True)
        log, progress, reached = runs / cell.name / "log.ipynb", runs / cell.name / "resume.npz", None
        # Papermill inherits the lock: where it cannot be ended with this process, it holds the cell until it ends.
        options = {"cwd": root, "env": environment, "pass_fds": [lock.fileno()]}
        while True:
            note(cell, "started", root)
            # No record or log of an earlier attempt may be taken for this one's.
            for name in ("record.json", "log.ipynb"):
                (runs / cell.name / name).unlink(missing_ok=True)
            outcome = watch.run([*line, "--no-progress-bar"], [log], **patience, **options)
            if outcome.stuck:
                print(f"cell {cell.name} was given up: nothing had moved for a long time", file=sys.stderr)
            note(cell, "failed" if outcome.code else "finished", root)
            before, reached = reached, progress.stat().st_mtime_ns if progress.exists() else None
            if not outcome.code or reached == before:
                break
    return outcome.code


def run(options):
    """Become Snakemake, holding a lock that the system drops however this process ends: killed or not, it can go on."""
    import fcntl

    program = shutil.which("snakemake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        sys.exit("no snakemake here: install the extra `grid` (pip install -e .[grid]), or call `make grid`")
    (ROOT / ".snakemake").mkdir(exist_ok=True)
    lock = os.open(ROOT / ".snakemake" / "grid.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("the grid is running already: wait for it, or stop it first")
    os.set_inheritable(lock, True)
    os.chdir(ROOT)
    profile = [] if any(word.startswith("--profile") for word in options) else ["--profile", "study/profiles/local"]
    os.execv(program, [program, "--snakefile", "study/Snakefile", "--nolock", *profile, *options])


def _overview(grid, cells):
    """One line a question: its cells and how they stand."""
    for title, question in grid["questions"].items():
        members = [cell for cell in cells if title in cell.questions]
        new = [cell for cell in members if cell.questions[0] == title]
        states = [state(cell) for cell in members]
        counts = ", ".join(f"{states.count(word)} {word}" for word in ("finished", "published", "failed", "missing"))
        hours = sum(cell.minutes for cell in new) / 60
        where = "GPU" if question.get("gpu") else "CPU"
        yield f"{title:20} {len(members):3} cells ({len(new)} of its own, {hours:.1f} h {where}): {counts}"


def main(words=None):
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["run"]:
        run(words[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["list", "command", "run", "attempt", "publish"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="questions or cells; for attempt a cell and folders")
    parser.add_argument("--grid", default=GRID, help="another grid than study/grid.yml")
    parser.add_argument("--runs", help="folder of runs that came from another machine, to publish")
    parser.add_argument("--threads", type=int, default=2, help="cores of an attempt")
    given = parser.parse_args(words)
    grid = read_grid(given.grid)
    cells = expand(grid)
    if given.action in ("command", "attempt"):
        named = [name for name in given.names if "=" not in name or name in {cell.name for cell in cells}]
        folders = dict(name.split("=", 1) for name in given.names if name not in named)
        found = [cell for cell in cells if cell.name in named]
        if not named or len(found) != len(named) or (given.action == "attempt" and len(named) != 1):
            sys.exit(f"no such cell: {' '.join(named) or 'give its name'}; `python -m study.grid list` shows them")
        for cell in found:
            dataset = cell.options["dataset"]
            if given.action == "attempt":
                watch.end_on_signals()
                sys.exit(attempt(cell, folders.get(dataset), given.threads))
            print(shlex.join(command(cell, None if dataset == "synthetic" else folders.get(dataset, "DIR"))))
        return
    for name in given.names:
        if name not in grid["questions"]:
            sys.exit(f"unknown question {name!r}: choose from {', '.join(grid['questions'])}")
    if given.action == "publish":
        print(f"{publish(cells, questions=given.names, runs=given.runs)} runs copied into results/runs/")
        return
    for cell in cells:
        if not given.names or set(given.names) & set(cell.questions):
            print(f"{cell.minutes:6.1f} min  {state(cell):9}  {cell.name}")
    print("\n".join(_overview(grid, cells)))
    small = [cell for cell in cells if not cell.gpu]
    print(f"{len(small)} cells without GPU, {sum(cell.minutes for cell in small) / 60:.1f} hours")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
