"""Arithmetic of a step, counted from its layers, and the machine's own ceiling for it."""

import keras
import numpy as np
from keras import ops

from palcore.attribution import AttributionHead
from study.book.derivatives import compiled


def layer_flop(layer):
    """Multiplications and additions of a layer's forward pass for one face; 0 for what is neither convolution nor dense."""
    if isinstance(layer, keras.layers.Conv2D):
        return 2 * int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:3]))
    if isinstance(layer, keras.layers.Dense):
        return 2 * int(np.prod(layer.kernel.shape))
    return 0


def forward_flop(classifier):
    """``(all layers, the first one that counts)`` of a plain classifier, for one face."""
    each = [flop for flop in map(layer_flop, classifier.layers) if flop]
    return sum(each), each[0]


def step_flop(classifier, model=None):
    """Of a training step for one face: three forward passes less the gradient of the image, which nobody asks for.

    With PAL the head costs three passes more: back to the features for the attribution, and that way back again for the
    gradients of its kernels and of what came in.

    :param classifier: the plain one.
    :param model: the training model with PAL, or None for a step without.
    """
    total, first = forward_flop(classifier)
    head = 0
    if model is not None:
        [attribution] = [layer for layer in model.layers if isinstance(layer, AttributionHead)]
        head = sum(layer_flop(classifier.get_layer(layer.name)) for layer in attribution.head.layers if layer_flop(layer))
    return 3 * total - first + 3 * head


def ceilings(precision="float32", side=2048, count=8, number=1):
    """``{name: (step, FLOP)}``: a large matrix product, and a 3x3 convolution like those inside VGG16.

    :param side: of the matrices.
    :param count: pictures of 56x56 cells and 128 channels.
    :param number: how often each step does it: a card is fed ahead.
    """
    cells, channels, rng = 56, 128, np.random.default_rng(0)
    shapes = {"matrix": (side, side), "maps": (count, cells, cells, channels), "kernel": (3, 3, channels, channels)}
    arrays = {name: ops.cast(rng.normal(size=shape).astype(np.float32), precision) for name, shape in shapes.items()}
    product = compiled(lambda matrix: ops.matmul(matrix, matrix + 1), xla=False)
    convolution = compiled(lambda maps, kernel: ops.conv(maps + 1, kernel, 1, "same", data_format="channels_last"), xla=False)

    def repeated(function, *inputs):
        def run():
            for _ in range(number):
                result = function(*inputs)
            ops.convert_to_numpy(ops.ravel(result)[0])  # waits for the last

        return run

    return {
        "matrix": (repeated(product, arrays["matrix"]), number * 2 * side**3),
        "convolution": (
            repeated(convolution, arrays["maps"], arrays["kernel"]),
            number * 2 * 9 * channels**2 * cells**2 * count,
        ),
    }
