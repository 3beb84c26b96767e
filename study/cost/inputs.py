"""Batches: what threads give, what ``fit`` makes of files, and what keeping freed memory saves it."""

import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from palcore.data import batches
from palcore.data.batches import FaceBatches
from palcore.data.changes import draw_matrix
from palcore.data.geometry import pixel_map, warp
from palcore.data.images import read_image
from palcore.data.table import LazyImages
from study.cost.models import VGG16, Case, OneBatch, drawn_faces, epoch_of, model_and_batch
from study.cost.timing import Remote, clocked, interleaved, ratio, serve


def written_faces(folder, count, size, quality=92):
    """Drawn faces, ``palcore.data.table.Faces``, that are read from the files ``N.jpg`` of a folder."""
    drawn = drawn_faces(count, size)
    paths = [Path(folder) / f"{row}.jpg" for row in range(count)]
    for path, image in zip(paths, drawn.images[:], strict=True):
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return replace(drawn, images=LazyImages(paths, read_image, size))


def threads(targets=((112, 2.0), (224, 1.3)), count=64, number=8, rounds=21):
    """Augmented batches from the form that a data set is kept in, pixels in one mapped array: over bare warps, and two threads over
    one.

    :param targets: ``(side in pixels, at most so many bare warps a face)``.
    :param number: of batches that are timed together.
    """
    figures = {}
    for size, most in targets:
        drawn = drawn_faces(count, size)
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "pixels.npy", drawn.images[:])
            pixels = np.load(Path(folder) / "pixels.npy", mmap_mode="r")
            faces = replace(drawn, images=LazyImages(np.arange(count), np.asarray(pixels).__getitem__, size))
            readers = {workers: FaceBatches(faces, count, threads=workers, augment=True) for workers in (1, 2)}
            out, maps = np.empty_like(pixels[0]), pixel_map(draw_matrix(readers[1].draws), size, size)

            def read(workers, readers=readers):
                for _ in range(number):
                    readers[workers][0]

            def bare(pixels=pixels, maps=maps, out=out):
                for _ in range(number):
                    for image, one in zip(pixels, maps, strict=True):
                        warp(image, one, out)

            steps = {workers: clocked(partial(read, workers)) for workers in readers} | {"bare": clocked(bare)}
            times = interleaved(steps, rounds)
        what = f"time of an augmented face over a bare warp: {size} px"
        figures[f"augmented_{size}"] = ratio(what, times, 1, "bare", at_most=most)
        figures[f"threads_{size}"] = ratio(f"faces a second with two threads over one: {size} px", times, 1, 2, at_least=1.8)
    return figures


def fed(case, faces, rounds):
    """What an epoch of ``fit`` on files, augmented and in random order, reaches of what it reaches on one fixed batch.

    :param faces: of an epoch.
    """
    number = max(2, faces // case.count)
    with tempfile.TemporaryDirectory() as folder:
        files = written_faces(folder, number * case.count, case.size)
        model, batch = model_and_batch(case)
        readers = {"files": FaceBatches(files, case.count, augment=True, shuffle=True), "batch": OneBatch(batch, number)}
        times = interleaved({name: clocked(epoch_of(model, reader)) for name, reader in readers.items()}, rounds, warm=1)
    what = f"faces a second of fit on files over those on one fixed batch: {case}, {case.precision}"
    return ratio(what, times, "batch", "files", at_least=0.95)


def fed_by_files(case=VGG16, faces=64, rounds=7):
    return {"fed": fed(case, faces, rounds)}


SMALL = Case("compact", 48, 64)


def freed_memory(case=SMALL, number=40, rounds=7):
    """An epoch through ``fit`` where the C library hands freed memory back to the system, over one where it is kept.

    :param number: of batches in an epoch.
    """
    with ExitStack() as stack:
        command = [sys.executable, "-m", "study.cost.inputs", json.dumps([case, number])]
        epochs = {kind: stack.enter_context(Remote([*command, kind])) for kind in ("handed back", "kept")}
        times = interleaved(epochs, rounds)
    what = f"time of a step through fit with freed memory handed back over one with it kept: {case}, {case.precision}"
    return {"freed_memory": ratio(what, times, "handed back", "kept")}


def _epochs(case, number, kind):
    """What a process of ``freed_memory`` times."""
    if kind == "handed back":
        batches.keep_freed_memory = lambda: None
    model, _ = model_and_batch(case)
    faces = drawn_faces(number * case.count, case.size)
    epoch = epoch_of(model, FaceBatches(faces, case.count, augment=True))
    return lambda times: [epoch() for _ in range(times)], {}


if __name__ == "__main__":
    (case, number), kind = json.loads(sys.argv[1]), sys.argv[2]
    serve(lambda: _epochs(Case(*case), number, kind))
