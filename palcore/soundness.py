"""What makes a split classifier unfit for PAL, found when the training model is put together.

Layers that move the picture and leave its landmarks, and, on TensorFlow, layers without a second gradient; by trying them, not by
their names alone.
"""

import keras
import numpy as np
from keras import ops

from palcore.splitting import takes_training

MOVING = (
    *("RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom", "RandomCrop", "RandomShear", "RandomPerspective"),
    *("RandomElasticTransform", "RandAugment", "AugMix", "MixUp", "CutMix"),
    *("AffineTransform", "PerspectiveTransform", "ElasticTransform", "MapCoordinates"),
)
"""What moves pixels in Keras, at random or as it is told, or mixes those of several pictures."""

TRUSTED = (
    *("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "Activation", "ReLU", "LeakyReLU", "Softmax"),
    *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten", "Reshape"),
    *("Dropout", "SpatialDropout2D", "Add", "Multiply", "Concatenate", "ZeroPadding2D", "Cropping2D", "Rescaling", "Cast"),
)
"""Layers whose second gradient is right on TensorFlow where that of their activation is; what is not here is tried each time."""

STILL = 0.02
"""A share of the picture's side: what moves by less is not said to move."""


def _within(operation):
    """A layer and those that it holds, as far as it says so."""
    found = [operation]
    for inner in [*getattr(operation, "layers", ()), getattr(operation, "layer", None)]:
        if isinstance(inner, keras.Layer):
            found += _within(inner)
    return found


def _taken_back(step, steps, sizes, ahead):
    """Whether the next windows without padding of their own take a border of ``sizes`` cells back, as in ResNet's first layers."""
    followers = [later for later in steps if any(tensor is step.output for tensor in later.inputs)]
    for later in followers:
        operation = later.operation
        window = getattr(operation, "kernel_size", None) or getattr(operation, "pool_size", None)
        if window is None:
            same = later.output.shape[1:3] == step.output.shape[1:3] and ahead
            if not (same and _taken_back(later, steps, sizes, ahead - 1)):
                return False
        else:
            dilation = getattr(operation, "dilation_rate", (1, 1))
            reach = [(cells - 1) * rate for cells, rate in zip(window, dilation, strict=True)]
            if operation.padding != "valid" or any(max(pair) > most for pair, most in zip(sizes, reach, strict=True)):
                return False
    return bool(followers)


def _border_moves(step, front):
    """Whether padding or cropping shifts the picture within the map by more than a cell, or than ``STILL`` of the picture."""
    operation = step.operation
    sizes = operation.padding if step.kind == "ZeroPadding2D" else operation.cropping
    sides = step.inputs[0].shape[1:3]
    learnt = any(before.has_weights for before in front[: front.index(step)])
    if all(size <= (1 if learnt else 1.5 * STILL * side) for pair, side in zip(sizes, sides, strict=True) for size in pair):
        return False
    return step.kind == "Cropping2D" or not _taken_back(step, front, sizes, ahead=4)


def _shift(step):
    """How far an operation moves a bright square, as a share of the side; 0 where that cannot be tried."""
    if len(step.inputs) != 1 or len(step.inputs[0].shape) != 4 or len(getattr(step.output, "shape", ())) != 4:
        return 0.0
    shape, dtype = step.inputs[0].shape[1:], step.inputs[0].dtype
    if None in shape or min(shape[:2]) < 8 or None in step.output.shape[1:]:
        return 0.0
    # Off the middle, and elsewhere across than down, so that a flip, a turn and a transposition all show.
    picture = np.zeros((16, *shape), np.float32)  # a layer may move but some
    rows, columns = (slice(round(a * n), round(b * n)) for a, b, n in ((0.1, 0.3, shape[0]), (0.55, 0.75, shape[1])))
    picture[:, rows, columns] = 200 if "int" in dtype else 1

    def centre(values):
        bright = np.abs(values).sum(axis=-1)
        bright = np.maximum(bright - np.median(bright, axis=(1, 2), keepdims=True), 0)
        bright = bright * (bright > bright.max(axis=(1, 2), keepdims=True) / 2)
        total = bright.sum(axis=(1, 2))
        places = [(np.arange(cells) + 0.5) / cells for cells in bright.shape[1:]]
        found = np.stack([bright.sum(axis=2) @ places[0], bright.sum(axis=1) @ places[1]], axis=-1)
        return found[total > 0] / total[total > 0, None]

    kwargs = {"training": True} if takes_training(step.operation) else {}
    try:
        seen, dark = (
            ops.convert_to_numpy(ops.cast(step.run([ops.cast(values, dtype)], **kwargs), "float32"))
            for values in (picture, np.zeros_like(picture))
        )
    except Exception:  # a layer of somebody else's that takes no such picture: Keras will say so when it is trained
        return 0.0
    found = centre(seen - dark)
    shift = float(np.abs(found - centre(picture)[0]).max()) if len(found) else 0.0
    return shift if shift > max(STILL, 1 / min(*shape[:2], *seen.shape[1:3])) else 0.0


def _moves(step, front):
    """Why a step moves the picture, in a word or two, or None."""
    operation = step.operation
    for inner in _within(operation):
        if type(inner).__name__ in MOVING:
            return type(inner).__name__
    if step.kind in ("ZeroPadding2D", "Cropping2D"):
        return step.kind if _border_moves(step, front) else None
    if step.kind in ("CenterCrop", "Resizing"):
        (height, width), (rows, columns) = step.inputs[0].shape[1:3], step.output.shape[1:3]
        crops = getattr(operation, "crop_to_aspect_ratio", False) or getattr(operation, "pad_to_aspect_ratio", False)
        changes = None in (height, width) or height * columns != width * rows
        moved = (height, width) != (rows, columns) if step.kind == "CenterCrop" else crops and changes
        return step.kind if moved else None
    own = isinstance(operation, keras.Layer) and type(operation).__module__.startswith("keras.")
    if own and step.kind not in ("Lambda", "Permute", "Reshape"):
        return None
    shift = _shift(step)
    return f"{step.kind}, by {shift:.0%} of the side" if shift else None


def refuse_moving_layers(split, name):
    """Refuse layers that move pixels between the image and the features: the landmarks would stay where they were.

    Keras's own layers are known; a lambda, an operation and a layer of anybody else's is tried on a picture of one bright square.

    :raises ValueError: naming the first such layer.
    """
    for step in split.front:
        if reason := _moves(step, split.front):
            raise ValueError(
                f"layer {step.path!r} ({reason}) of {name!r} moves the picture in front of layer {split.step.path!r}, and the "
                "landmarks stay where they were: take it out of the classifier and change pictures and landmarks together, "
                "before the model"
            )


def _second_gradient(function, shapes):
    """What TensorFlow says a function's derivative along a random direction is, by its second gradient, and by differences.

    The first gradient is ``J'v``; the derivative of ``u . J'v`` with respect to ``v`` must be ``J u``.

    :param function: a list of tensors to a list of tensors.
    :param shapes: of its inputs.
    :return: two lists of arrays.
    """
    import tensorflow as tf

    rng = np.random.default_rng(0)
    points, along = ([tf.constant(rng.normal(0, 1, shape), tf.float32) for shape in shapes] for _ in range(2))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(points)
            outputs = function(points)
            weights = [tf.constant(rng.normal(0, 1, output.shape), tf.float32) for output in outputs]
            outer.watch([points, weights])
            total = tf.add_n([tf.reduce_sum(output * weight) for output, weight in zip(outputs, weights, strict=True)])
        gradient = inner.gradient(total, points, unconnected_gradients="zero")
        slope = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(gradient, along, strict=True)])
    second = outer.gradient(slope, [weights, points], unconnected_gradients="zero")[0]
    step = 1e-3
    ends = [function([point + sign * step * way for point, way in zip(points, along, strict=True)]) for sign in (1, -1)]
    differences = [(after - before).numpy() / (2 * step) for after, before in zip(*ends, strict=True)]
    return [tensor.numpy() for tensor in second], differences


