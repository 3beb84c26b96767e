"""Cells of the grid side by side on one machine, several to a card: one process a slot, which trains one cell after another.

python -m study.side_by_side --slots 16 --seconds 500 fer2013=DIR QUESTION ...

A small network leaves most of a GPU idle, and starting a process costs more than a short training: so a slot keeps its process,
its data and what it has compiled. Each run is the same call as the notebook's, `train`, and leaves the same folder. What the grid
lets the validation faces choose is chosen as soon as the tries are in (`study/choices.py`), and written to `study/tuned.yml`.
Where the time would not suffice for a cell it is not begun; `python -m study.grid publish` takes what was finished, and the same
command goes on with the rest.
"""

import argparse
import multiprocessing
import os
import statistics
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import yaml

from study.book.chapters import die_with_parent
from study.cells import ROOT, RUNS, TUNED, expand, parameters, read_grid, read_tuned, selected
from study.choices import choose
from study.grid import state


def begin(memory):
    """What a slot's process does first: end with its parent, and take its share of the card's memory."""
    die_with_parent()
    os.environ.update(XLA_PYTHON_CLIENT_PREALLOCATE="false", XLA_PYTHON_CLIENT_MEM_FRACTION=f"{memory:.3f}")


def train_cell(options):
    """What a slot does with a cell: train it. Its seconds, and the problem, "" where it went well."""
    from palcore.runs.options import check_options
    from palcore.runs.training import train

    started, problem = time.monotonic(), ""
    try:
        train(check_options(**options), verbose=2)
    except Exception:
        problem = traceback.format_exc()
    return time.monotonic() - started, problem


def cells_to_run(questions, folders, grid, tuned):
    """The cells that are asked for and have no record, in the grid's order, and all choices by now.

    :param tuned: choices so far, from `read_tuned`.
    """
    while True:
        cells = expand(grid, tuned=tuned)
        chosen = choose(grid, cells, (ROOT / RUNS, ROOT / "results" / "runs"), tuned)
        if chosen == tuned:
            break
        tuned = chosen
        TUNED.write_text("# Written by study/side_by_side.py from the records of the tries.\n" + yaml.safe_dump(tuned))
        print(f"chosen: {tuned}", flush=True)
    asked = selected(cells, questions, folders, grid)
    return [cell for cell in asked if state(cell, ROOT) in ("missing", "failed")], tuned


def run(questions, folders, slots, seconds):
    """Run the cells of some questions side by side.

    :param folders: `{data set: folder}`.
    :param seconds: after which no process goes on; a cell that would not end before is not begun.
    :return: how many cells were finished.
    :raises RuntimeError: where a process dies.
    """
    started, grid, tuned = time.monotonic(), read_grid(), read_tuned()
    begun, running, paces = set(), {}, []
    pool = ProcessPoolExecutor(slots, multiprocessing.get_context("spawn"), begin, (0.95 / slots,))
    while (left := seconds - (time.monotonic() - started)) > 0:
        waiting, tuned = cells_to_run(questions, folders, grid, tuned)
        pace = statistics.median(paces) if paces else 0.0  # seconds for each minute that was expected
        fitting = [cell for cell in waiting if cell.name not in begun and cell.minutes * pace < left]
        for cell in fitting[: slots - len(running)]:
            begun.add(cell.name)
            running[pool.submit(train_cell, parameters(cell, folders.get(cell.options["dataset"])))] = cell
        if not running:
            break  # nothing is left, or nothing that would end in time
        for done in wait(running, None if left == float("inf") else left, FIRST_COMPLETED).done:
            cell = running.pop(done)
            try:
                taken, problem = done.result()
            except BrokenProcessPool:
                raise RuntimeError(f"a slot has died, with {cell.name} or another: fewer slots, or less memory each?") from None
            print(f"{cell.name}: {problem or 'finished'}", flush=True)
            paces += [] if problem else [taken / cell.minutes]
    for cell in running.values():
        print(f"{cell.name}: not ended in {seconds} s; the same command goes on with it", flush=True)
    for process in multiprocessing.active_children():
        process.terminate()
    pool.shutdown(cancel_futures=True)
    return len(paces)


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+", help="questions of the grid, and fer2013=DIR and the like")
    parser.add_argument("--slots", type=int, default=2, help="processes side by side")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="after which all end")
    options = parser.parse_args()
    folders = dict(word.split("=", 1) for word in options.words if "=" in word)
    questions = [word for word in options.words if "=" not in word]
    started = time.monotonic()
    finished = run(questions, folders, options.slots, options.seconds)
    print(f"{finished} cells finished in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
