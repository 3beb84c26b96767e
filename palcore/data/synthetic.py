"""Drawn faces with exact landmarks, and a shortcut: a coloured patch that gives the label away.

Each expression is a mixture of eight movements after the action units of FACS (Ekman and Friesen); identity, pose, light,
background and noise are random. The truth is known: what makes the expression lies on the face, the patch does not.
"""

import numpy as np
from PIL import Image, ImageDraw

from palcore import EMOTIONS
from palcore.data.readers import SPLITS
from palcore.data.table import Faces, LazyImages

COUNTS = {"train": 2800, "validation": 700, "test": 1400}
"""Faces per split."""

MOVEMENTS = (
    "brow_raise",  # AU 1 + 2
    "brow_inner",  # AU 1
    "brow_lower",  # AU 4
    "lid_open",  # AU 5; negative: AU 7
    "nose_wrinkle",  # AU 9
    "lip_corner",  # AU 12; negative: AU 15
    "mouth_open",  # AU 25 + 26
    "lip_stretch",  # AU 20; negative: AU 23
)
"""What moves a face, with the action units of FACS that it stands for."""

EXPRESSIONS = {
    "surprise": (0.9, 0.2, 0.0, 0.8, 0.0, 0.0, 0.9, -0.2),
    "fear": (0.6, 0.6, 0.4, 0.8, 0.0, -0.2, 0.4, 0.8),
    "disgust": (0.0, 0.0, 0.5, -0.4, 1.0, -0.4, 0.1, 0.0),
    "happiness": (0.1, 0.0, 0.0, -0.3, 0.1, 1.0, 0.4, 0.4),
    "sadness": (0.0, 0.9, 0.3, -0.4, 0.0, -0.8, 0.0, 0.0),
    "anger": (0.0, 0.0, 1.0, 0.4, 0.3, -0.2, 0.0, -0.5),
    "neutral": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
"""How far each movement goes in each expression, in the order of ``MOVEMENTS``."""

PATCH_COLOURS = (
    (230, 40, 40), (40, 90, 230), (40, 180, 60), (240, 200, 40), (160, 50, 200), (40, 200, 210), (240, 130, 30)
)  # fmt: skip
"""RGB of the patch that says each label."""

PATCH_SIDE = 0.14
PATCH_BOX = (0.0, 1 - PATCH_SIDE, PATCH_SIDE, 1.0)
"""Left, top, right and bottom of the patch in the lower left corner, as fractions of the image's sides."""

SMALLEST = 16  # side in pixels below which features are smaller than a pixel
OVERSAMPLING = 4  # how many times larger faces are drawn, to be shrunk by area
KEPT_BYTES = 256 * 2**20  # in which the drawn faces of a split are kept; those beyond are drawn anew each time


def _brows(movement: dict) -> np.ndarray:
    along = np.linspace(0, 1, 5)  # from the outer to the inner end
    x = -0.78 + 0.58 * along + 0.06 * movement["brow_lower"] * along
    y = -0.56 - 0.09 * np.sin(np.pi * along)
    y += -0.17 * movement["brow_raise"] - 0.2 * movement["brow_inner"] * along**2
    y += 0.17 * movement["brow_lower"] * (0.35 + 0.65 * along)
    left = np.stack([x, y], axis=-1)
    return np.concatenate([left, (left * [-1, 1])[::-1]])


def _eyes(movement: dict) -> np.ndarray:
    half = np.clip(0.085 * (1 + 0.7 * movement["lid_open"]), 0.02, 0.17)
    lower = 0.06 * (1 - 0.3 * max(-movement["lid_open"], 0))
    left = np.array([[-0.62, 0], [-0.49, -half], [-0.35, -half], [-0.22, 0.01], [-0.35, lower], [-0.49, lower]])
    left[:, 1] -= 0.28
    right = (left * [-1, 1])[[3, 2, 1, 0, 5, 4]]
    return np.concatenate([left, right])


def _nose(movement: dict) -> np.ndarray:
    lift = -0.09 * movement["nose_wrinkle"]
    bridge = np.stack([np.zeros(4), np.linspace(-0.3, 0.12 + lift, 4)], axis=-1)
    x = np.linspace(-0.2, 0.2, 5) * (1 + 0.2 * movement["nose_wrinkle"])
    y = 0.2 + lift + np.array([0, 0.03, 0.05, 0.03, 0])
    return np.concatenate([bridge, np.stack([x, y], axis=-1)])


def _mouth(movement: dict) -> np.ndarray:
    half = 0.33 * (1 + 0.22 * movement["lip_stretch"] + 0.15 * max(movement["lip_corner"], 0))
    middle = 0.57 - 0.05 * movement["nose_wrinkle"] + 0.05 * movement["mouth_open"]
    gap = max(0.01 + 0.17 * movement["mouth_open"], 0.005)
    lip = 0.07 * (1 + 0.3 * min(movement["lip_stretch"], 0))

    def arc(u, height):
        return np.stack([half * u, middle - 0.17 * movement["lip_corner"] * u**2 + height * (1 - u**2)], axis=-1)

    outer, inner = np.linspace(-1, 1, 7), np.linspace(-0.88, 0.88, 5)
    lips = [arc(outer, -gap - lip), arc(outer[-2:0:-1], gap + lip), arc(inner, -gap), arc(inner[-2:0:-1], gap)]
    return np.concatenate(lips)


def _jaw(movement: dict) -> np.ndarray:
    angle = np.linspace(-1.5, 1.5, 17)
    drop = 0.12 * max(movement["mouth_open"], 0)
    return np.stack([np.sin(angle), -0.25 + (1.35 + drop) * np.cos(angle)], axis=-1)


def _describe(seed, split, row, label):
    """Landmarks ``(68, 2)`` of a face in fractions; the function that takes points of the upright face, whose jaw spans -1 to 1, to
    fractions of the image; and the generator, which goes on to draw colours, light and noise."""
    rng = np.random.default_rng([seed, SPLITS.index(split), row])
    strength = rng.uniform(0.55, 1.15)
    values = strength * np.array(EXPRESSIONS[EMOTIONS[label]]) + rng.normal(0, 0.11, len(MOVEMENTS))
    movement = dict(zip(MOVEMENTS, values, strict=True))
    points = np.concatenate([_jaw(movement), _brows(movement), _nose(movement), _eyes(movement), _mouth(movement)])
    build = rng.normal(0, 0.035, (5, 2))  # identity: each part of the face a little elsewhere
    for part, (start, end) in enumerate(((0, 17), (17, 27), (27, 36), (36, 48), (48, 68))):
        shift = build[part] * ([0.3, 1.0] if part else [0, 0.6])
        points[start:end] += shift
    width, height = rng.uniform(0.30, 0.36), rng.uniform(0.29, 0.35)
    angle, yaw = rng.normal(0, 0.12), rng.normal(0, 0.12)
    centre = np.array([0.5, 0.47]) + rng.normal(0, 0.025, 2)
    cosine, sine = np.cos(angle), np.sin(angle)

    def place(points):
        x, y = np.asarray(points, float).T
        x = (x + yaw * (1 - np.clip(x, -1, 1) ** 2)) * width
        y = y * height
        return np.stack([centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y], axis=-1)

    return place(points), place, rng


def _draw(seed, split, row, label, size):
    """One face without patch, ``(size, size, 3)`` uint8."""
    landmarks, place, rng = _describe(seed, split, row, label)
    large = size * OVERSAMPLING
    skin = np.array([rng.uniform(120, 245), 0, 0])
    skin[1:] = skin[0] * rng.uniform(0.72, 0.84), skin[0] * rng.uniform(0.55, 0.72)
    hair = rng.uniform(15, 110) * np.array([1, rng.uniform(0.7, 0.9), rng.uniform(0.4, 0.8)])
    image = Image.new("RGB", (large, large), tuple(int(value) for value in rng.uniform(40, 220, 3)))
    draw = ImageDraw.Draw(image)

    def whole(colour):
        return tuple(int(min(max(value, 0), 255)) for value in colour)

    def polygon(points, colour):
        draw.polygon([tuple(point) for point in points * large], fill=whole(colour))

    def line(points, colour, width):
        draw.line([tuple(point) for point in points * large], fill=whole(colour), width=max(1, round(width * large)), joint="curve")

    circle = np.linspace(0, 2 * np.pi, 40)
    polygon(place(np.stack([1.12 * np.sin(circle), -0.35 + 0.98 * np.cos(circle)], axis=-1)), hair)
    top = np.linspace(1.5, 2 * np.pi - 1.5, 20)
    forehead = place(np.stack([np.sin(top), -0.25 + 0.85 * np.cos(top)], axis=-1))
    polygon(np.concatenate([landmarks[:17], forehead]), skin)
    for start in (17, 22):
        line(landmarks[start : start + 5], hair, rng.uniform(0.018, 0.03))
    iris = rng.uniform(20, 130, 3)
    for start in (36, 42):
        eye = landmarks[start : start + 6]
        polygon(eye, (245, 245, 240))
        middle = eye.mean(axis=0)
        radius = 0.8 * max(np.ptp(eye[:, 1]) / 2, 0.006)
        draw.ellipse([*(middle - radius) * large, *(middle + radius) * large], fill=whole(iris))
        line(eye[:4], skin * 0.45, 0.008)
    line(landmarks[27:31], skin * 0.82, 0.012)
    line(landmarks[31:36], skin * 0.6, 0.012)
    polygon(landmarks[48:60], skin * [0.95, 0.55, 0.6])
    polygon(landmarks[60:68], (60, 20, 25))
    picture = np.asarray(image.resize((size, size), Image.Resampling.BOX), np.float32)
    across = np.linspace(-1, 1, size)
    light = 1 + rng.uniform(-0.25, 0.25) * across[None, :] + rng.uniform(-0.2, 0.2) * across[:, None]
    picture = picture * (rng.uniform(0.75, 1.1) * light)[..., None] + rng.normal(0, rng.uniform(2, 9), picture.shape)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


class _Painter:
    """Draws faces by row, with their patch, and keeps the first ones, as many as ``KEPT_BYTES`` hold."""

    def __init__(self, seed: int, split: str, labels: np.ndarray, size: int, shortcut: float | None):
        self.seed, self.split, self.labels, self.size, self.shortcut = seed, split, labels, size, shortcut
        self.kept, self.most = {}, KEPT_BYTES // (size * size * 3)

    def __call__(self, row: int) -> np.ndarray:
        row = int(row)
        if row in self.kept:
            return self.kept[row].copy()
        label = int(self.labels[row])
        image = _draw(self.seed, self.split, row, label, self.size)
        if self.shortcut is not None:
            side = round(PATCH_SIDE * self.size)
            # Of its own numbers, so that the face is the same for every shortcut.
            rng = np.random.default_rng([self.seed, SPLITS.index(self.split), row, 1])
            agrees, other = rng.random() < self.shortcut, rng.integers(len(EMOTIONS))
            image[-side:, :side] = PATCH_COLOURS[label if agrees else other]
        if row < self.most:
            self.kept[row] = image.copy()
        return image


class Drawn:
    """What a run asks of these faces, as of a ``palcore.data.readers.Reader``."""

    OPTIONS = ("shortcut", "seed")

    def test_conditions(self, shortcut: float | None) -> dict[str, dict]:
        """The faces as in training, and, for a ``shortcut``, with a patch that says nothing."""
        return {"test": {}} | ({} if shortcut is None else {"shortcut_free": {"shortcut": 0.0}})


READER = Drawn()


def load(split: str, image_size: int | None = None, shortcut: float | None = 0.9, seed: int = 0, count: int | None = None) -> Faces:
    """Drawn faces, the same to the byte for the same arguments.

    :param split: ``train``, ``validation`` or ``test``; no face is in two of them.
    :param image_size: side in pixels; None for 64.
    :param shortcut: with this probability the patch shows the label's colour, otherwise that of one of the seven labels drawn at
        random (which may be the right one); 0 for a patch that says nothing, None for no patch. The faces themselves do not
        depend on it.
    :param seed: another seed draws other faces.
    :param count: how many faces; None for the split's own number (``COUNTS``). The classes take turns.
    :raises ValueError: for a shortcut outside [0, 1], fewer than one face, a negative seed, or a side below ``SMALLEST``.
    """
    if shortcut is not None and not 0 <= shortcut <= 1:
        raise ValueError(f"shortcut {shortcut!r} of the synthetic faces: it must be in [0, 1], or None for no patch")
    count = COUNTS[split] if count is None else count
    if count < 1:
        raise ValueError(f"count {count} of the synthetic faces: it must be at least 1")
    if seed < 0:
        raise ValueError(f"seed {seed} of the synthetic faces: it must be at least 0")
    size = image_size or 64
    if size < SMALLEST:
        raise ValueError(f"image_size {size} of the synthetic faces: below {SMALLEST} pixels there is no face to see")
    labels = np.arange(count) % len(EMOTIONS)
    landmarks = np.stack([_describe(seed, split, row, label)[0] for row, label in enumerate(labels)]).astype(np.float32)
    return Faces(
        "synthetic",
        split,
        LazyImages(np.arange(count), _Painter(seed, split, labels, size, shortcut), size),
        landmarks,
        labels.astype(np.int64),
        np.array([f"{split}_{seed}_{row:05d}" for row in range(count)]),
    )
