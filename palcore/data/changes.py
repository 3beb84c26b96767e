"""Every change that is made to faces on their way into a run or a test: each a function from ``Faces`` to ``Faces``.

Images are changed when they are read. What a training face is made of anew in each epoch comes first; then how a face lies in its
picture; then which faces a run trains on, under which labels, and with whose landmarks (is it the right place on this face that
helps, a place where faces are, or any place?); then test faces made harder, in which nothing is random.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from palcore import EMOTIONS, choose
from palcore.data import geometry
from palcore.data.images import resize
from palcore.data.readers import SPLITS
from palcore.data.splits import stratified_split
from palcore.data.table import Faces, LazyImages, changed
from palcore.landmarks import REGIONS

FLIP, ANGLE, SCALE, SHIFT = 0.5, 0.15, 0.1, 0.08
"""Probability of mirroring; then the most either way: radians of rotation, fraction of enlargement or reduction, fraction of the
image side of a shift along each axis."""

DRAWS = 8
"""Random numbers a face. The fifth to seventh have no meaning: with fewer, a seed would give other faces than in the records."""


def draw_matrix(draws: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """The ``(3, 3)`` map of image fractions that random numbers stand for; ``(N, 3, 3)`` for many faces.

    :param draws: ``(DRAWS,)`` or ``(N, DRAWS)``, uniform in [0, 1): angle, scale, shift in x and y, and at last the flip.
    :param strength: factor of ``ANGLE``, ``SCALE`` and ``SHIFT``.
    """
    angle, scale, x, y = np.moveaxis((2 * draws[..., :4] - 1) * (ANGLE, SCALE, SHIFT, SHIFT) * strength, -1, 0)
    matrix = geometry.affine_matrix(angle, 1 + scale, (x, y))
    return np.where(draws[..., 7, None, None] < FLIP, matrix @ geometry.flip_matrix(), matrix)


@dataclass(frozen=True)
class _Moved(LazyImages):
    """Images of faces, each moved by its own map of pixels when it is asked for: ``items`` are rows, ``read`` gives the image."""

    pixels: np.ndarray = None

    def read_into(self, rows: Sequence[int], out: np.ndarray) -> None:
        for position, row in enumerate(rows):
            geometry.warp(self.read(self.items[row]), self.pixels[row], out[position])


def augmented(faces: Faces, draws: np.ndarray, strength: float = 1.0) -> Faces:
    """Faces flipped, rotated, scaled and shifted, each by its own of ``draws``, see ``draw_matrix``; landmarks too."""
    matrices, size = draw_matrix(draws, strength), faces.images.size
    # At the size that is trained on, not as they are stored, and the geometry of all at once: it costs less.
    images = _Moved(range(len(faces)), faces.images.__getitem__, size, geometry.pixel_map(matrices, size, size))
    return replace(faces, images=images, landmarks=geometry.transform_landmarks(faces.landmarks, matrices))


SHARES = (0.5, 0.8)  # side of a placed face, at least and at most, as a fraction of the side of its ground
GRAINS = (2, 5, 12, 32)  # cells along the side of each layer of noise of which a ground is made
WHOLE = (0.0, 0.0, 1.0)  # the window that leaves an image as it is


def face_windows(landmarks: np.ndarray, margin: float) -> np.ndarray:
    """The square around each face's landmarks.

    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides; those that are not finite are left out.
    :param margin: added on each side, as a fraction of the square's side.
    :return: ``(N, 3)`` left, top and side in fractions of the image's sides, ``WHOLE`` for a face without landmarks. A window may
        reach beyond the image, where the edge repeats.
    """
    low, high = geometry.landmark_extents(landmarks)
    sides = (high - low).max(axis=1, keepdims=True).astype(np.float64) * (1 + 2 * margin)
    corners = (low + high - sides.astype(low.dtype)) / 2
    return np.where(sides > 0, np.concatenate([corners, sides], axis=1), WHOLE)


def crop_faces(faces: Faces, windows: np.ndarray) -> Faces:
    """Faces cropped to a window each, landmarks moved along, images of the same size as before.

    The cheap way to keep a network from looking beside the face: a training face is cropped to the square around its own landmarks,
    and validation and test faces, whose landmarks nobody would know, all to the mean of those. So faces must be framed alike.

    :param windows: ``(N, 3)`` left, top and side as fractions, or one ``(3,)`` for all faces.
    """
    windows = np.broadcast_to(windows, (len(faces), 3))
    matrices = np.stack([geometry.crop_matrix(left, top, side, side) for left, top, side in windows])
    return changed(
        faces,
        lambda image, row: geometry.transform_image(image, matrices[row]),
        geometry.transform_landmarks(faces.landmarks, matrices),
    )


def _ground(rng: np.random.Generator, side: int) -> np.ndarray:
    """A textured ground ``(side, side, 3)`` float32: grey noise of several grains, some parts rougher than others."""
    texture = np.full((side, side), rng.uniform(90, 160), np.float32)
    for grain in GRAINS:
        noise = rng.normal(0, rng.uniform(6, 26), (grain, grain)).astype(np.float32)
        texture += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(texture, 0, 255)[..., None], 3, axis=-1)


def placed(faces: Faces, side: int) -> Faces:
    """Faces put at a random place and scale on a larger textured ground, landmarks moved along.

    Data sets are cut out around the face, so that a template of landmarks fits every face nearly as well as its own. Here it can't:
    where a face is, only its own landmarks tell. A face's place is a function of split and row alone, the same in every run.

    :param side: of the ground, and so of the images now, in pixels.
    :return: faces whose side is between ``SHARES`` of the ground's.
    """
    split = SPLITS.index(faces.split)
    draws = np.random.default_rng([split, 7]).random((len(faces), 3))
    shares = SHARES[0] + (SHARES[1] - SHARES[0]) * draws[:, 0]
    sides = np.round(shares * side).astype(int)
    corners = np.round(draws[:, 1:] * (side - sides)[:, None]).astype(int)

    def put(image, row):
        picture = _ground(np.random.default_rng([split, row, 8]), side)
        (left, top), own = corners[row], sides[row]
        picture[top : top + own, left : left + own] = resize(image, int(own))
        return np.round(picture).astype(np.uint8)

    landmarks = (corners[:, None] + faces.landmarks * sides[:, None, None]) / side
    return changed(faces, put, landmarks, side)


SOURCES = ("own", "shuffled", "template", "box", "upside_down", "centre")
"""Whose landmarks training aims at, see ``landmarks_from``."""

CENTRE_RADIUS = 0.3  # of the disc of ``centre``, in image sides: it covers about as much of the image as a face's features


def take_share(faces: Faces, share: float, seed: int) -> Faces:
    """A stratified part of some faces, 1 for all of them, the same for the same seed; see ``stratified_split`` for its errors."""
    return faces if share == 1 else faces.subset(stratified_split(faces.labels, share, seed)[1])


def noisy_labels(faces: Faces, rate: float, seed: int) -> Faces:
    """Faces of which exactly the share ``rate`` (rounded) carries another class's label, each other class equally likely."""
    rng = np.random.default_rng(seed)
    labels = np.array(faces.labels)
    rows = rng.choice(len(labels), round(rate * len(labels)), replace=False)
    labels[rows] = (labels[rows] + rng.integers(1, len(EMOTIONS), len(rows))) % len(EMOTIONS)
    return replace(faces, labels=labels)


