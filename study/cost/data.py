"""How long the real data sets take to start, and how much memory they need, at their full size: ``results/benchmark/data.json``.

We may not have the images, so their folders are generated: as many files as the owners ship, under their names, with their labels,
but a few drawn faces with their landmarks take turns (the images as hard links). Run it on a disk with room for 900,000 files:

    python -m study.cost.data FOLDER
"""

import argparse
import io
import json
import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from palcore.data import load
from palcore.data.affectnet import EXPRESSIONS
from palcore.data.affectnet import READER as AFFECTNET
from palcore.data.rafdb import LABELS as RAFDB_LABELS
from palcore.data.rafdb import READER as RAFDB
from study.cost.timing import answer, peak

CONTEMPT = {"train": 3750, "test": 499}
"""Faces of AffectNet that are no part of the seven-class task."""

DRAWN = 210
BATCHES, BATCH_SIZE, IMAGE_SIZE = 100, 64, 112


def as_npy(array):
    """The bytes of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def copies(folder, size, counts, annotation):
    """Each of the owner's faces: ``(part, number from 1, expression, (path of a drawn face, its annotation))``.

    :param counts: ``{part: {expression: faces}}``; they come in random order.
    :param annotation: makes what the owner writes of 68 landmarks in pixels.
    """
    faces, drawn = load("synthetic", count=DRAWN, image_size=size, shortcut=None), []
    (folder / "drawn").mkdir(parents=True)
    for row, (image, points) in enumerate(zip(faces.images[:], faces.landmarks * size - 0.5, strict=True)):
        drawn.append((folder / "drawn" / f"{row}.jpg", annotation(points)))
        cv2.imwrite(str(drawn[-1][0]), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    for seed, (part, of_part) in enumerate(counts.items()):
        rng = np.random.default_rng(seed)
        expressions = rng.permutation(np.repeat(list(of_part), list(of_part.values())))
        for number, expression in enumerate(tqdm(expressions, desc=f"{folder.name} {part}"), start=1):
            yield part, number, expression, drawn[rng.integers(DRAWN)]


def write_rafdb(folder):
    images, landmarks, labels = folder / "Image" / "aligned", folder / "landmarks", folder / "EmoLabel"
    for place in (images, landmarks, labels):
        place.mkdir(parents=True)

    def annotation(points):
        return "".join(f"{round(y)}\t{round(x)}\n" for x, y in points)

    with (labels / "list_patition_label.txt").open("w") as table:
        for part, number, expression, (path, text) in copies(folder, 100, RAFDB.PUBLISHED, annotation):
            stem = f"{part}_{number:0{5 if part == 'train' else 4}d}"
            os.link(path, images / f"{stem}_aligned.jpg")
            (landmarks / f"{stem}_aligned.txt").write_text(text)
            table.write(f"{stem}.jpg {RAFDB_LABELS.index(expression) + 1}\n")


def write_affectnet(folder):
    places = {"train": folder / "train_set", "test": folder / "val_set"}
    for place in places.values():
        (place / "images").mkdir(parents=True)
        (place / "annotations").mkdir()
    counts = {part: AFFECTNET.PUBLISHED[part] | {"contempt": CONTEMPT[part]} for part in places}
    for part, number, expression, (path, content) in copies(folder, 224, counts, lambda points: as_npy(points.ravel())):
        os.link(path, places[part] / "images" / f"{number}.jpg")
        annotation = places[part] / "annotations" / f"{number}"
        annotation.with_name(f"{number}_exp.npy").write_bytes(as_npy(str(EXPRESSIONS.index(expression))))
        annotation.with_name(f"{number}_lnd.npy").write_bytes(content)


WRITERS = {"rafdb": write_rafdb, "affectnet": write_affectnet}


def measure(dataset, folder, index_dir):
    """Load the three splits as a run does, then stream batches; what that took, as a dictionary."""

    def gigabytes():
        return round(peak() / 1024, 2)  # the most so far

    held, started, working, faces = {"before": gigabytes()}, time.perf_counter(), time.process_time(), {}
    for split in ("train", "validation", "test"):
        faces[split] = load(dataset, folder, split, image_size=IMAGE_SIZE, index_dir=index_dir)
    seconds, worked, held["loaded"] = time.perf_counter() - started, time.process_time() - working, gigabytes()
    from palcore.data.batches import FaceBatches  # with it comes Keras and its backend, which are no part of the start

    batches = FaceBatches(faces["train"], BATCH_SIZE, augment=True, shuffle=True, threads=2)
    held["with Keras"], streaming = gigabytes(), time.perf_counter()
    for number in range(BATCHES):
        batches[number % len(batches)]
        if (number + 1) % len(batches) == 0:
            batches.on_epoch_end()
    rate = BATCHES * BATCH_SIZE / (time.perf_counter() - streaming)
    return {
        "faces": {split: len(part) for split, part in faces.items()},
        "dropped": {split: part.dropped for split, part in faces.items() if part.dropped},
        "start_seconds": round(seconds, 1),
        "start_cpu_seconds": round(worked, 1),
        "gigabytes": held | {"streaming": gigabytes()},
        "faces_per_second": round(rate),
    }


def write_record(starts):
    """The committed record of what has been measured so far."""
    from palcore.files import write_json
    from palcore.runs.records import commit, device, repository_root, versions

    record = {"starts": starts, "image_size": IMAGE_SIZE, "batch_size": BATCH_SIZE, "batches": BATCHES, "device": device()}
    record["machine"] = "the files had just been written, so most were in memory"
    record |= {"load_average": round(os.getloadavg()[1], 1), "versions": versions(), "commit": commit()}
    write_json(repository_root() / "results" / "benchmark" / "data.json", record)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the copies are generated; those that are there are used again")
    parser.add_argument("--measure", choices=WRITERS, help=argparse.SUPPRESS)
    given, starts = parser.parse_args(), {}
    if given.measure:
        print(json.dumps(measure(given.measure, given.folder / given.measure, given.folder / f"{given.measure}_index")))
        return
    for dataset, write in WRITERS.items():
        folder, draft = given.folder / dataset, given.folder / f"{dataset}_draft"
        if not folder.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
            write(draft)
            draft.rename(folder)
        shutil.rmtree(given.folder / f"{dataset}_index", ignore_errors=True)
        # Each in a process of its own: memory never shrinks within one.
        starts[dataset] = {name: answer("study.cost.data", given.folder, "--measure", dataset) for name in ("first", "second")}
        print(dataset, json.dumps(starts[dataset]))
        write_record(starts)


if __name__ == "__main__":
    main()
