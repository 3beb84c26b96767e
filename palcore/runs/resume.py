"""A run that may die at any moment: one process a folder, and the state from which the same command goes on."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from palcore.data.batches import FaceBatches
from palcore.files import locked, read_arrays, write_arrays
from palcore.runs.records import STATE

STOPPED = "stopped.json"  # what says in a run's folder that the loss was no number


@contextlib.contextmanager
def only_process(folder: str | Path) -> Iterator[None]:
    """Make a run's folder and keep other processes out of it; a ``ValueError`` where that can't be."""
    folder = Path(folder)
    busy = f"another process trains in {folder}: wait for it, stop it, or give another out_dir"
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder / ".lock", busy))
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"out_dir {folder} is a file, or lies below one: give a folder") from None
        except OSError as error:
            raise ValueError(f"out_dir {folder} can't be written to ({error.strerror}): give another folder") from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                left = os.listdir(folder)
                if left == [".lock"] or "record.json" in left:
                    (folder / ".lock").unlink()
                if left == [".lock"]:
                    folder.rmdir()


@contextlib.contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Within it SIGTERM, unless something else handles it, ends a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """What differs between two nested dictionaries, as ``["learning_rate 0.1 (now 0.2)", ...]``."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{name} {before!r} (now {now!r})"]
    lines = []
    for key in dict.fromkeys([*before, *now]):
        lines += differences(before.get(key), now.get(key), f"{name} {key}".strip().removeprefix("config "))
    return lines


class NotANumber(ArithmeticError):
    """A loss is NaN or infinite: at a batch, counted from 0, or (None) in the validation of an epoch."""

    def __init__(self, epoch: int, batch: int | None, logs: dict):
        super().__init__()
        self.epoch, self.batch = epoch, batch
        self.losses = {name: str(float(value)) for name, value in logs.items() if name.endswith("loss")}


class Progress(keras.callbacks.Callback):
    """What a run has reached: kept in its folder after each epoch, and taken up again by the next process.

    All is in one file, written beside and renamed: weights, the optimizer's variables, the state of dropout's random numbers,
    history, seconds. (Keras's ``BackupAndRestore`` writes two files in place, so that a kill between them counts an epoch twice.)
    A run that goes on so ends bit for bit as one that never stopped, on a processor with the same number of threads. ``epoch``
    counts those done, ``history`` is ``{name: [value of each epoch]}``, ``seconds`` were spent by all processes.

    :param batches: what it is trained on; ``facts``: JSON dictionary of all that makes the run what it is.
    :raises ValueError: for the state of another run, or a damaged one.
    """

    def __init__(self, folder: Path, model: keras.Model, batches: FaceBatches, facts: dict, code: str | None = None):
        super().__init__()
        self.batches = batches
        self.path, self.facts, self.codes = folder / STATE, facts, [code]
        self.epoch, self.history = 0, {}
        self._started, self._before = time.perf_counter(), 0.0
        model.optimizer.build(model.trainable_variables)
        measures = {id(variable) for variable in model.metrics_variables}
        self.variables = [variable for variable in model.variables if id(variable) not in measures] + model.optimizer.variables
        if os.path.lexists(self.path):
            state = self.restore()
            self.epoch, self.history, self._before = state["epoch"], state["history"], state["seconds"]
            self.codes = list(dict.fromkeys([*state["codes"], code]))
            print(f"{folder}: going on after epoch {self.epoch}", file=sys.stderr)
        else:
            self.save()

    @property
    def seconds(self) -> float:
        return self._before + time.perf_counter() - self._started

    def save(self) -> None:
        state = {name: getattr(self, name) for name in ("epoch", "history", "facts", "codes", "seconds")}
        arrays = {str(place): variable.numpy() for place, variable in enumerate(self.variables)}
        write_arrays(self.path, {"state": np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays}, compressed=False)

    def restore(self) -> dict:
        """Give all variables their values after the last epoch, and return the rest of the state, once it is this run's."""
        damaged = "remove it, and the run begins anew"
        arrays = read_arrays(self.path, "state", damaged)
        try:
            state = json.loads(arrays.pop("state").tobytes())
            arrays = [arrays[str(place)] for place in range(len(arrays))]
            lengths = {len(values) for values in state["history"].values()} or {0}
            whole = lengths == {state["epoch"]} and np.isfinite(state["seconds"]) and isinstance(state["codes"], list)
            different = differences(state["facts"], json.loads(json.dumps(self.facts)))
        except (ValueError, TypeError, KeyError, AttributeError):
            whole, different = False, []
        if different:
            raise ValueError(
                f"{self.path.parent} holds a half-finished run with {', '.join(different[:4])}{', ...' if different[4:] else ''}: "
                f"give another out_dir, or remove {self.path} to begin anew"
            )
        if not whole or [array.shape for array in arrays] != [tuple(variable.shape) for variable in self.variables]:
            raise ValueError(f"state {self.path} is damaged: {damaged}")
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)
        return state

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch
        self.batches.set_epoch(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if not np.all(np.isfinite([value for name, value in logs.items() if name.endswith("loss")])):
            raise NotANumber(epoch, None, logs)
        self.epoch = epoch + 1
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.save()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):  # the mean of the epoch so far, which one NaN makes NaN
            raise NotANumber(self._now, batch, logs)


def clear(folder: str | Path) -> None:
    """Remove all that only a half-finished run needs."""
    for name in (STATE, STOPPED):
        (Path(folder) / name).unlink(missing_ok=True)
