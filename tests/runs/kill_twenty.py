"""Kill small runs at twenty random moments and once in the test, go on, and compare with one that was left alone.

python tests/runs/kill_twenty.py [KILLS [OUT.json]]

A run is killed, taken up by the same call, and killed again, until it reaches its end; it has to end with the record, predictions
and weights of the one left alone, bit for bit. What came out is written to ``results/kills.json``, for the backend that
``KERAS_BACKEND`` names. It is imported once: each process is a fork of this one, which itself computes nothing. What answers
rely on is not measured, for the sake of time.
"""

import json
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import keras  # noqa: E402
import numpy as np  # noqa: E402

from palcore.data import load  # noqa: E402
from palcore.files import write_json  # noqa: E402
from palcore.runs import evaluation, faces, training  # noqa: E402
from palcore.runs.options import check_options  # noqa: E402
from palcore.runs.records import STATE, commit, device, read_record, versions  # noqa: E402
from palcore.runs.resume import Progress  # noqa: E402
from palcore.weights import read_model, weights_digest  # noqa: E402

EPOCHS = 6
SMALL = {"image_size": 32, "width_multiplier": 0.125, "units": 16, "batch_size": 16, "learning_rate": 1e-3}
DIFFER = ("seconds", "seconds_training", "commit")
"""What a record says of how it was made, and not of what came out."""


def load_few(options, split, index_dir=None, **changes):
    given = {"shortcut": options.shortcut, "seed": options.seed, **changes}
    return load("synthetic", None, split, image_size=32, count=70, **given)


def make_small(change=setattr):
    """Few faces, and a short test.

    :param change: ``setattr``, or pytest's way to do it for a while.
    """
    change(faces, "load_faces", load_few)
    change(evaluation, "reliance", lambda *arguments: {})


def run(folder, before=None):
    """Train in a process of its own, and wait for it: its exit code, below 0 for the signal that ended it.

    :param before: called in that process before it trains.
    """
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 1
    try:
        if before:
            before()
        make_small()
        training.train(check_options(**SMALL, epochs=EPOCHS, out_dir=str(folder)), verbose=0)
        code = 0
    except Exception as error:  # an answer like any other: the parent reads it
        print(error, file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def outcome(folder):
    """What has to be the same: the record but for ``DIFFER``, predictions and weights, and the names of the files."""
    record = {name: value for name, value in read_record(folder).items() if name not in DIFFER}
    with np.load(folder / "predictions.npz") as arrays:
        predictions = {name: arrays[name].tobytes() for name in arrays.files}
    return record, predictions, sorted(path.name for path in folder.iterdir())


def epochs_of(folder):
    """Epochs that a half-finished run has behind it; None where it has no state yet."""
    if not (folder / STATE).exists():
        return None
    with np.load(folder / STATE) as arrays:
        return json.loads(arrays["state"].tobytes())["epoch"]


def die_in_the_test():
    training.evaluate_conditions = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)


def die_after(batches, seconds):
    """What has a training kill itself, from another thread, some time after so many batches to train on."""

    class Killed(Progress):
        left = batches

        def on_train_batch_end(self, batch, logs=None):
            self.left -= 1
            if self.left == 0:
                threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()
            super().on_train_batch_end(batch, logs)

    def change():
        training.Progress = Killed

    return change


def main(kills=20, out="results/kills.json"):
    moments, rows, ended = random.Random(0), [], []
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        assert run(place / "alone") == 0
        alone = outcome(place / "alone")
        while len(rows) <= kills:
            folder, last = place / str(len(ended)), len(rows) == kills
            while not (folder / "record.json").exists():
                # As many as are left, wherever the run goes on: five batches an epoch.
                batches, wait = moments.randint(1, 5 * (EPOCHS - (epochs_of(folder) or 0)) + 1), moments.uniform(0, 0.2)
                alive = len(rows) >= kills and not last
                code = run(folder, None if alive else die_in_the_test if last else die_after(batches, wait))
                assert code in (0, -signal.SIGKILL), f"{folder} ended with {code}"
                if code:
                    where = "in the test" if last else f"{wait:.3f} s after {batches} batches"
                    files = sorted(path.name for path in folder.glob("*"))
                    rows.append({"run": len(ended), "killed": where, "epochs_kept": epochs_of(folder), "files": files})
                    print(rows[-1], flush=True)
                last = False
            ended.append({"run": len(ended), "same": outcome(folder) == alone})
            print(ended[-1], flush=True)
        weights = weights_digest(read_model(place / "alone" / "classifier.keras"))  # at the end: a fork after it may hang
        assert weights == alone[0]["weights"]
    facts = {"weights": weights, "epochs": EPOCHS, "commit": commit(), "device": device(), "versions": versions()}
    backends = json.loads(Path(out).read_text()) if Path(out).exists() else {}
    write_json(out, {**backends, keras.backend.backend(): {"kills": rows, "runs": ended, **facts}})
    sys.exit(0 if all(row["same"] for row in ended) else 1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, *sys.argv[2:])