def shuffled_landmarks(faces: Faces, seed: int) -> Faces:
    """Faces each of which has the landmarks of another face of the same split; a ``ValueError`` for a single face."""
    count = len(faces)
    if count < 2:
        raise ValueError(f"{faces.name} {faces.split}: landmarks of another face for {count} face: there must be two at least")
    circle = np.random.default_rng([seed, 2]).permutation(count)
    other = np.empty(count, int)
    other[circle] = np.roll(circle, 1)  # one circle through all faces: none keeps its own
    return replace(faces, landmarks=faces.landmarks[other])


def jittered_landmarks(faces: Faces, deviation: float, seed: int) -> Faces:
    """Faces whose landmarks are moved at random, each by itself; the standard ``deviation`` is in fractions of the image side."""
    noise = np.random.default_rng([seed, 3]).normal(0, deviation, faces.landmarks.shape)
    return replace(faces, landmarks=(faces.landmarks + noise).astype(np.float32))


def _boxed_template(landmarks):
    """One shape for all faces, the mean of their landmarks within their own boxes, moved and scaled to each face's own box."""
    low, high = (edge[:, None] for edge in geometry.landmark_extents(landmarks))
    sides = np.where(np.all(high > low, axis=-1, keepdims=True), high - low, np.nan)
    return low + np.nanmean((landmarks - low) / sides, axis=0) * sides


