"""Derivatives on the TensorFlow and the JAX backends of Keras, and the differences that check them.

What the chapters and the tests measure gradients with; training itself leaves this to Keras.
"""

import keras
import numpy as np
from keras import ops

from palcore.attribution import value_and_gradient


def compiled(function, xla=True):
    """The function compiled, by XLA as a training step is where ``jit_compile`` is on.

    :param function: tensors to tensors.
    :param xla: False for TensorFlow's graph without XLA; JAX always has it.
    :return: a function of the same arguments.
    :raises ValueError: on a backend other than TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False)
    if backend == "jax":
        import jax

        return jax.jit(function)
    raise ValueError(f"Keras backend {backend!r} for derivatives: set KERAS_BACKEND to tensorflow or jax")


def weight_gradients(model, images, loss):
    """The gradient of a loss with respect to every trainable variable of a model, at inference.

    :param loss: the model's output to a scalar.
    :return: ``(value, {variable path: NumPy array})``; an array of zeros where no gradient arrives.
    :raises ValueError: on a backend other than TensorFlow and JAX.
    """
    weights = [variable.value for variable in model.trainable_variables]
    state = [variable.value for variable in model.non_trainable_variables]
    value, gradients = value_and_gradient(lambda weights: loss(model.stateless_call(weights, state, images)[0]), weights)
    paths = [variable.path for variable in model.trainable_variables]
    return float(value), dict(zip(paths, map(ops.convert_to_numpy, gradients), strict=True))


def weight_difference(model, images, loss, direction, step):
    """Central difference of a loss along a direction in the space of the weights; the weights are put back.

    :param loss: the model's output to a scalar.
    :param direction: ``{variable path: array}``, such as ``weight_gradients`` returns; scaled to length 1 here.
    :param step: how far to go each way.
    :return: ``(L(w + step d) - L(w - step d)) / (2 step)``, to compare with the length of the gradient where ``direction`` is
        the gradient.
    """
    length = np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in direction.values()))
    before = [ops.convert_to_numpy(variable.value).copy() for variable in model.trainable_variables]
    values = []
    try:
        for sign in (1, -1):
            for variable, weight in zip(model.trainable_variables, before, strict=True):
                variable.assign(weight + np.float32(sign * step / length) * direction[variable.path])
            values.append(float(loss(model(images))))
    finally:
        for variable, weight in zip(model.trainable_variables, before, strict=True):
            variable.assign(weight)
    return (values[0] - values[1]) / (2 * step)


def size_by_layer(gradients):
    """The root mean square of each layer's gradient over all its weights.

    :param gradients: ``{variable path: array}``, such as ``weight_gradients`` returns.
    :return: ``{layer name: size}``, in the order of the paths. 0 where no gradient arrives.
    """
    parts = {}
    for path, gradient in gradients.items():
        parts.setdefault(path.split("/")[-2], []).append(np.ravel(gradient))
    return {layer: float(np.sqrt(np.mean(np.square(np.concatenate(arrays))))) for layer, arrays in parts.items()}
