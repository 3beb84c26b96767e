"""Heatmaps and batches: ours over the source's way, what a step consumes, threads, and what ``fit`` makes of files."""

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.changes.augmentation import draw_matrix
from palcore.data.geometry import pixel_map, warp
from palcore.data.images import read_image
from palcore.data.table import Faces, LazyImages
from palcore.heatmaps import gaussian_heatmap
from study.cost.flop import compiled_function
from study.cost.models import Case, OneBatch, epoch_of, model_and_batch, step_of
from study.cost.timing import clocked, interleaved, ratio

STEP = Case("vgg16", 112, 8)


def write_faces(folder, count, size, quality=92):
    """Drawn faces as the source has them, ``N.jpg`` and ``N.txt`` with 68 lines ``row<tab>column`` of whole pixels.

    :return: ``palcore.data.table.Faces`` that read these files.
    """
    drawn = load("synthetic", count=7 * -(-count // 7), image_size=size, shortcut=None).subset(slice(count))
    paths = [Path(folder) / f"{row}.jpg" for row in range(count)]
    for path, image, points in zip(paths, drawn.images[:], drawn.landmarks, strict=True):
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        path.with_suffix(".txt").write_text("".join(f"{int(y * size)}\t{int(x * size)}\n" for x, y in points))
    images = LazyImages(paths, read_image, size)
    return Faces("drawn", "train", images, drawn.landmarks, drawn.labels, np.array([path.name for path in paths]))


def source_heatmap(path, side=112):
    """The source's way: read a face's text file, set its pixels in a black image, blur it once by 3 pixels at 112.

    :param side: pixels along the image's side, to which the file's numbers belong.
    """
    from scipy.ndimage import gaussian_filter

    rows, columns = np.loadtxt(path).astype(int).T
    picture = np.zeros((side, side), np.float32)
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    picture[rows[inside], columns[inside]] = 1
    return gaussian_filter(picture, 3 * side / 112)


def source_batch(faces, rows):
    """The source's way: one image at a time with Pillow, its heatmap as an image of the same size, both as floats."""
    from PIL import Image

    images, heatmaps = [], []
    for path in (faces.images.items[row] for row in rows):
        picture = Image.open(path).convert("RGB").resize((faces.images.size,) * 2)
        images.append(np.asarray(picture, np.float32) / 255)
        heatmaps.append(source_heatmap(path.with_suffix(".txt"), faces.images.size))
    return np.stack(images), np.stack(heatmaps), faces.labels[rows]


def heatmaps(case=STEP, count=64, cells=7, rounds=7, often=20):
    """Heatmaps of a batch in the compiled graph against text files, binary images and blurs, and against a training step.

    :param cells: along the side of the map that PAL compares.
    :param often: how many of ours are timed together, which are too short for one.
    """
    with tempfile.TemporaryDirectory() as folder:
        faces = write_faces(folder, count, 112)
        texts = [path.with_suffix(".txt") for path in faces.images.items]
        draw = {side: compiled_function(lambda points, side=side: gaussian_heatmap(points, side)) for side in (cells, 112)}
        few = faces.landmarks[: case.count]

        def drawn(points, side, often=1):
            for _ in range(often):
                keras.ops.convert_to_numpy(draw[side](points))

        steps = {
            "source": lambda: [source_heatmap(path) for path in texts],
            "ours": lambda: drawn(faces.landmarks, cells, often),
            "ours_112": lambda: drawn(faces.landmarks, 112),
            "ours_few": lambda: drawn(few, cells, often),
            "step": step_of(case),
        }
        times = interleaved({name: clocked(run) for name, run in steps.items()}, rounds)
    way = "time of the source's way (text file, binary image, blur at 112 px) over ours"
    return {
        "heatmap": ratio(f"{way}, at the {cells}x{cells} cells that PAL compares", times, "source", "ours", often, at_least=20),
        "heatmap_112": ratio(f"{way}, at 112 px as well", times, "source", "ours_112"),
        "heatmap_share": ratio(f"share of the heatmaps in a step of {case}", times, "ours_few", "step", 1 / often, at_most=0.01),
    }


def batches(case=STEP, count=64, size=224, rounds=7):
    """Our batches against the source's way, and against what a training step consumes."""
    with tempfile.TemporaryDirectory() as folder:
        faces = write_faces(folder, count, size)
        ours = {name: FaceBatches(faces, count, threads=1, augment=name == "augmented") for name in ("plain", "augmented")}
        steps = {name: lambda reader=reader: reader[0] for name, reader in ours.items()}
        steps |= {"source": lambda: source_batch(faces, np.arange(count)), "step": step_of(case)}
        times = interleaved({name: clocked(run) for name, run in steps.items()}, rounds)
    way = f"time of the source's way over ours, one thread, {size} px"
    consumed = f"faces read a second, augmented, over what a step of {case.backbone} at {case.size} px consumes"
    return {
        "input": ratio(way, times, "source", "plain", at_least=3, faces=count),
        "input_over_step": ratio(consumed, times, "step", "augmented", count / case.count, at_least=2),
    }


def threads(targets=((112, 2.0), (224, 1.3)), count=64, number=8, rounds=21):
    """Augmented batches from the form that a data set is kept in, pixels in one mapped array: over bare warps, and two threads over
    one, each face one thread's and, as it was, with OpenCV's own threads sharing every warp.

    :param targets: ``(side in pixels, at most so many bare warps a face)``.
    :param number: of batches that are timed together.
    """
    figures, own = {}, os.cpu_count() or 1
    for size, most in targets:
        drawn = load("synthetic", count=7 * -(-count // 7), image_size=size, shortcut=None).subset(slice(count))
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

            steps = {workers: clocked(partial(read, workers)) for workers in readers}
            times = interleaved({**steps, "bare": clocked(bare)}, rounds)
            cv2.setNumThreads(own)
            times |= {f"{workers} before": taken for workers, taken in interleaved(steps, rounds).items()}
        cv2.setNumThreads(1)
        what = "faces a second with two threads over one"
        figures[f"augmented_{size}"] = ratio(
            f"time of an augmented face over a bare warp: {size} px", times, 1, "bare", at_most=most
        )
        figures[f"threads_{size}"] = ratio(f"{what}: {size} px", times, 1, 2, at_least=1.8)
        before = f"{what}, OpenCV sharing each warp among {own} of its own: {size} px"
        figures[f"threads_before_{size}"] = ratio(before, times, "1 before", "2 before")
    return figures


def fed(case, faces, rounds):
    """What an epoch of ``fit`` on files, augmented and in random order, reaches of what it reaches on one fixed batch.

    :param faces: of an epoch.
    """
    number = max(2, faces // case.count)
    with tempfile.TemporaryDirectory() as folder:
        files = write_faces(folder, number * case.count, case.size)
        model, batch = model_and_batch(case)
        readers = {"files": FaceBatches(files, case.count, augment=True, shuffle=True), "batch": OneBatch(batch, number)}
        times = interleaved({name: clocked(epoch_of(model, reader)) for name, reader in readers.items()}, rounds, warm=1)
    what = f"faces a second of fit on files over those on one fixed batch: {case}, {case.precision}"
    return ratio(what, times, "batch", "files", at_least=0.95)


def fed_by_files(case=STEP, faces=64, rounds=7):
    return {"fed": fed(case, faces, rounds)}
