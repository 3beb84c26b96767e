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
from multiprocessing.connection import wait

import yaml

from study.cells import ROOT, RUNS, TUNED, expand, parameters, read_grid, read_tuned, selected
from study.choices import choose
from study.grid import note, state


def work(channel, memory):
    """What a slot does: train what it is told, one cell after another, until it is ended.

    :param channel: gets a run's options; sends None once it can begin, then for each run the problem, "" where it went well.
    :param memory: share of the card's memory that this process may take.
    """
    os.environ.update(XLA_PYTHON_CLIENT_PREALLOCATE="false", XLA_PYTHON_CLIENT_MEM_FRACTION=f"{memory:.3f}")
    from palcore.runs.options import check_options
    from palcore.runs.training import train

    channel.send(None)
    while True:
        options = channel.recv()
        try:
            train(check_options(**options), verbose=2)
            channel.send("")
        except Exception:
            channel.send(traceback.format_exc())


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


class Slot:
    """One process, and the cell that it trains; None before it can begin, and between two cells."""

    def __init__(self, memory):
        context = multiprocessing.get_context("spawn")
        self.channel, there = context.Pipe()
        self.process = context.Process(target=work, args=(there, memory), daemon=True)
        self.process.start()
        self.cell, self.ready, self.begun = None, False, 0.0

    def begin(self, cell, data_dir):
        self.cell, self.ready, self.begun = cell, False, time.monotonic()
        note(cell, "started")
        self.channel.send(parameters(cell, data_dir))

    def end(self):
        """Take what the process says; seconds for each minute that was expected of a finished cell, else None."""
        try:
            problem = self.channel.recv()
        except EOFError:
            raise RuntimeError(f"a slot has died, with {self.cell and self.cell.name}: fewer slots, or less memory each?") from None
        cell, self.cell, self.ready = self.cell, None, True
        if problem is None:
            return None
        note(cell, "failed" if problem else "finished")
        print(f"{cell.name}: {problem or 'finished'}", flush=True)
        return None if problem else (time.monotonic() - self.begun) / cell.minutes


def run(questions, folders, slots, seconds):
    """Run the cells of some questions side by side.

    :param folders: `{data set: folder}`.
    :param seconds: after which no process goes on; a cell that would not end before is not begun.
    :return: how many cells were finished.
    """
    started, grid, tuned = time.monotonic(), read_grid(), read_tuned()
    places, begun, paces = [Slot(0.95 / slots) for _ in range(slots)], set(), []
    while (left := seconds - (time.monotonic() - started)) > 0:
        waiting, tuned = cells_to_run(questions, folders, grid, tuned)
        waiting = [cell for cell in waiting if cell.name not in begun]
        pace = statistics.median(paces) if paces else 0.0
        for slot in (slot for slot in places if slot.ready):
            cell = next((cell for cell in waiting if cell.minutes * pace < left), None)
            if cell is not None:
                waiting.remove(cell)
                begun.add(cell.name)
                slot.begin(cell, folders.get(cell.options["dataset"]))
        if all(slot.ready for slot in places):
            break  # nothing is left, or nothing that would end in time
        spoken = wait([slot.channel for slot in places], timeout=1.0)
        paces += filter(None, [slot.end() for slot in places if slot.channel in spoken])
    for slot in places:
        if slot.cell:
            print(f"{slot.cell.name}: not ended in {seconds} s; the same command goes on with it", flush=True)
        slot.process.terminate()
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
