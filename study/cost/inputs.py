"""Heatmaps and batches: ours over the source's way, what a step consumes, threads, and memory over an epoch."""

import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from study.cost.models import step_of
from study.cost.timing import answer, clocked, figure, interleaved, ratio

AFFECTNET = 287_401
"""Training faces of AffectNet with its eight expressions: the largest set that the study reads."""


def write_faces(folder, count, size, quality=92):
    """Drawn faces as the source has them, ``N.jpg`` and ``N.txt`` with 68 lines ``row<tab>column`` of whole pixels.

    :return: ``palcore.data.table.Faces`` that read these files.
    """
    from palcore.data import load
    from palcore.data.table import Faces, LazyImages, read_image

    drawn = load("synthetic", count=7 * -(-count // 7), image_size=size, shortcut=None).subset(slice(count))
    paths = [Path(folder) / f"{row}.jpg" for row in range(count)]
    for path, image, points in zip(paths, drawn.images[:], drawn.landmarks, strict=True):
        cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        lines = [f"{int(y * size)}\t{int(x * size)}\n" for x, y in points]
        path.with_suffix(".txt").write_text("".join(lines))
    images = LazyImages(paths, read_image, size)
    return Faces("drawn", "train", images, drawn.landmarks, drawn.labels, np.array([path.name for path in paths]))


def source_heatmap(path, side=112, size=None):
    """The source's way: read a face's text file, set its pixels in a black image, blur it once by 3 pixels at 112.

    :param side: pixels along the image's side.
    :param size: of the picture that the file's numbers belong to; None for ``side``.
    """
    from scipy.ndimage import gaussian_filter

    rows, columns = (np.loadtxt(path) * (side / (size or side))).astype(int).T
    picture = np.zeros((side, side), np.float32)
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    picture[rows[inside], columns[inside]] = 1
    return gaussian_filter(picture, 3 * side / 112)


def source_batch(faces, rows):
    """The source's way: one image at a time with Pillow, its heatmap as an image of the same size, both as floats."""
    from PIL import Image

    images, heatmaps = [], []
    for row in rows:
        path = faces.images.items[row]
        picture = Image.open(path).convert("RGB").resize((faces.images.size,) * 2)
        images.append(np.asarray(picture, np.float32) / 255)
        heatmaps.append(source_heatmap(path.with_suffix(".txt"), faces.images.size))
    return np.stack(images), np.stack(heatmaps), faces.labels[rows]


def repeated(step, number):
    """A step that is ``number`` of another: for what is too short to time."""

    def run():
        for _ in range(number):
            step()

    return run


def heatmaps(step=("vgg16", 112, 8), count=64, cells=7, rounds=7, often=20):
    """Heatmaps of a batch in the compiled graph against text files, binary images and blurs, and against a training step.

    :param step: backbone, pixels and faces of the step.
    :param cells: along the side of the map that PAL compares.
    """
    import tensorflow as tf

    from palcore.heatmaps import gaussian_heatmap

    with tempfile.TemporaryDirectory() as folder:
        faces = write_faces(folder, count, 112)
        texts = [path.with_suffix(".txt") for path in faces.images.items]
        points = tf.constant(faces.landmarks)
        few = points[: step[2]]
        drawn = {side: tf.function(lambda points, side=side: gaussian_heatmap(points, side)) for side in (cells, 112)}
        train, _ = step_of(*step)
        steps = {
            "source": lambda: [source_heatmap(path) for path in texts],
            "ours": repeated(lambda: drawn[cells](points).numpy(), often),
            "ours_112": lambda: drawn[112](points).numpy(),
            "ours_few": repeated(lambda: drawn[cells](few).numpy(), often),
            "step": train,
        }
        times = interleaved({name: clocked(run) for name, run in steps.items()}, rounds)
    way = "time of the source's way (text file, binary image, blur at 112 px) over ours"
    share = f"share of the heatmaps in a step of {step[0]} at {step[1]} px, batches of {step[2]}"
    return {
        "heatmap": ratio(f"{way}, at the {cells}x{cells} cells that PAL compares", times, "source", "ours", often, at_least=20),
        "heatmap_112": ratio(f"{way}, at 112 px as well", times, "source", "ours_112"),
        "heatmap_share": ratio(share, times, "ours_few", "step", 1 / often, at_most=0.01),
    }


def batches(step=("vgg16", 112, 8), count=64, size=224, rounds=7):
    """Our batches against the source's way, against what a training step consumes, and with two threads against one."""
    from palcore.data.batches import FaceBatches

    with tempfile.TemporaryDirectory() as folder:
        faces = write_faces(folder, count, size)
        one, two = (FaceBatches(faces, count, threads=threads) for threads in (1, 2))
        changed = [FaceBatches(faces, count, threads=threads, augment=True) for threads in (1, 2)]
        train, _ = step_of(*step)
        steps = {
            "source": lambda: source_batch(faces, np.arange(count)),
            "ours": lambda: one[0],
            "two": lambda: two[0],
            "augmented": lambda: changed[0][0],
            "augmented_two": lambda: changed[1][0],
            "step": train,
        }
        times = interleaved({name: clocked(run) for name, run in steps.items()}, rounds)
    per_face = count / step[2]
    consumed = f"faces read a second, augmented, over what a step of {step[0]} at {step[1]} px consumes"
    return {
        "input": ratio(
            f"time of the source's way over ours, one thread, {size} px", times, "source", "ours", at_least=3, faces=count
        ),
        "input_over_step": ratio(consumed, times, "step", "augmented", per_face, at_least=2),
        "threads": ratio(f"faces a second with two threads over one, {size} px", times, "ours", "two"),
        "threads_augmented": ratio(
            f"faces a second with two threads over one, augmented, {size} px", times, "augmented", "augmented_two"
        ),
    }


def epoch_memory(faces=AFFECTNET):
    """Memory at an epoch's end over that after its first twentieth, in a process that does nothing else."""
    found = answer("study.cost.inputs", faces)
    held = found["megabytes"]
    what = f"memory at the end of an epoch of {faces:,} faces over that after its first twentieth"
    return {"epoch_memory": figure(what, held[-1] / held[1], at_most=1.02, megabytes=held)}


def stream(count, size=32, files=70, batch_size=64):
    """An epoch of ``fit`` on a tiny model, from few small files under many names; memory at each of its twentieths."""
    import keras

    from palcore.data.batches import FaceBatches
    from palcore.data.table import Faces, LazyImages

    with tempfile.TemporaryDirectory() as folder:
        few = write_faces(folder, files, size)
        rows = np.random.default_rng(0).integers(files, size=count)
        paths = np.array([str(path) for path in few.images.items])[rows]
        names = np.array([f"{number}.jpg" for number in range(count)])
        images = LazyImages(paths, few.images.read, size)
        faces = Faces("drawn", "train", images, few.landmarks[rows], few.labels[rows], names)
        reader = FaceBatches(faces, batch_size, shuffle=True, attribution=False, threads=1)
        model = keras.Sequential([keras.Input((size, size, 3)), keras.layers.Flatten(), keras.layers.Dense(7)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
        every, held = max(1, len(reader) // 20), []

        def look(batch, logs):
            if batch % every == 0 or batch == len(reader) - 1:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                held.append(round(pages * 4096 / 2**20, 1))

        model.fit(reader, epochs=1, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=look)])
    return {"megabytes": held}


if __name__ == "__main__":  # a process of its own for `epoch_memory`
    print(json.dumps(stream(int(sys.argv[1]))))
