"""What makes a split classifier unfit for PAL, found by trying it when the training model is put together.

In front of the features: what moves the picture and leaves its landmarks. Behind them: what TensorFlow cannot differentiate twice,
weights that a layer changes itself, and a map that is the same in every cell.
"""

import keras
import numpy as np
from keras import ops

from palcore.attribution import value_and_gradient
from palcore.steps import Step, head_of, takes_training, tensors_of

MOVING = {
    *("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop", "RandomShear", "RandomPerspective"),
    *("RandomElasticTransform", "RandAugment", "AugMix", "MixUp", "CutMix"),
    *("AffineTransform", "PerspectiveTransform", "ElasticTransform", "MapCoordinates"),
}
"""What moves pixels in Keras, at random or as it is told, or mixes those of several pictures."""

FOREIGN = {"Lambda", "Pipeline"}
"""Layers of Keras that run what somebody else gave them."""

STILL = 0.02
"""A share of the picture's side: what moves by less is not said to move."""

FINE = 8
"""Cells along a side, at least, of maps in which a move is told by its length."""

BORDER = 3
"""Cells of a border of zeros that the next window takes back: more is a move."""

PLACES = [(down, across) for down in (0.2, 0.75) for across in (0.25, 0.8)]
"""Middles of four bright squares: off the middle, and elsewhere across than down, so that flips, turns and transpositions show."""

TRIES = 8
"""How often a layer of somebody else's is tried: it may move pictures at random."""


