"""A run that may die at any moment: one process a folder, and the state from which the same command goes on."""

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
import zipfile
from pathlib import Path

import keras
import numpy as np

from palcore.runs.distribution import from_first, gathered
from palcore.runs.records import whole_file, write_json

try:
    import fcntl
except ImportError:  # Windows, where two runs in one folder are not noticed
    fcntl = None

STATE, STOPPED, GOOD = "resume.npz", "stopped.json", "last_good.keras"
"""What a half-finished run's folder holds: its state after the last epoch, and what is left where the loss is no number."""

SILENCE = 900
"""Seconds without a batch after which a run is taken to hang. The slowest batch that we know takes half a minute."""


@contextlib.contextmanager
def only_process(folder):
    """Make a run's folder and keep other processes out of it, by a lock that the system drops however the process ends.

    :raises ValueError: where the folder can't be made or written to, or another process trains in it.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"out_dir {folder} is a file, or lies below one: give a folder") from None
    except OSError as error:
        raise ValueError(f"out_dir {folder} can't be written to ({error.strerror}): give another folder") from None
    with lock:
        try:
            if fcntl:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process trains in {folder}: wait for it, stop it, or give another out_dir") from None
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                left = os.listdir(folder)
                if left == [".lock"] or "record.json" in left:
                    os.unlink(lock.name)
                if left == [".lock"]:
                    folder.rmdir()


@contextlib.contextmanager
def stopped_by_sigterm():
    """Within it SIGTERM, unless something else handles it, ends a run as Ctrl-C does."""

    def stop(number, frame):
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def differences(before, now, name=""):
    """What differs between two nested dictionaries, as ``["learning_rate 0.1 (now 0.2)", ...]``."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{name} {before!r} (now {now!r})"]
    keys = dict.fromkeys([*before, *now])
    return [
        line for key in keys for line in differences(before.get(key), now.get(key), f"{name} {key}".strip().removeprefix("config "))
    ]


