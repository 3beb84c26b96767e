"""What keeping freed memory brings: ``compact`` trained through ``fit``, with and without, in processes that take turns."""

import ctypes.util
import json
import resource
import sys
import time

import numpy as np

from study.cost.timing import answer, figure


def allocator():
    """``one_size`` for maps that glibc can be told to keep, and for ``large`` ones above the 32 MiB that it always hands back."""
    return one_size(48, 64, steps=20) | {f"{name}_large": found for name, found in one_size(112, 64, steps=4).items()}


def one_size(size, count, steps, rounds=3):
    """Page faults and processor time a face of training through ``fit``: freed memory given back, over kept.

    Where the machine has jemalloc, also what preloading it makes of it.
    """
    ways = {"kept": ("kept", {}), "given_back": ("given_back", {})}
    library = ctypes.util.find_library("jemalloc")
    if library:
        ways["jemalloc"] = ("given_back", {"LD_PRELOAD": library, "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1"})
    found = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (way, extra) in ways.items():
            found[name].append(answer("study.cost.allocator", way, size, count, steps, **extra))
    columns = {
        name: {key: np.array([one[key] for one in each]) for key in ("wall", "processor", "faults")} for name, each in found.items()
    }
    medians = {name: {key: float(np.median(value)) for key, value in each.items()} for name, each in columns.items()}
    what = f"compact at {size} px, batches of {count}, through fit"
    over = {key: columns["given_back"][key] / columns["kept"][key] for key in ("wall", "processor")}
    words = f"time with freed memory given back over kept: {what}"
    result = {"allocator": figure(words, over["wall"], over["processor"], milliseconds_a_face_and_faults=medians)}
    if library:
        over = {key: columns["jemalloc"][key] / columns["kept"][key] for key in ("wall", "processor")}
        words = f"time with jemalloc preloaded over glibc with freed memory kept: {what}"
        result["jemalloc"] = figure(words, over["wall"], over["processor"])
    else:
        result["jemalloc"] = {"what": f"time with jemalloc preloaded: {what}", "not_measured": "jemalloc is not installed"}
    return result


def train(way, size, count, steps):
    """Milliseconds a face, wall and processor, and minor page faults of an epoch of ``fit`` after a first one."""
    import keras

    from palcore.data import batches, load
    from study.cost.models import classifier_with_weights, compiled

    if way == "given_back":
        batches.keep_freed_memory = lambda: None
    model = compiled(classifier_with_weights("compact", size))
    drawn = load("synthetic", count=70, image_size=size, shortcut=None)
    reader = batches.FaceBatches(drawn.subset(np.arange(steps * count) % len(drawn)), count)
    marks = []

    def look(epoch, logs=None):
        marks.append((time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt))

    watch = keras.callbacks.LambdaCallback(on_epoch_begin=look, on_train_end=lambda logs: look(None))
    model.fit(reader, epochs=2, verbose=0, callbacks=[watch])
    (_, _, _), start, end = marks
    wall, processor, faults = np.subtract(end, start)
    faces = steps * count
    return {"wall": 1e3 * wall / faces, "processor": 1e3 * processor / faces, "faults": int(faults)}


if __name__ == "__main__":
    print(json.dumps(train(sys.argv[1], *map(int, sys.argv[2:]))))
