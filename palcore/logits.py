"""From a classifier's outputs back to its logits: only logits can be attributed.

Probabilities sum to one, so the gradient of their sum is zero and an attribution of them is rounding noise. How an ending is
spelled says little (a name, a function, a layer, a lambda), so the head is tried on a few random maps.
"""

import keras
import numpy as np
from keras import layers, ops
from scipy.special import log_softmax

SMALLEST = 1e-6  # probabilities below this are not compared: their logarithms are rounding
ENDING = 4  # operations at the end of a classifier among which its softmax is looked for: behind it may come a cast or a clip


@keras.saving.register_keras_serializable("palcore")
class WithoutSoftmax(layers.Wrapper):
    """A layer with an ``activation`` attribute without it: the same weights, logits instead of probabilities."""

    def call(self, inputs):
        # Not by setattr: where the activation is itself a layer, Keras refuses to have it put back.
        activation = vars(self.layer)["activation"]
        vars(self.layer)["activation"] = keras.activations.linear
        try:
            return self.layer(inputs)
        finally:
            vars(self.layer)["activation"] = activation

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.layer.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


def _candidates(output, producers):
    """Tensors that the logits may be: what the last operations take, or what a layer gives without its activation."""
    tensor = output
    for _ in range(ENDING):
        step = producers.get(id(tensor))
        if step is None or len(step.inputs) != 1:
            return
        [tensor], weights = step.inputs, getattr(step.operation, "weights", ())
        if weights and callable(getattr(step.operation, "activation", None)):
            name = f"{step.path.replace('/', '_')}_logits"
            tensor = WithoutSoftmax(step.operation, name=name, dtype=step.operation.dtype_policy)(tensor)
        if tensor.shape == output.shape:
            yield tensor
        if weights:
            return


def _are_logits(numbers, probabilities, tolerance):
    """Whether probabilities are the softmax of numbers, both ``(N, classes)``, compared as logarithms."""
    told = probabilities > SMALLEST
    difference = log_softmax(numbers, axis=-1) - np.log(np.where(told, probabilities, 1))
    return np.any(told.sum(axis=-1) > 1) and np.all(np.abs(difference[told]) < tolerance)


def logits_of(name: str, features, output, producers: dict):
    """A classifier's logits: its output, or what lies in front of a softmax that ends it as a layer or as an activation.

    :param name: the classifier's, for the sentence of a refusal.
    :param features: the symbolic map ``(None, h, w, C)`` that the symbolic ``output`` ``(None, classes)`` depends on.
    :param producers: ``{id of a symbolic tensor: palcore.steps.Step that made it}``.
    :return: symbolic logits ``(None, classes)``.
    :raises ValueError: where the outputs are no logits and no softmax of any is found.
    """
    candidates = list(_candidates(output, producers))
    # Of several sizes, since a head that saturates may answer large maps with nothing but zeros and ones.
    scales = np.repeat([0.01, 0.1, 1, 100], 3)[:, None, None, None]
    maps = np.random.default_rng(0).normal(scale=scales, size=(12, *features.shape[1:])).astype(np.float32)
    answers = keras.tree.flatten(keras.Model(features, [output, *candidates])(maps, training=False))
    values, *numbers = (ops.convert_to_numpy(ops.cast(answer, "float32")) for answer in answers)
    half = any(tensor.dtype != "float32" for tensor in (output, *candidates))
    logarithms = np.all(values <= 0) and np.allclose(np.exp(values).sum(axis=1), 1, atol=1e-2)
    for candidate, tried in zip(candidates, numbers, strict=True):
        if _are_logits(tried, np.exp(values) if logarithms else values, 0.05 if half else 1e-2):
            return candidate
    last, totals, varies = producers[id(output)].operation, values.sum(axis=1), np.ptp(values, axis=0).max() > 1e-3
    of_one_sum = (np.all(values >= 0) or np.all(values <= 0)) and np.allclose(totals, totals.mean(), rtol=1e-2)
    within = np.all((values >= 0) & (values <= 1)) and (np.ptp(values) > 0.5 or (varies and np.all(values)))
    if type(last) is layers.Dense and last.activation is keras.activations.linear:
        varies = within = False  # it may give any numbers, and these are so by chance
    if within or (of_one_sum and (varies or np.allclose(totals, 1, atol=1e-2))):
        raise ValueError(
            f"classifier {name!r} gives probabilities or the like, from {values.min():.3g} to {values.max():.3g}, and not by a "
            "softmax that ends it: give the model without that ending, one that ends in logits"
        )
    return output
