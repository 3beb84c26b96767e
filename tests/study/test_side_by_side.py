"""Slots take the cells in the grid's order, each once; what would not end in time is not begun, and choices open more."""

import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest
import yaml

from study import side_by_side
from study.cells import Cell

EPOCHS = {"first": 2, "second": 2, "long": 50, "chosen": 2}


class Pool:
    """A pool of one process that is none: a cell takes a second an epoch of a clock that nobody else moves, and `second` fails."""

    clock, told, finished = 0.0, [], []

    def __init__(self, slots, *_):
        pass

    def submit(self, work, options):
        self.told.append(options["out_dir"].rpartition("/")[2])
        return Future()

    def shutdown(self, cancel_futures):
        pass

    @staticmethod
    def wait(running, *_):
        [(future, cell)] = running.items()
        Pool.clock += EPOCHS[cell.name]
        future.set_result((EPOCHS[cell.name], "Traceback" if cell.name == "second" else ""))
        Pool.finished += [cell.name] if cell.name != "second" else []
        return SimpleNamespace(done=[future])


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`run` with such a pool; how many cells it finished, and which it began."""
    options = {"dataset": "synthetic", "backbone": "compact", "image_size": 48}
    cells = {name: Cell(name, {**options, "epochs": epochs}, False, ["q"]) for name, epochs in EPOCHS.items()}
    fakes = {
        "ProcessPoolExecutor": Pool,
        "wait": Pool.wait,
        "time": SimpleNamespace(monotonic=lambda: Pool.clock),
        "state": lambda cell, root: "finished" if cell.name in Pool.finished else "missing",
        "read_grid": dict,
        "TUNED": tmp_path / "tuned.yml",
        "expand": lambda grid, tuned: [cell for name, cell in cells.items() if name != "chosen" or tuned],
        "choose": lambda grid, cells, records, tuned: {"a": 1} if "first" in Pool.finished else tuned,
        "selected": lambda cells, *_: cells,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(side_by_side, name, fake)
    Pool.clock, Pool.told, Pool.finished = 0.0, [], []
    return lambda seconds: (side_by_side.run(["q"], {}, 1, seconds), Pool.told)


def test_cells_run_in_order_and_a_failure_stops_no_other(run, tmp_path):
    assert run(1000) == (3, ["first", "second", "long", "chosen"])
    assert yaml.safe_load((tmp_path / "tuned.yml").read_text()) == {"a": 1}


def test_what_would_not_end_in_time_is_not_begun(run):
    assert run(20) == (2, ["first", "second", "chosen"])


def test_a_slot_that_dies_is_told(monkeypatch, run):
    dead = Future()
    dead.set_exception(BrokenProcessPool())
    monkeypatch.setattr(Pool, "submit", lambda *_: dead)
    monkeypatch.setattr(side_by_side, "wait", lambda *_: SimpleNamespace(done=[dead]))
    with pytest.raises(RuntimeError, match="a slot has died, with first or another: fewer slots"):
        run(20)


def test_a_process_trains_what_it_is_told_and_says_what_went_wrong(monkeypatch):
    def train(options, verbose):
        if options["seed"] == 1:
            raise ValueError("no faces")

    monkeypatch.setitem(sys.modules, "palcore.runs.options", SimpleNamespace(check_options=dict))
    monkeypatch.setitem(sys.modules, "palcore.runs.training", SimpleNamespace(train=train))
    assert side_by_side.train_cell({"seed": 0})[1] == ""
    assert side_by_side.train_cell({"seed": 1})[1].endswith("ValueError: no faces\n")
