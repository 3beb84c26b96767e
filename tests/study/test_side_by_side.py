"""Slots take the cells in the grid's order, each once; what would not end in time is not begun, and choices open more."""

import pytest
import yaml

from study import side_by_side
from study.cells import Cell

EPOCHS = {"first": 2, "second": 2, "long": 50, "chosen": 2}


@pytest.fixture
def slots(monkeypatch, tmp_path):
    """`run` with slots that take a second an epoch of a clock that only they move; what was begun, and what was noted."""
    clock, begun, noted, records = [0.0], [], [], set()
    options = {"dataset": "synthetic", "backbone": "compact", "image_size": 48}
    cells = {name: Cell(name, {**options, "epochs": epochs}, False, ["q"]) for name, epochs in EPOCHS.items()}

    class Channel:
        def send(self, options):
            begun.append(options["out_dir"].rpartition("/")[2])

        def recv(self):
            if not begun or self.told == len(begun):
                self.told = len(begun)
                return None
            self.told, name = len(begun), begun[-1]
            clock[0] += EPOCHS[name]
            records.add(name)
            return "Traceback" if name == "second" else ""

    class Slot(side_by_side.Slot):
        def __init__(self, memory):
            self.channel, self.cell, self.ready, self.begun = Channel(), None, False, 0.0
            self.channel.told = 0
            self.process = type("Process", (), {"terminate": lambda self: None})()

    monkeypatch.setattr(side_by_side, "Slot", Slot)
    monkeypatch.setattr(side_by_side, "wait", lambda channels, timeout: channels)
    monkeypatch.setattr(side_by_side, "time", type("Time", (), {"monotonic": lambda: clock[0]}))
    monkeypatch.setattr(side_by_side, "note", lambda cell, event: noted.append((cell.name, event)))
    monkeypatch.setattr(side_by_side, "state", lambda cell, root: "finished" if cell.name in records else "missing")
    monkeypatch.setattr(side_by_side, "read_grid", dict)
    monkeypatch.setattr(side_by_side, "TUNED", tmp_path / "tuned.yml")
    monkeypatch.setattr(side_by_side, "expand", lambda grid, tuned: [cells[name] for name in EPOCHS if name != "chosen" or tuned])
    monkeypatch.setattr(side_by_side, "choose", lambda grid, cells, records_of, tuned: {"a": 1} if "first" in records else tuned)
    monkeypatch.setattr(side_by_side, "selected", lambda cells, *_: cells)
    return lambda seconds: side_by_side.run(["q"], {}, 1, seconds), begun, noted


def test_cells_run_in_order_and_a_failure_stops_no_other(slots, tmp_path):
    run, begun, noted = slots
    assert run(1000) == 3
    assert begun == ["first", "second", "long", "chosen"]
    assert ("second", "failed") in noted and ("long", "finished") in noted
    assert yaml.safe_load((tmp_path / "tuned.yml").read_text()) == {"a": 1}


def test_what_would_not_end_in_time_is_not_begun(slots):
    run, begun, _ = slots
    assert run(20) == 2
    assert begun == ["first", "second", "chosen"]


def test_a_slot_that_dies_is_told():
    slot = object.__new__(side_by_side.Slot)
    slot.cell = Cell("one", {}, False)
    slot.channel = type("Channel", (), {"recv": lambda self: (_ for _ in ()).throw(EOFError)})()
    with pytest.raises(RuntimeError, match="a slot has died, with one"):
        slot.end()
