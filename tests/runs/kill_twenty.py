"""Kill a small run at twenty random moments and once in its test, go on, and compare with one that was left alone.

python tests/runs/kill_twenty.py [KILLS [OUT.json]]

Every killed run has to end with the record, the predictions and the weights of the one left alone, bit for bit. What came out is
written to ``results/kills.json``. TensorFlow is imported once: each run is a fork of this process, which itself computes nothing.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from palcore.data import load  # noqa: E402
from palcore.runs import faces, training  # noqa: E402
from palcore.runs.options import check_options  # noqa: E402
from palcore.runs.records import commit, device, read_record, versions, write_json  # noqa: E402
from palcore.runs.resume import STATE  # noqa: E402
from palcore.weights import read_model, weights_digest  # noqa: E402

SMALL = {"image_size": 32, "width_multiplier": 0.125, "units": 16, "batch_size": 16, "learning_rate": 1e-3}
DIFFER = ("seconds", "seconds_training", "commit")
"""What a record says of how it was made, and not of what came out."""


def load_few(options, split, index_dir=None, **changes):
    given = {"shortcut": options.shortcut, "seed": options.seed, **changes}
    return load("synthetic", None, split, image_size=32, count=70, **given)


def start(folder, before=None, **options):
    """Train in a process of its own; its number.

    :param before: called in that process before it trains.
    """
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        if before:
            before()
        faces.load_faces = load_few
        training.train(check_options(**{**SMALL, "out_dir": str(folder), **options}), verbose=0)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # an answer like any other: the parent reads it
        print(error, file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def end(process):
    """Wait for a process: its exit code, below 0 for the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


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


def main(kills=20, out="results/kills.json"):
    moments = random.Random(0)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        began = time.monotonic()
        assert end(start(place / "alone", epochs=6)) == 0
        length = time.monotonic() - began
        alone = outcome(place / "alone")
        for number in range(kills + 1):
            folder, last = place / str(number), number == kills
            process = start(folder, die_in_the_test if last else None, epochs=6)
            if not last:
                wait = moments.uniform(0, length)
                time.sleep(wait)
                os.kill(process, signal.SIGKILL)
            code = end(process)
            killed = {"after": "in the test" if last else round(wait / length, 3), "ended_by_kill": code == -signal.SIGKILL}
            killed |= {"epochs_done": epochs_of(folder) if not (folder / "record.json").exists() else 6}
            if code:
                assert end(start(folder, epochs=6)) == 0
            rows.append({**killed, "same": outcome(folder) == alone})
            print(rows[-1], flush=True)
        weights = alone[0]["weights"]
        assert weights_digest(read_model(place / "alone" / "classifier.keras")) == weights
    facts = {"weights": weights, "epochs": 6, "commit": commit(), "device": device(), "versions": versions()}
    write_json(out, {"runs": len(rows), "same": sum(row["same"] for row in rows), "kills": rows, **facts})
    sys.exit(0 if all(row["same"] for row in rows) else 1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, *sys.argv[2:])
