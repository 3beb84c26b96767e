"""What makes a split classifier unfit for PAL, found by trying it when the training model is put together.

In front of the features: what moves the picture and leaves its landmarks. Behind them: what TensorFlow cannot differentiate twice,
weights that a layer changes itself, and a map that is the same in every cell.
"""

import keras
import numpy as np
from keras import ops

from palcore.attribution import AttributionHead, value_and_gradient
from palcore.heatmaps import SIGMA
from palcore.losses import FLAT, PrivilegedAttributionLoss
from palcore.steps import Step, head_of, tensors_of

MOVING = {
    *("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop", "RandomShear", "RandomPerspective"),
    *("RandomElasticTransform", "RandAugment", "AugMix", "MixUp", "CutMix"),
    *("AffineTransform", "PerspectiveTransform", "ElasticTransform", "MapCoordinates"),
}
"""What moves pixels in Keras, at random or as it is told, or mixes those of several pictures."""

FOREIGN = {"Lambda", "Pipeline"}  # layers of Keras that run what somebody else gave them
STILL = 0.02  # a share of the picture's side: what moves by less is not said to move
FINE = 8  # cells along a side, at least, of maps in which a move is told by its length
BORDER = 3  # cells of a border of zeros that the next window takes back: more is a move
WHOLE = np.array([[0.0, 1.0]] * 2)  # the window, down and across, of a map whose edges are the picture's
PLACES = [(down, across) for down in (0.2, 0.75) for across in (0.25, 0.8)]
"""Middles of four bright squares: off the middle, and elsewhere across than down, so that flips, turns and transpositions show."""

SIGNED = 0.01  # share of negative features, at least, that is told of
TRIES = 8  # how often a layer of somebody else's is tried: it may move pictures at random


def _squares(height, width, channels, dtype):
    """A map with a bright square at each of ``PLACES``, and a dark one: ``(5, height, width, channels)``."""
    maps = np.zeros((len(PLACES) + 1, height, width, channels), np.float32)
    for picture, place in zip(maps, PLACES, strict=False):
        (top, left), (bottom, right) = (((np.array(place) + reach) * (height, width)).astype(int) for reach in (-0.1, 0.1))
        # Channels that are alike would be nothing to a normalisation.
        picture[top : bottom + 1, left : right + 1] = np.linspace(150, 250, channels)
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


def _window(operation, source, target, window):
    """Where a map's edges lie in the picture, ``(2, 2)``: a window without padding reads less of it than its cells seem to cover.

    Cell ``j`` of a window of ``k`` cells reads around ``s j - padding + k / 2`` cells of the map in front of it.

    :param window: of ``source``, which the operation takes; ``target`` is what it gives.
    """
    if len(source.shape) != 4 or len(target.shape) != 4:
        return window
    inner = np.array(window, float)
    for axis, (low, high) in enumerate(window):
        cells, out = source.shape[axis + 1], target.shape[axis + 1]
        edges = np.array([0.0, 1.0])
        size = getattr(operation, "kernel_size", getattr(operation, "pool_size", None))
        if cells and out and size is not None and out <= cells:
            stride = operation.strides[axis]
            size = (size[axis] - 1) * getattr(operation, "dilation_rate", (1, 1))[axis] + 1
            padding = max((out - 1) * stride + size - cells, 0) // 2 if operation.padding == "same" else 0
            edges = ((edges * out - 0.5) * stride - padding + size / 2) / cells
        elif cells and out and type(operation).__name__ == "ZeroPadding2D":
            edges = (edges * out - operation.padding[axis][0]) / cells
        inner[axis] = low + (high - low) * edges
    return inner


def narrow_window(split, name: str) -> str | None:
    """What to say where a heatmap of the whole picture does not fit a map, as behind many convolutions without padding; or None.

    Its outermost cells lie elsewhere in the picture than they seem to, by more than a cell (padding of ``same`` moves half a one)
    and than twice the width of a landmark's Gaussian.
    """
    cells = np.array(split.features.shape[1:3])[:, None]
    place = np.concatenate([0.5 / cells, 1 - 0.5 / cells], axis=1)
    low, high = split.window[:, :1], split.window[:, 1:]
    off = np.abs(low + (high - low) * place - place)
    if np.all(off <= np.maximum(1 / cells + 1e-6, 2 * SIGMA)):
        return None
    return (
        f"layer {split.path!r} of {name!r} covers the picture from {low.max():.2f} to {high.min():.2f} of its sides, since windows "
        "in front of it have no padding, and a heatmap of the whole does not fit it: build them with padding='same', or choose an "
        "earlier layer"
    )


