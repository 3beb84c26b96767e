"""Whether landmarks are those of their images: what is looked at each time a data set is loaded.

The order of x and y, the place of the face, and coordinates that cannot be: all faces. Whether the landmarks follow the images, and
whether they are in pixels of these images: some faces, whose images are read.
"""

from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np

from palcore.data.images import resize, turned_landmarks
from palcore.data.listing import Problem

UPRIGHT = 0.8
"""Share of faces that must be upright. Of FER2013's 99.98 % are, and 0.01 % with x and y exchanged."""

CENTRE = (0.25, 0.85)
"""Where the median face has the mean of its landmarks, along each axis. FER2013: 0.50 and 0.61."""

MOST_JUDGED = 20_000
"""Faces that are looked at to see whether a whole table is right."""

FARTHEST, NARROWEST = 5.0, 0.01
"""How far from the image a landmark may lie, and how little a face's landmarks may spread, in image sides."""

FEWEST, BLOCKS = 100, 3
"""Faces that are looked at together to tell whether landmarks follow their images, and how often in a split, from its first faces
to its last: where a row is missing, those before it are right."""

FOLLOWS = 0.3
"""Least effect size in ``edge_advantage``. On FER2013 it is 1.1 to 1.6 in blocks of 100 faces, and about 0 with each face's
landmarks given to the next."""

EDGE_SIDE = 48
"""Side in pixels of the images in which edges are looked for."""


def upright(landmarks):
    """Whether the chin lies below the brows, and more below than beside them, ``(N,)`` bool; False for NaN.

    :param landmarks: ``(N, 68, 2)``, x to the right and y down.
    """
    x, y = np.moveaxis(landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1), -1, 0)
    return y > np.abs(x)


def as_shown(landmarks, frames, orientations):
    """Landmarks of some images as they are shown, where those of an image with an EXIF orientation may be of the stored one.

    Tools differ in whether they turn an image. Faces stand upright in pictures that people look at, so landmarks that stand upright
    only once they are turned with the image are of the stored one. A mirrored image leaves no such trace.

    :param landmarks: ``(N, 68, 2)`` in fractions of ``frames``.
    :param frames: ``(N, 2)`` width and height of the images as they are shown.
    :param orientations: ``(N,)`` EXIF's numbers.
    :return: ``(landmarks, rows)``: likewise, and which of them were turned.
    """
    rows = np.flatnonzero((np.asarray(orientations) > 1) & ~upright(landmarks))
    landmarks, moved = np.array(landmarks), []
    for row in rows:
        stored = frames[row][::-1] if orientations[row] > 4 else frames[row]
        points = turned_landmarks(landmarks[row] * frames[row] / stored, orientations[row])
        if upright(points[None])[0]:
            landmarks[row] = points
            moved.append(row)
    return landmarks, np.array(moved, int)


def _edges(image):
    """Strength of the edges of an image at one size, ``(EDGE_SIDE, EDGE_SIDE)``; None where there are none."""
    grey = resize(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), EDGE_SIDE)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return edges / edges.std() if edges.std() else None


