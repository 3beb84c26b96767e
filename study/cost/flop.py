"""Arithmetic of a step, counted from its layers, and the machine's own ceiling for it."""

import keras
import numpy as np

from palcore.attribution import AttributionHead


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


def ceilings(side=2048, cells=56, channels=128, count=8):
    """``{name: (step, FLOP)}``: a large float32 matrix product, and a 3x3 convolution like those inside VGG16."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    matrix = tf.constant(rng.normal(size=(side, side)).astype(np.float32))
    maps = tf.constant(rng.normal(size=(count, cells, cells, channels)).astype(np.float32))
    kernel = tf.constant(rng.normal(size=(3, 3, channels, channels)).astype(np.float32))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix + 1.0)))
    convolution = tf.function(lambda: tf.reduce_sum(tf.nn.conv2d(maps + 1.0, kernel, 1, "SAME")))
    return {
        "matrix": (lambda: float(product()), 2 * side**3),
        "convolution": (lambda: float(convolution()), 2 * 9 * channels**2 * cells**2 * count),
    }
