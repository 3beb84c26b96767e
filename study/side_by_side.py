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
import time
import traceback
from multiprocessing.connection import wait
from pathlib import Path

import yaml

from study.cells import FACES, RUNS, TUNED, expand, parameters, read_grid, read_tuned, selected
from study.choices import choose
from study.grid import note, state

ROOT = Path(__file__).resolve().parent.parent


def work(channel, memory):
    """A slot: trains what it is told, one cell after another, until it is told nothing.

    :param channel: gets `(name, options)` or None, and sends `(name, problem)`, None where it went well.
    :param memory: share of the card's memory that this process may take.
    """
    os.environ.update(XLA_PYTHON_CLIENT_PREALLOCATE="false", XLA_PYTHON_CLIENT_MEM_FRACTION=f"{memory:.3f}")
    from palcore.runs.options import check_options
    from palcore.runs.training import train

    channel.send((None, None))
    while (task := channel.recv()) is not None:
        name, options = task
        try:
            train(check_options(**options), verbose=2)
            problem = None
        except Exception:
            problem = traceback.format_exc()
        channel.send((name, problem))


def cost(cell):
    """What a cell takes, in the time of an epoch of its data set at 48 pixels."""
    options = cell.options
    return options["epochs"] * options.get("train_share", 1.0) * (options["image_size"] / 48) ** 2 * FACES[options["dataset"]][0]


class Queue:
    """The cells that are asked for, in the grid's order, and what has become of them."""

    def __init__(self, questions, folders, grid):
        self.questions, self.folders, self.grid, self.begun = questions, folders, grid, {}
        self.tuned = read_tuned()

    def look(self):
        """Choose what can be chosen by now; the cells that are not begun, and whether choices are still open."""
        while True:
            cells = expand(self.grid, tuned=self.tuned)
            tuned = choose(self.grid, cells, (ROOT / RUNS, ROOT / "results" / "runs"), self.tuned)
            if tuned == self.tuned:
                break
            self.tuned = tuned
            TUNED.write_text("# Written by study/side_by_side.py from the records of the tries.\n" + yaml.safe_dump(tuned))
            print(f"chosen: {tuned}", flush=True)
        asked = selected(cells, self.questions, self.folders, self.grid)
        return [cell for cell in asked if cell.name not in self.begun and state(cell, ROOT) in ("missing", "failed")]


def _end(cell_of, slot, problem):
    cell = cell_of.pop(slot)
    note(cell, "failed" if problem else "finished")
    print(f"{cell.name}: {problem or 'finished'}", flush=True)


def run(questions, folders, slots, seconds):
    """Run the cells of some questions side by side.

    :param folders: `{data set: folder}`.
    :param seconds: after which no process goes on; a cell that would not end before is not begun.
    :return: how many cells were finished.
    """
    started, queue = time.monotonic(), Queue(questions, folders, read_grid())
    context = multiprocessing.get_context("spawn")
    channels, processes = [], []
    for _ in range(slots):
        here, there = context.Pipe()
        processes.append(context.Process(target=work, args=(there, 0.95 / slots), daemon=True))
        processes[-1].start()
        channels.append(here)
    idle, cell_of, begun, paces, finished = set(), {}, {}, [], 0
    while time.monotonic() - started < seconds:
        waiting = queue.look()
        left = seconds - (time.monotonic() - started)
        pace = sorted(paces)[len(paces) // 2] if paces else 0.0
        for slot in sorted(idle):
            cell = next((cell for cell in waiting if cost(cell) * pace < left), None)
            if cell is None:
                break
            waiting.remove(cell)
            idle.remove(slot)
            queue.begun[cell.name], cell_of[slot], begun[slot] = cell, cell, time.monotonic()
            note(cell, "started")
            channels[slot].send((cell.name, parameters(cell, folders.get(cell.options["dataset"]))))
        if not cell_of and not waiting and len(idle) == slots:
            break
        for channel in wait(channels, timeout=1.0):
            slot = channels.index(channel)
            try:
                name, problem = channel.recv()
            except EOFError:
                raise RuntimeError(f"slot {slot} has died, with {cell_of.get(slot)}: fewer slots, or less memory each?") from None
            if name is not None:
                paces += [] if problem else [(time.monotonic() - begun[slot]) / cost(cell_of[slot])]
                finished += not problem
                _end(cell_of, slot, problem)
            idle.add(slot)
    for slot, process in enumerate(processes):
        if slot in cell_of:
            print(f"{cell_of[slot].name}: not ended in {seconds} s; the same command goes on with it", flush=True)
        process.terminate()
    return finished


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