def _squares(height, width, channels, dtype):
    """A map with a bright square at each of ``PLACES``, and a dark one: ``(5, height, width, channels)``."""
    maps = np.zeros((len(PLACES) + 1, height, width, channels), np.float32)
    for picture, place in zip(maps, PLACES, strict=False):
        (top, left), (bottom, right) = ((np.array(place) + reach) * (height, width) for reach in (-0.1, 0.1))
        picture[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = np.linspace(
            150, 250, channels
        )  # channels that are alike would be nothing to a normalisation
    return ops.cast(maps, dtype)


def _places(maps):
    """Where maps of ``_squares`` are bright: ``(4, 2)`` in shares of the sides, down and across; NaN where nothing is."""
    maps = ops.convert_to_numpy(ops.cast(maps, "float32"))
    bright = np.abs(maps[:-1] - maps[-1:]).sum(axis=-1)
    bright = np.maximum(bright - np.median(bright, axis=(1, 2), keepdims=True), 0)
    bright *= bright > bright.max(axis=(1, 2), keepdims=True) / 2
    down, across = ((np.arange(cells) + 0.5) / cells for cells in bright.shape[1:])
    with np.errstate(invalid="ignore"):
        return np.stack([bright.sum(axis=2) @ down, bright.sum(axis=1) @ across], axis=-1) / bright.sum(axis=(1, 2))[:, None]


def _follows(maps):
    """Whether what is bright moves down where the square does, and across likewise: the axes are the picture's."""
    corners, (height, width) = _places(maps).reshape(2, 2, 2), maps.shape[1:3]
    down, across = corners[1].mean(axis=0) - corners[0].mean(axis=0), corners[:, 1].mean(axis=0) - corners[:, 0].mean(axis=0)
    return bool((height == 1 or down[0] > 3 * abs(down[1])) and (width == 1 or across[1] > 3 * abs(across[0])))


class Front:
    """What is in front of the features, tried with bright squares.

    Behind each window of Keras's, a convolution or a pooling, the squares are drawn anew: such a layer blurs, and leaves all in
    place; so does a small border of zeros, which the next window takes back.

    :param image: symbolic input of the steps.
    :param steps: those in front of the features, which the last one gives.
    :ivar moving: the first step that moves the squares, or None.
    :ivar follows: whether the features follow the squares: their axes are the picture's, and nothing mixes all places.
    """

    def __init__(self, image: keras.KerasTensor, steps: list[Step]):
        self.maps, self.places = {}, {}
        self._draw(image, *(side or 64 for side in image.shape[1:3]), image.shape[3])
        self.moving = next((step for step in steps if step.kind in MOVING), None)
        with keras.StatelessScope():
            for step in steps:
                self._try(step)
        self.follows = _follows(self.maps[id(steps[-1].output)])

    def _draw(self, tensor, *shape):
        self.maps[id(tensor)] = _squares(*shape, tensor.dtype)
        self.places[id(tensor)] = _places(self.maps[id(tensor)])

    def _try(self, step):
        operation, source = step.operation, next((tensor for tensor in step.inputs if id(tensor) in self.places), None)
        foreign = step.kind in FOREIGN or not type(operation).__module__.startswith("keras.")
        stays = hasattr(operation, "kernel_size") or hasattr(operation, "pool_size")
        stays |= step.kind == "ZeroPadding2D" and np.max(operation.padding) <= BORDER
        if stays and not foreign and source is not None:
            self._draw(step.output, *operation.compute_output_shape(self.maps[id(source)].shape)[1:])
            return
        flag = {"training": True} if foreign and takes_training(operation) else {}
        for _ in range(TRIES if foreign else 1):
            values = step.run([self.maps[id(tensor)] for tensor in step.inputs], **flag)
            for tensor, maps in zip(tensors_of(step.output), keras.tree.flatten(values), strict=True):
                self.maps[id(tensor)] = maps
                if source is not None and len(maps.shape) == 4 and tuple(maps.shape[1:3]) != (1, 1):
                    self.places[id(tensor)] = self.places[id(source)]
                    if self.moving is None and self._is_moved(id(source), id(tensor)):
                        self.moving = step

    def _is_moved(self, source, target):
        """Whether the squares left their places on the way from one map to the next, by more than ``STILL`` and than a cell."""
        before, after = self.maps[source], self.maps[target]
        gone, kept = np.isnan(_places(after)).all(), before.shape[1:3] == after.shape[1:3]
        if np.isnan(_places(before)).all() or (gone and kept):  # a branch that is nothing as yet, as behind a scale of 0
            return False
        cells = np.minimum(before.shape[1:3], after.shape[1:3])
        far = not np.all(np.abs(_places(after) - self.places[target]) <= np.maximum(STILL, 1.01 / cells))
        return bool((min(cells) >= FINE and far) or (min(cells) > 1 and _follows(before) and not _follows(after)))


def refuse_moving_layers(split, name: str):
    """Refuse layers that move pixels between the image and the features: the landmarks would stay where they were.

    :param split: a ``palcore.splitting.Split``.
    :param name: the classifier's.
    :raises ValueError: naming the first such layer.
    """
    if moving := split.front.moving:
        raise ValueError(
            f"layer {moving.path!r} ({moving.kind}) of {name!r} moves the picture in front of layer {split.path!r}, and the "
            "landmarks stay where they were: take it out, and change pictures and landmarks together before the model"
        )
    if not split.front.follows:
        raise ValueError(
            f"layer {split.path!r} of {name!r} is no map of the picture: what is bright in it does not follow a bright square "
            "there; choose a layer in front of what mixes all places"
        )


def _second_gradient_fault(head):
    """What is wrong with TensorFlow's second gradient of a head, in words, or None.

    The head's derivative along a direction ``u`` is told from its second gradient and from a difference. The first gradient is
    ``J'v``; the derivative of ``u . J'v`` with respect to ``v`` must be ``J u``.
    """
    import tensorflow as tf

    rng = np.random.default_rng(0)
    point, way = (tf.constant(rng.normal(size=(2, *head.inputs[0].shape[1:])), tf.float32) for _ in range(2))
    half = any(layer.compute_dtype != "float32" for layer in head._flatten_layers())
    step, tolerance = (0.1, 0.4) if half else (1e-3, 0.15)  # a ReLU may change over within the step

    def logits(features):
        return tf.cast(head(features, training=False), tf.float32)

    def slope(weights):
        return tf.reduce_sum(way * value_and_gradient(lambda features: tf.reduce_sum(weights * logits(features)), point)[1])

    difference = (logits(point + step * way) - logits(point - step * way)).numpy() / (2 * step)
    try:
        second = value_and_gradient(slope, tf.ones_like(difference))[1].numpy()
    except Exception as error:  # a LookupError, and what else TensorFlow raises where there is none
        return f"is missing ({' '.join(str(error).split())[:80]})"
    right = np.linalg.norm(difference)
    if np.linalg.norm(second - difference) > tolerance * right + 1e-3:
        return f"is wrong ({np.linalg.norm(second):.3g} for {right:.3g}, which is what differences give)"
    return None


def refuse_missing_second_gradient(split, name: str):
    """Refuse layers behind the features whose second gradient TensorFlow lacks, or gets wrong; PAL's gradient needs it.

    Bilinear resizing is one that TensorFlow says nothing about. On JAX nothing is tried: it derives the second from the first.

    :param split: a ``palcore.splitting.Split``.
    :param name: the classifier's.
    :raises ValueError: naming the layer.
    """
    fault = _second_gradient_fault(split.head) if keras.backend.backend() == "tensorflow" else None
    if fault is None:
        return
    rests = ((step, head_of(step.output, split.logits)) for step in split.tail)
    # Behind the layer that is to blame, the rest has no fault.
    blamed = next((step for step, rest in rests if rest is not None and _second_gradient_fault(rest) is None), split.tail[-1])
    raise ValueError(
        f"TensorFlow's second gradient of layer {blamed.path!r} ({blamed.kind}) of {name!r}, behind layer {split.path!r}, {fault}: "
        "attribute a layer behind it, replace it, or set KERAS_BACKEND to jax"
    )