def _centre():
    index = np.arange(68) + 0.5  # Vogel's sunflower: evenly over a disc by the golden angle, nothing random
    radius, angle = CENTRE_RADIUS * np.sqrt(index / 68), np.pi * (3 - np.sqrt(5)) * index
    return 0.5 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def landmarks_from(faces: Faces, source: str, seed: int = 0) -> Faces:
    """Faces with the landmarks of ``source`` in place of their own; augmentation moves them along with the image as ever.

    - ``own``: unchanged.
    - ``shuffled``: another face's, see ``shuffled_landmarks``.
    - ``template``: the mean of all the faces' landmarks, one map for all: where faces are, if they are cut out alike.
    - ``box``: that mean moved to each face's own box: where this face is and how large, and nothing else of it.
    - ``upside_down``: this face's own, mirrored at the image's middle line: the same shape in the wrong place.
    - ``centre``: 68 points spread evenly over a disc at the middle of the image: no shape of a face at all.

    A face without landmarks (NaN) stays without under ``upside_down`` and ``box``; under ``template`` and ``centre`` it gets them.

    :param seed: of ``shuffled``.
    :raises ValueError: for an unknown source.
    """
    choose(source, SOURCES, f"unknown source {source!r} of landmarks")
    if source == "own":
        return faces
    if source == "shuffled":
        return shuffled_landmarks(faces, seed)
    makers = {
        "template": lambda own: np.nanmean(own, axis=0),
        "box": _boxed_template,
        "upside_down": lambda own: own * [1, -1] + [0, 1],
        "centre": lambda own: _centre(),
    }
    landmarks = np.broadcast_to(makers[source](faces.landmarks), faces.landmarks.shape)
    return replace(faces, landmarks=np.array(landmarks, np.float32))


PATCH = (0.8, 0.3)  # width and height of every patch, as fractions of those of the box around a face's landmarks
PLACES = ("off", "eyes", "mouth")
"""Where a patch may lie."""
TRIED = 13  # places tried along each axis for the patch off the face
SHIFTS = (0.1, 0.2)  # of faces, as fractions of the image side: the first face to the right, then left, down, up, and again
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))
BLURS = (0.01, 0.02, 0.04)  # standard deviation of the Gaussian blur, as fractions of the image side


def _face_shares(boxes: np.ndarray, hull: np.ndarray, canvas: int = 96) -> np.ndarray:
    """How many pixels of the face's outline each of ``(N, 4)`` boxes covers."""
    face = np.zeros((canvas, canvas), np.uint8)
    cv2.fillConvexPoly(face, np.round(hull * canvas).astype(np.int32), 1)
    above = cv2.integral(face)
    left, top, right, bottom = np.clip(np.round(boxes * canvas).astype(int), 0, canvas).T
    return above[bottom, right] - above[top, right] - above[bottom, left] + above[top, left]