def _fault(function, shapes, exact):
    """What is wrong with TensorFlow's second gradient of a function, in words, or None."""
    try:
        second, differences = _second_gradient(function, shapes)
    except LookupError as error:
        return f"is missing ({' '.join(str(error).split())[:80]})"
    except Exception as error:
        # Anything else may be ours, from numbers that the layer does not take; TensorFlow's words for a missing one are these.
        words = " ".join(str(error).split())
        missing = any(word in words for word in ("gradient", "Gradient", "Grad", "OpKernel"))
        return f"is missing ({words[:80]})" if missing else None
    length, right, off = (
        float(np.sqrt(sum(np.sum(np.square(array)) for array in arrays)))
        for arrays in (second, differences, map(np.subtract, second, differences))
    )
    # Where a maximum or a ReLU changes over within the step the difference is off by a little.
    if exact and off > 0.15 * right + 1e-3:
        return f"is wrong ({length:.3g} for {right:.3g}, which is what differences give)"
    return None


def _step_fault(step):
    operation = step.operation
    half = getattr(operation, "compute_dtype", "float32") != "float32"
    activation = getattr(operation, "activation", None)
    if callable(activation) and (fault := _fault(lambda values: [activation(values[0])], [(4, 6)], True)):
        return fault
    if step.kind in TRUSTED:
        return None
    floats = [number for number, tensor in enumerate(step.inputs) if "float" in tensor.dtype]
    if not floats or any(None in tensor.shape[1:] for tensor in step.inputs):
        return None

    kwargs = {"training": False} if takes_training(operation) else {}

    def function(values):
        given = [ops.zeros((2, *tensor.shape[1:]), tensor.dtype) for tensor in step.inputs]
        for number, value in zip(floats, values, strict=True):
            given[number] = ops.cast(value, step.inputs[number].dtype)
        found = keras.tree.flatten(step.run(given, **kwargs))
        return [ops.cast(tensor, "float32") for tensor in found if "float" in keras.backend.standardize_dtype(tensor.dtype)]

    return _fault(function, [(2, *step.inputs[number].shape[1:]) for number in floats], not half)


def refuse_missing_second_gradient(split, name):
    """Refuse layers behind the features whose second gradient TensorFlow lacks, or gets wrong; PAL's gradient needs it.

    Bilinear resizing is one that TensorFlow says nothing about. On JAX nothing is tried: it derives the second from the first.

    :raises ValueError: naming the first such layer.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for step in split.tail:
        if fault := _step_fault(step):
            raise ValueError(
                f"TensorFlow's second gradient of layer {step.path!r} ({step.kind}) of {name!r}, behind layer "
                f"{split.step.path!r}, {fault}: attribute a layer behind it, replace it, or set KERAS_BACKEND to jax"
            )
