"""How long the real data sets take to start, and how much memory they need, at their full size: ``results/benchmark/data.json``.

We may not have the images, so their folders are generated: as many files as the owners ship, under their names, with their labels,
but a few drawn faces with their landmarks take turns (the images as hard links). Run it on a disk with room for a million files:

    python -m study.cost.data FOLDER
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
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
from study.cost.timing import peak

OTHERS = {"contempt": 3750, "none": 33088, "uncertain": 11645, "no face": 82414}
"""Rows of ``training.csv`` that are no part of the seven-class task; the form with folders has contempt only."""

DRAWN = 210
BATCHES, BATCH_SIZE, IMAGE_SIZE = 100, 64, 112


def drawn(folder, size):
    """Paths of some drawn faces and their landmarks in pixels."""
    faces = load("synthetic", count=DRAWN, image_size=size, shortcut=None)
    folder.mkdir(parents=True)
    paths = []
    for row, image in enumerate(faces.images[:]):
        paths.append(folder / f"{row}.jpg")
        cv2.imwrite(str(paths[-1]), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths, faces.landmarks * size - 0.5


def shuffled(counts, seed):
    """Labels of so many faces each, in random order."""
    names = np.repeat(list(counts), list(counts.values()))
    return np.random.default_rng(seed).permutation(names)


def as_npy(array):
    """The bytes of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def write_rafdb(folder):
    paths, points = drawn(folder / "drawn", 100)
    images, landmarks, lines = folder / "Image" / "aligned", folder / "landmarks", []
    texts = ["".join(f"{round(y)}\t{round(x)}\n" for x, y in face) for face in points]
    images.mkdir(parents=True)
    landmarks.mkdir()
    (folder / "EmoLabel").mkdir()
    for seed, (part, digits) in enumerate((("train", 5), ("test", 4))):
        rng = np.random.default_rng(seed)
        for number, emotion in enumerate(tqdm(shuffled(RAFDB.PUBLISHED[part], seed), desc=f"rafdb {part}"), start=1):
            stem, row = f"{part}_{number:0{digits}d}", rng.integers(DRAWN)
            os.link(paths[row], images / f"{stem}_aligned.jpg")
            (landmarks / f"{stem}_aligned.txt").write_text(texts[row])
            lines.append(f"{stem}.jpg {RAFDB_LABELS.index(emotion) + 1}\n")
    (folder / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines))


def write_affectnet(folder):
    paths, points = drawn(folder / "drawn", 224)
    for seed, (part, place) in enumerate((("train", "train_set"), ("test", "val_set"))):
        images, annotations = folder / place / "images", folder / place / "annotations"
        images.mkdir(parents=True)
        annotations.mkdir()
        contents = [as_npy(face.ravel()) for face in points]
        numbers = {name: as_npy(str(number)) for number, name in enumerate(EXPRESSIONS)}
        counts = AFFECTNET.PUBLISHED[part] | {"contempt": OTHERS["contempt"] if part == "train" else 499}
        rng = np.random.default_rng(seed)
        for number, emotion in enumerate(tqdm(shuffled(counts, seed), desc=f"affectnet {place}")):
            row = rng.integers(DRAWN)
            os.link(paths[row], images / f"{number}.jpg")
            (annotations / f"{number}_exp.npy").write_bytes(numbers[emotion])
            (annotations / f"{number}_lnd.npy").write_bytes(contents[row])


def write_affectnet_csv(folder):
    paths, points = drawn(folder / "drawn", 224)
    pictures = folder / "Manually_Annotated_Images"
    texts = [";".join(f"{value:.2f}" for value in face.ravel()) for face in points]
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    for seed, (part, table) in enumerate((("train", "training.csv"), ("test", "validation.csv"))):
        counts = AFFECTNET.PUBLISHED[part] | (OTHERS if part == "train" else dict.fromkeys(OTHERS, 500))
        rng = np.random.default_rng(seed)
        with open(folder / table, "w") as file:
            file.write(header)
            for number, emotion in enumerate(tqdm(shuffled(counts, seed), desc=f"affectnet {table}")):
                row, place = rng.integers(DRAWN), pictures / str(number % 1000)
                if number < 1000:
                    place.mkdir(parents=True, exist_ok=True)
                name = f"{number % 1000}/{part}{number:056x}.jpg"
                os.link(paths[row], pictures / name)
                file.write(f"{name},8,6,204,208,{texts[row]},{EXPRESSIONS.index(emotion)},0.1,-0.1\n")


WRITERS = {"rafdb": write_rafdb, "affectnet": write_affectnet, "affectnet_csv": write_affectnet_csv}


def gigabytes():
    """The most memory that this process has held so far."""
    return peak() / 1024


def measure(layout, folder, index_dir):
    """Load the three splits as a run does, then stream batches; what that took, as a dictionary."""
    dataset = layout.partition("_")[0]
    before, started, working = gigabytes(), time.perf_counter(), time.process_time()
    faces = {
        split: load(dataset, folder, split, image_size=IMAGE_SIZE, index_dir=index_dir) for split in ("train", "validation", "test")
    }
    seconds, worked, loaded = time.perf_counter() - started, time.process_time() - working, gigabytes()
    from palcore.data.batches import FaceBatches  # with it comes Keras and its backend, which are no part of the start

    batches = FaceBatches(faces["train"], BATCH_SIZE, augment=True, shuffle=True, threads=2)
    imported = gigabytes()
    streaming = time.perf_counter()
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
        "gigabytes": {
            "before": round(before, 2),
            "loaded": round(loaded, 2),
            "with Keras": round(imported, 2),
            "streaming": round(gigabytes(), 2),
        },
        "faces_per_second": round(rate),
    }


def in_new_process(layout, folder, index_dir):
    """``measure`` in a process of its own: memory never shrinks within one."""
    command = [sys.executable, "-m", "study.cost.data", str(folder), "--measure", layout, "--index", str(index_dir)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def write_record(starts):
    """The committed record of what has been measured so far."""
    from palcore.runs.records import commit, device, repository_root, versions, write_json

    record = {
        "starts": starts,
        "image_size": IMAGE_SIZE,
        "batch_size": BATCH_SIZE,
        "batches": BATCHES,
        "device": device(),
        "machine": "the files had just been written, so most were in memory",
        "load_average": round(os.getloadavg()[1], 1),
        "versions": versions(),
        "commit": commit(),
    }
    write_json(repository_root() / "results" / "benchmark" / "data.json", record)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the copies are generated; those that are there are used again")
    parser.add_argument("--measure", choices=WRITERS, help=argparse.SUPPRESS)
    parser.add_argument("--index", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.folder, arguments.index)))
        return
    starts = {}
    for layout, write in WRITERS.items():
        folder, index_dir = arguments.folder / layout, arguments.folder / f"{layout}_index"
        if not folder.is_dir():
            draft = arguments.folder / f"{layout}_draft"
            shutil.rmtree(draft, ignore_errors=True)
            write(draft)
            draft.rename(folder)
        shutil.rmtree(index_dir, ignore_errors=True)
        starts[layout] = {name: in_new_process(layout, folder, index_dir) for name in ("first", "second")}
        print(layout, json.dumps(starts[layout]))
        write_record(starts)


if __name__ == "__main__":
    main()