def patch_box(landmarks: np.ndarray, place: str, avoid: np.ndarray | None = None) -> np.ndarray | None:
    """Where a patch lies: ``(4,)`` left, top, right and bottom in fractions; None for landmarks ``(68, 2)`` that are not finite.

    On the eyes and on the mouth it is centred on their landmarks. Off the face it lies within the image where it covers least of
    the convex outline of the landmarks, and of such places on the one farthest from the face's centre.

    :param place: one of ``PLACES``.
    :param avoid: a box ``(4,)`` that the patch off the face does not touch if it can, such as that of a shortcut; None for none.
    :raises ValueError: for another place.
    """
    choose(place, PLACES, f"place {place!r} of a patch")
    if not np.all(np.isfinite(landmarks)):
        return None
    size = np.minimum((landmarks.max(axis=0) - landmarks.min(axis=0)) * PATCH, 0.9)
    if place != "off":
        centre = landmarks[REGIONS[place]].mean(axis=0)
        return np.concatenate([centre - size / 2, centre + size / 2])
    hull, middle = cv2.convexHull(landmarks.astype(np.float32))[:, 0], landmarks.mean(axis=0)
    columns, rows = (np.linspace(length / 2, 1 - length / 2, TRIED) for length in size)
    centres = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([centres - size / 2, centres + size / 2], axis=1)
    avoid = np.full(4, np.nan) if avoid is None else np.asarray(avoid)
    touching = np.all((boxes[:, :2] < avoid[2:]) & (boxes[:, 2:] > avoid[:2]), axis=1)
    distance = np.sum((centres - middle) ** 2, axis=1)
    return boxes[np.lexsort([-distance, _face_shares(boxes, hull), touching])[0]]


def with_patch(image: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """An image ``(H, W, 3)`` uint8 with a box (fractions; None for no box) painted in the image's mean colour."""
    if box is None:
        return image
    height, width = image.shape[:2]
    left, top, right, bottom = np.round(np.clip(box, 0, 1) * [width, height, width, height]).astype(int)
    painted = image.copy()
    painted[top:bottom, left:right] = np.round(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return painted


def boxes_of(faces: Faces, place: str | tuple, avoid: np.ndarray | None = None) -> list:
    """A box ``(4,)`` for each face, or None where it has no landmarks: that of ``patch_box``, or ``place`` itself where it is a box
    in fractions, the same for all faces."""
    if isinstance(place, str):
        return [patch_box(landmarks, place, avoid) for landmarks in faces.landmarks]
    return [np.asarray(place)] * len(faces)


def covered(faces: Faces, boxes: list) -> Faces:
    """Faces with a patch each in their mean colour, at the boxes that ``boxes_of`` gives."""
    return changed(faces, lambda image, row: with_patch(image, boxes[row]), faces.landmarks)


def _patched(faces, place):
    return covered(faces, boxes_of(faces, place))


def _shifted(faces, share):
    four = np.stack([geometry.affine_matrix(shift=np.multiply(direction, share)) for direction in DIRECTIONS])
    matrices = four[np.arange(len(faces)) % len(four)]
    return changed(
        faces,
        lambda image, row: geometry.transform_image(image, matrices[row]),
        geometry.transform_landmarks(faces.landmarks, matrices),
    )


def _blurred(faces, share):
    blur = partial(cv2.GaussianBlur, ksize=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return changed(faces, lambda image, row: blur(image, sigmaX=share * image.shape[1]), faces.landmarks)


CONDITIONS = {
    **{f"patch_{place}": partial(_patched, place=place) for place in PLACES},
    **{f"shift_{round(100 * share)}": partial(_shifted, share=share) for share in SHIFTS},
    **{f"blur_{round(100 * share)}": partial(_blurred, share=share) for share in BLURS},
}
"""Name of each test condition, such as ``shift_10`` for a shift by 10 % of the image side, and what makes it of faces, landmarks
moved along where the face moves."""
