"""Slots take the cells in the grid's order, each once; what would not end in time is not begun, and choices open more."""

import os
import sys
from types import SimpleNamespace

import pytest
import yaml

from study import side_by_side
from study.cells import Cell

EPOCHS = {"first": 2, "second": 2, "long": 50, "chosen": 2}


class Slot(side_by_side.Slot):
    """A slot without a process: a cell takes a second an epoch of a clock that nobody else moves, and `second` fails."""

    clock, told = 0.0, []

    def __init__(self, memory):
        self.process, self.channel = SimpleNamespace(terminate=lambda: None), self
        self.cell, self.ready, self.begun = None, False, 0.0

    def send(self, options):
        self.told.append(options["out_dir"].rpartition("/")[2])

    def recv(self):
        if self.cell is None:
            return None
        Slot.clock += EPOCHS[self.cell.name]
        return "Traceback" if self.cell.name == "second" else ""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`run` with one such slot; how many cells it finished, which it began, and what was noted of them."""
    noted, options = [], {"dataset": "synthetic", "backbone": "compact", "image_size": 48}
    cells = {name: Cell(name, {**options, "epochs": epochs}, False, ["q"]) for name, epochs in EPOCHS.items()}
    fakes = {
        "Slot": Slot,
        "wait": lambda channels, timeout: channels,
        "time": SimpleNamespace(monotonic=lambda: Slot.clock),
        "note": lambda cell, event: noted.append((cell.name, event)),
        "state": lambda cell, root: "finished" if (cell.name, "finished") in noted else "missing",
        "read_grid": dict,
        "TUNED": tmp_path / "tuned.yml",
        "expand": lambda grid, tuned: [cell for name, cell in cells.items() if name != "chosen" or tuned],
        "choose": lambda grid, cells, records, tuned: {"a": 1} if ("first", "finished") in noted else tuned,
        "selected": lambda cells, *_: cells,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(side_by_side, name, fake)
    Slot.clock, Slot.told = 0.0, []
    return lambda seconds: (side_by_side.run(["q"], {}, 1, seconds), Slot.told, noted)


def test_cells_run_in_order_and_a_failure_stops_no_other(run, tmp_path):
    finished, begun, noted = run(1000)
    assert (finished, begun) == (3, ["first", "second", "long", "chosen"])
    assert ("second", "failed") in noted and ("long", "finished") in noted
    assert yaml.safe_load((tmp_path / "tuned.yml").read_text()) == {"a": 1}


def test_what_would_not_end_in_time_is_not_begun(run):
    assert run(20)[:2] == (2, ["first", "second", "chosen"])


def test_a_slot_that_dies_is_told(monkeypatch, run):
    def dead(slot):
        raise EOFError

    monkeypatch.setattr(Slot, "recv", dead)
    with pytest.raises(RuntimeError, match="a slot has died, with None: fewer slots"):
        run(20)


def test_a_process_trains_what_it_is_told_and_says_what_went_wrong(monkeypatch):
    def train(options, verbose):
        if options["seed"] == 1:
            raise ValueError("no faces")

    monkeypatch.setitem(sys.modules, "palcore.runs.options", SimpleNamespace(check_options=dict))
    monkeypatch.setitem(sys.modules, "palcore.runs.training", SimpleNamespace(train=train))
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")  # so that it is put back
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9")
    told, said = iter([{"seed": 0}, {"seed": 1}]), []
    with pytest.raises(StopIteration):
        side_by_side.work(SimpleNamespace(recv=lambda: next(told), send=said.append), 0.5)
    assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.500"
    assert said[:2] == [None, ""] and said[2].endswith("ValueError: no faces\n")