class Progress(keras.callbacks.Callback):
    """What a run has reached: kept in its folder after each epoch, and taken up again by the next process.

    Keras's ``BackupAndRestore`` does not suffice. It writes weights and epoch to two files in place, so a kill between them counts
    an epoch twice; it knows no history and no other options; and it forgets all before the test. Here everything is in one file,
    written beside and renamed: weights, the optimizer's variables, the state of dropout's random numbers, history, seconds.

    A run that goes on so ends bit for bit as one that never stopped, on a processor with the same number of threads (``threads`` in
    the record): TensorFlow splits sums among them, and with another number the last digits differ.

    Where several processes train together, and were not killed in the same epoch, all go on from where the first was.

    :param batches: what it is trained on; it is told the epoch.
    :param facts: JSON dictionary of all that makes the run what it is; a state with other facts is refused.
    :param processes: how many train together.
    :ivar epoch: epochs done.
    :ivar history: ``{name: [value of each epoch]}``.
    :ivar seconds: spent on them, by all processes.
    :raises ValueError: for the state of another run, or a damaged one.
    """

    def __init__(self, folder, model, batches, facts, code=None, processes=1):
        super().__init__()
        self.batches = batches
        self.path, self.facts, self.epoch, self.history, self.codes = folder / STATE, facts, 0, {}, [code]
        self._started, self._before = time.perf_counter(), 0.0
        self._batch_ended = threading.Event()
        model.optimizer.build(model.trainable_variables)
        measures = {id(variable) for variable in model.metrics_variables}
        self.variables = [variable for variable in model.variables if id(variable) not in measures] + model.optimizer.variables
        epoch = self._checked() if self.path.exists() else -1
        # All processes have the same weights; two that are epochs apart would wait for each other.
        apart = len(set(gathered(epoch, processes))) > 1
        if apart:
            state = from_first(self.path.read_bytes() if epoch >= 0 else b"", processes)
            source = io.BytesIO(state) if state else None
        else:
            source = self.path if epoch >= 0 else None
        if source:
            self._take_up(source, code)
        if apart or not source:
            self.save()

    @property
    def seconds(self):
        return self._before + time.perf_counter() - self._started

    def save(self):
        state = {name: getattr(self, name) for name in ("epoch", "history", "facts", "codes", "seconds")}
        arrays = {str(place): variable.numpy() for place, variable in enumerate(self.variables)}
        with whole_file(self.path) as draft, draft.open("wb") as file:
            np.savez(file, state=np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays)

    def _read(self, source):
        try:
            with np.load(source, allow_pickle=False) as arrays:
                state = json.loads(arrays["state"].tobytes())
                return state, [arrays[str(place)] for place in range(len(arrays.files) - 1)]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            raise ValueError(f"{self.path} is damaged: remove it, and the run begins anew") from None

    def _checked(self):
        """The epoch of this process's own state, which has to be one of the same run."""
        state = self._read(self.path)[0]
        found = differences(state["facts"], json.loads(json.dumps(self.facts)))
        if found:
            raise ValueError(
                f"{self.path.parent} holds a half-finished run with {', '.join(found[:4])}{', ...' if found[4:] else ''}: "
                f"give another out_dir, or remove {self.path} to begin anew"
            )
        return state["epoch"]

    def _assign(self, source):
        state, arrays = self._read(source)
        for variable, array in zip(self.variables, arrays, strict=True):
            variable.assign(array)
        return state

    def restore(self):
        """Give all variables their values after the last epoch."""
        self._assign(self.path)

    def _take_up(self, source, code):
        state = self._assign(source)
        self.epoch, self.history, self._before = state["epoch"], state["history"], state["seconds"]
        self.codes = list(dict.fromkeys([*state["codes"], code]))
        print(f"{self.path.parent}: going on after epoch {self.epoch}", file=sys.stderr)

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
        self._batch_ended.set()
        if not np.isfinite(logs["loss"]):  # the mean of the epoch so far, which one NaN makes NaN
            raise NotANumber(self._now, batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._batch_ended.set()

    @contextlib.contextmanager
    def watched(self):
        """While it lasts, a process that has been silent for ``SILENCE`` seconds ends itself with a sentence and code 75.

        TensorFlow's input pipeline can wait for itself for ever, rarely, where an epoch ends; nothing that Python can raise would
        reach it there. Seconds in which the process did not run (stopped, asleep) do not count.
        """
        ended = threading.Event()

        def watch():
            quiet = 0
            while not ended.wait(1):
                quiet = 0 if self._batch_ended.is_set() else quiet + 1
                self._batch_ended.clear()
                if quiet >= SILENCE:
                    sentence = f"{self.path.parent}: no batch for {SILENCE} seconds after epoch {self.epoch}: the input hangs; "
                    os.write(2, f"{sentence}the same command goes on from there\n".encode())
                    os._exit(75)

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            ended.set()


def clear(folder):
    """Remove all that only a half-finished run needs."""
    for name in (STATE, STOPPED, GOOD):
        (Path(folder) / name).unlink(missing_ok=True)


class NotANumber(ArithmeticError):
    """A loss is NaN or infinite: at a batch, counted from 0, or (None) in the validation of an epoch."""

    def __init__(self, epoch, batch, logs):
        super().__init__()
        self.epoch, self.batch = epoch, batch
        self.losses = {name: str(float(value)) for name, value in logs.items() if name.endswith("loss")}


def write_stopped(progress, error, classifier):
    """Leave ``stopped.json`` (where the loss stopped being a number, on which files) and ``last_good.keras``."""
    folder = progress.path.parent
    with whole_file(folder / GOOD, ".tmp.keras") as draft:
        classifier.save(draft)
    where = {"epoch": error.epoch + 1, "step": None, "files": []}
    if error.batch is not None:
        where |= {"step": error.batch + 1, "files": progress.batches.files_of(error.epoch, error.batch)}
    kept = {"epochs_kept": progress.epoch, "history": progress.history}
    write_json(folder / STOPPED, {**where, "losses": error.losses, **kept, **progress.facts})