def signed_features(split, name: str) -> str | None:
    """What to say where features of a picture of noise are negative, as behind normalisation, swish or nothing at all; or None.

    ``grad_input`` keeps their sign, so that a strongly negative feature counts as one that matters little. The picture is seen as
    in training: a normalisation that was never trained takes no mean away in a test, and would hide its sign.
    """
    shape = [side or 64 for side in split.image.shape[1:]]
    noise = np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(split.image.dtype)
    with keras.StatelessScope():
        features = ops.convert_to_numpy(ops.cast(keras.Model(split.image, split.features)(noise, training=True), "float32"))
    share = np.mean(features < 0)
    if share <= SIGNED:
        return None
    return (
        f"layer {split.path!r} of {name!r} has negative features ({share:.0%} on a picture of noise): times the gradient they "
        "count as little attribution, however much they matter; choose a layer behind a ReLU, or method='grad'"
    )


class Trial:
    """What the steps of a classifier make of bright squares in the picture, each step run once.

    Behind each window of Keras's, a convolution or a pooling, the squares are drawn anew: such a layer blurs, and leaves all in
    place; so does a small border of zeros, which the next window takes back.
    """

    def __init__(self, image: keras.KerasTensor):
        self.maps, self.places, self.moves = {}, {}, {}
        self.windows = {id(image): WHOLE}
        self._draw(image, *(side or 64 for side in image.shape[1:3]), image.shape[3])

    def fault(self, steps: list[Step], name: str) -> str | None:
        """Why what the last of some steps of the classifier ``name`` gives is no map of the picture: one of them moves the squares,
        so that landmarks would stay, or it does not follow them, since its axes are others or something mixes all places."""
        with keras.StatelessScope():
            for step in steps:
                if step not in self.moves:
                    self.moves[step] = self._try(step) or step.kind in MOVING
        path = steps[-1].path
        if moving := next((step for step in steps if self.moves[step]), None):
            return (
                f"layer {moving.path!r} ({moving.kind}) of {name!r} moves the picture in front of layer {path!r}, and the "
                "landmarks stay where they were: take it out, and change pictures and landmarks together before the model"
            )
        if not _follows(self.maps[id(steps[-1].output)]):
            return (
                f"layer {path!r} of {name!r} is no map of the picture: what is bright in it does not follow a bright square there; "
                "choose a layer in front of what mixes all places"
            )
        return None

    def _draw(self, tensor, *shape):
        self.maps[id(tensor)] = _squares(*shape, tensor.dtype)
        self.places[id(tensor)] = _places(self.maps[id(tensor)])

    def _try(self, step):
        """Run a step; whether it moves the squares."""
        operation, source = step.operation, next((tensor for tensor in step.inputs if id(tensor) in self.places), None)
        if source is not None:
            for tensor in tensors_of(step.output):
                self.windows[id(tensor)] = _window(operation, source, tensor, self.windows.get(id(source), WHOLE))
        foreign = step.kind in FOREIGN or not type(operation).__module__.startswith("keras.")
        stays = hasattr(operation, "kernel_size") or hasattr(operation, "pool_size")
        stays |= step.kind == "ZeroPadding2D" and np.max(operation.padding) <= BORDER
        if stays and not foreign and source is not None:
            self._draw(step.output, *operation.compute_output_shape(self.maps[id(source)].shape)[1:])
            return False
        moved = False
        for _ in range(TRIES if foreign else 1):
            values = step.run([self.maps[id(tensor)] for tensor in step.inputs], training=True if foreign else None)
            for tensor, maps in zip(tensors_of(step.output), keras.tree.flatten(values), strict=True):
                self.maps[id(tensor)] = maps
                if source is not None and len(maps.shape) == 4 and tuple(maps.shape[1:3]) != (1, 1):
                    self.places[id(tensor)] = self.places[id(source)]
                    moved = moved or self._is_moved(id(source), id(tensor))
        return moved

    def _is_moved(self, source, target):
        """Whether the squares left their places on the way from one map to the next, by more than ``STILL`` and than a cell."""
        before, after = self.maps[source], self.maps[target]
        gone, kept = np.isnan(_places(after)).all(), before.shape[1:3] == after.shape[1:3]
        if np.isnan(_places(before)).all() or (gone and kept):  # a branch that is nothing as yet, as behind a scale of 0
            return False
        cells = np.minimum(before.shape[1:3], after.shape[1:3])
        # A square that is gone, as behind a layer that leaves pictures out at random, tells nothing of the others.
        far = np.any(np.abs(_places(after) - self.places[target]) > np.maximum(STILL, 1.01 / cells))
        follows = np.isnan(_places(after)).any() and kept or _follows(after)
        return bool((min(cells) >= FINE and far) or (min(cells) > 1 and _follows(before) and not follows))