def edge_advantage(images, landmarks, others=None):
    """How much stronger the edges under a face's landmarks are than under others: an effect size.

    Brows, eyes, nose and mouth have strong edges. Each image's edge strength is averaged under its own landmarks and under the
    others; the mean of the differences is divided by their standard deviation.

    :param images: ``N`` of them, each ``(H, W, 3)`` uint8.
    :param others: ``(N, 68, 2)`` in fractions, as ``landmarks``; None for those of the face half the sample away.
    :return: about 1 for right landmarks, about 0 where they belong to other images.
    """
    others = np.roll(landmarks, -(len(landmarks) // 2), axis=0) if others is None else others
    differences = []
    for image, own, other in zip(images, landmarks, others, strict=True):
        edges = _edges(image)
        if edges is not None:
            places = (np.concatenate([own, other]) * EDGE_SIDE - 0.5).astype(np.float32)
            under = cv2.remap(edges, places[:, :1], places[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            differences.append(under[:68].mean() - under[68:].mean())
    spread = np.std(differences) if differences else 0
    return float(np.mean(differences) / spread) if spread else 0.0


def _whole_problem(landmarks, where, remedy):
    """What is wrong with the landmarks of a whole split, or None."""
    landmarks = landmarks[:: 1 + len(landmarks) // MOST_JUDGED]
    spread = landmarks.max(axis=1) > landmarks.min(axis=1)
    judged = landmarks[np.isfinite(landmarks).all(axis=(1, 2)) & spread.any(axis=1)]
    if not len(judged):
        return None
    share = upright(judged).mean()
    if share < UPRIGHT:
        seen = f"the chin lies below the brows in {share:.0%} of {len(judged)} faces"
        return Problem("landmarks swapped", where, f"{where}: {seen}, so rows and columns are exchanged: {remedy}")
    centre = np.median(judged.mean(axis=1), axis=0)
    if np.any((centre < CENTRE[0]) | (centre > CENTRE[1])):
        place = f"({centre[0]:.2f}, {centre[1]:.2f}) of the image's sides"
        sentence = f"{where}: the middle of the face lies at {place}, so the landmarks are in pixels of another image size"
        return Problem("landmarks elsewhere", where, sentence)
    return None


def _impossible(files, landmarks):
    """A problem for each face whose landmarks lie all in one place, or far from the image."""
    with np.errstate(invalid="ignore"):
        span = np.ptp(landmarks, axis=1).max(axis=1)
        reach = np.abs(landmarks - 0.5).max(axis=(1, 2))
    problems = []
    for row in np.flatnonzero((span < NARROWEST) | (reach > FARTHEST + 0.5)):
        far = landmarks[row].ravel()[np.abs(landmarks[row] - 0.5).argmax()]
        reason = f"one reaches {far:.3g} of its sides" if reach[row] > FARTHEST + 0.5 else "all lie in one place"
        problems.append(Problem("landmarks elsewhere", str(files[row]), f"landmarks of {files[row]} are none of a face: {reason}"))
    return problems


def _sample(listing, rows, count):
    """Some of the rows with landmarks and readable images, in order: ``(images, landmarks)``."""
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:count])
    images, kept = [], []
    for row in rows:
        with suppress(ValueError, FileNotFoundError):  # the check, which reads every image, names it
            images.append(listing.read(listing.items[row]))
            kept.append(row)
    return images, listing.landmarks[kept]


def _follow_problem(listing, rows):
    """Where landmarks do not belong to their images, a list with a ``Problem``."""
    for block in np.array_split(rows, min(BLOCKS, len(rows) // FEWEST)) if len(rows) >= FEWEST else []:
        images, landmarks = _sample(listing, block, FEWEST)
        if len(images) < FEWEST or not np.ptp(landmarks, axis=0).any():
            continue
        advantage = edge_advantage(images, landmarks)
        if advantage < FOLLOWS:
            sentence = (
                f"landmarks of {listing.name} {listing.split} fit other faces of it as well as their own (effect size "
                f"{advantage:.2f} in {len(images)} faces, at least {FOLLOWS} expected): they are on the wrong images"
            )
            return [Problem("landmarks elsewhere", listing.split, sentence)]
    return []


def _resized_problem(listing, rows, where):
    """What there is to say where images have another size than the owner's, and landmarks are in pixels: a list."""
    sizes, counts = np.unique(listing.frames[rows], axis=0, return_counts=True)
    usual = sizes[np.argmax(counts)] if len(sizes) else None
    if usual is None or (usual == listing.side).all():
        return []
    seen = f"images of {listing.name} have {usual[0]}x{usual[1]} pixels and its owner's {listing.side}x{listing.side}"
    images, landmarks = _sample(listing, rows[(listing.frames[rows] == usual).all(axis=1)], FEWEST)
    if edge_advantage(images, landmarks, landmarks * usual / listing.side) > 0:
        sentence = f"{where}: {seen}, and they are taken for pixels of these images, on which they lie better"
        return [Problem("note", where, sentence, False)]
    sentence = (
        f"{where}: {seen}, and they lie better on these as pixels of the owner's: landmarks must be of the images beside them, so "
        "scale them, take the owner's images, or make a table with `python -m palcore landmarks`"
    )
    return [Problem("landmarks elsewhere", where, sentence)]


def with_landmark_problems(listing, where, remedy="make the table again", pixels=False):
    """A listing with whatever is wrong with its landmarks added to its problems.

    :param where: what the landmarks were read from and how, for the sentences.
    :param remedy: what to do where x and y are exchanged.
    :param pixels: whether they were in pixels of the images.
    """
    found = _impossible(listing.files, listing.landmarks)
    whole = _whole_problem(listing.landmarks, where, remedy)
    if whole:
        found = [whole]
    else:
        told = {problem.file for problem in [*listing.problems, *found]}
        usable = np.isfinite(listing.landmarks).all(axis=(1, 2)) & (listing.frames[:, 0] > 0)
        rows = np.flatnonzero(usable & ~np.isin(listing.files, list(told)))
        found += _resized_problem(listing, rows, where) if pixels else []
        found += _follow_problem(listing, rows) if not any(problem.fatal for problem in found) else []
    return replace(listing, problems=[*listing.problems, *found])