def _second_gradient_fault(head):
    """What is wrong with TensorFlow's second gradient of a head, in words, or None: of its first one, ``J'v``, the derivative of
    ``u . J'v`` with respect to ``v`` must be ``J u``, which differences give too."""
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
    """Refuse layers behind the features whose second gradient TensorFlow lacks, or gets wrong, as that of bilinear resizing.

    On JAX nothing is tried: it derives the second from the first.
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


def refuse_changing_weights(split, name: str):
    """Refuse layers behind the features that change their own weights when they are called, such as spectral normalisation.

    PAL's gradient is taken with the weights as they are, so what such a layer makes of them would be lost.
    """
    maps = ops.ones((2, *split.features.shape[1:]))
    with keras.StatelessScope(collect_losses=True) as scope:
        split.head(maps, training=True)
    if scope.losses:
        raise ValueError(
            f"a layer of {name!r} behind layer {split.path!r} adds a loss of its own (add_loss, activity_regularizer), which PAL's "
            "gradient would leave out: take it out, or attribute a layer behind it"
        )
    for variable in split.head.trainable_variables:
        if scope.get_current_value(variable) is not None:
            raise ValueError(
                f"weight {variable.path!r} of {name!r}, behind layer {split.path!r}, is changed by its own layer when that is "
                "called: take that layer out, or attribute a layer behind it"
            )


def refuse_flat_map(head: AttributionHead, split, name: str):
    """Refuse an attribution that is the same in every cell of random maps, as the gradient alone in front of a global average."""
    maps = np.random.default_rng(0).normal(size=(4, *split.features.shape[1:])).astype(np.float32)
    with keras.StatelessScope():
        attribution = ops.convert_to_numpy(head(maps, training=False)["attribution"])
    attribution = attribution.reshape(len(maps), split.features.shape[1] * split.features.shape[2], -1)
    largest = np.abs(attribution).max(axis=1)
    if largest.any() and np.all(np.ptp(attribution, axis=1) <= FLAT * largest):
        raise ValueError(
            f"the attribution {head.method!r} of layer {split.path!r} of {name!r} is the same in every cell and would teach "
            "nothing, as the gradient alone does in front of a global average: take method='grad_input', or flatten instead"
        )


def gradient_shares(model: keras.Model, images, landmarks, loss=None) -> dict[str, float]:
    """How PAL's gradient is divided among the layers of a training model: does it do anything, and where?

    :param model: from ``palcore.models.with_attribution``.
    :param images: ``(N, H, W, channels)``, some of the training faces; ``landmarks``: ``(N, 68, 2)`` of these.
    :param loss: of the attribution; None for ``palcore.losses.PrivilegedAttributionLoss()``.
    :return: ``{layer: share}`` for each layer with weights to train: the length of the gradient with respect to these, over the sum
        of all layers' lengths. All are 0 where nothing reaches any.
    """
    loss = loss or PrivilegedAttributionLoss()
    state = [variable.value for variable in model.non_trainable_variables]

    def attribution_loss(weights):
        outputs, _ = model.stateless_call(weights, state, images, training=False)
        return loss(landmarks, outputs["attribution"])

    _, gradients = value_and_gradient(attribution_loss, [variable.value for variable in model.trainable_variables])
    squares = {}
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        layer = variable.path.rpartition("/")[0]
        squares[layer] = squares.get(layer, 0.0) + float(ops.sum(ops.square(gradient)))
    total = sum(np.sqrt(list(squares.values()))) or 1.0
    return {layer: float(np.sqrt(square) / total) for layer, square in squares.items()}
