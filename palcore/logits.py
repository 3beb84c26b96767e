"""From a classifier's outputs back to its logits: only logits can be attributed.

Probabilities sum to one, so the gradient of their sum is zero and an attribution of them is rounding noise. How an ending is
spelled says little (a name, a function, a layer, a lambda), so each operation is tried on a few numbers.
"""

import keras
import numpy as np
from keras import ops
from scipy.special import expit, softmax


@keras.saving.register_keras_serializable("palcore")
class WithoutSoftmax(keras.layers.Wrapper):
    """A layer with its softmax activation left out: the same weights, logits instead of probabilities.

    :param layer: a Keras layer with an ``activation`` attribute, such as the ``Dense`` layer that ends a classifier.
    """

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


def _does(function, shape, half):
    """What a function makes of numbers: ``softmax``, ``sigmoid``, ``nothing``, nothing but of ``probabilities``, or None."""
    tolerance = 2e-2 if half else 1e-4

    def tried(values):
        found = ops.convert_to_numpy(ops.cast(function(ops.convert_to_tensor(values)), "float32"))
        return found.reshape(values.shape)

    try:
        numbers = np.random.default_rng(0).standard_normal((3, *shape), np.float32)
        expected = {"softmax": softmax(numbers, axis=-1), "sigmoid": expit(numbers), "nothing": numbers}
        found = tried(numbers)
        for name, values in expected.items():
            if np.allclose(found, values, atol=tolerance):
                return name
        if np.allclose(tried(expected["softmax"]), expected["softmax"], atol=tolerance):
            return "probabilities"
    except Exception:  # an open size, another size, whatever a layer of somebody else's raises on such numbers: it is none of these
        return None
    return None


class _Ending:
    """The end of a classifier, read backwards."""

    def __init__(self, producers):
        self.producers = producers

    def _read(self, tensor):
        """The step that made a tensor, and what it does to numbers."""
        step = self.producers.get(id(tensor))
        if step is None or len(step.inputs) != 1:
            return step, None
        operation, half = step.operation, tensor.dtype in ("float16", "bfloat16")
        if getattr(operation, "weights", ()):
            activation = getattr(operation, "activation", None)
            return step, _does(activation, tensor.shape[1:], half) if callable(activation) else None
        return step, _does(lambda values: step.run([values]), step.inputs[0].shape[1:], half)

    def logits(self, tensor):
        """What the softmax was taken of that ends in ``tensor``, or None where none is found."""
        step, does = self._read(tensor)
        if does == "softmax":
            if getattr(step.operation, "weights", ()):
                name = f"{step.path.replace('/', '_')}_logits"
                return WithoutSoftmax(step.operation, name=name, dtype=step.operation.dtype_policy)(step.inputs[0])
            return step.inputs[0]
        if step is None or getattr(step.operation, "weights", ()) or does not in ("nothing", "probabilities"):
            return None
        inner = self.logits(step.inputs[0])
        return step.run([inner]) if inner is not None and does == "nothing" else inner

    def is_linear(self, tensor):
        """Whether a layer of Keras's with weights and no activation makes a tensor, which then may be any number."""
        step, does = self._read(tensor)
        keras_own = step is not None and type(step.operation).__module__.startswith("keras.")
        return keras_own and does == "nothing" and bool(getattr(step.operation, "weights", ()))

    def is_sigmoid(self, tensor):
        step, does = self._read(tensor)
        passed = does in ("nothing", "probabilities") and not getattr(step.operation, "weights", ())
        return does == "sigmoid" or (passed and self.is_sigmoid(step.inputs[0]))

    def mixes(self, tensor):
        """Whether nothing but softmax outputs, brought together without weights, makes a tensor."""
        if self._read(tensor)[1] == "softmax":
            return True
        step = self.producers.get(id(tensor))
        if step is None or not step.inputs or getattr(step.operation, "weights", ()):
            return False
        return all(self.mixes(inner) for inner in step.inputs)


def logits_of(name, output, producers, head):
    """A classifier's logits: its output, or what lies in front of a softmax that ends it.

    :param name: the classifier's, for the sentence of a refusal.
    :param output: the symbolic output ``(None, classes)``.
    :param producers: ``{id of a symbolic tensor: palcore.splitting.Step that made it}``.
    :param head: a model from a map of features to ``output``, tried on a few random maps.
    :return: symbolic logits ``(None, classes)``. For an average of softmax outputs, or one
        behind what can't be tried, its logarithm, whose softmax it is.
    :raises ValueError: where the outputs are no logits and their softmax cannot be found.
    """
    ending = _Ending(producers)
    logits = ending.logits(output)
    if logits is not None:
        return logits
    if ending.is_sigmoid(output):
        raise ValueError(
            f"classifier {name!r} ends in a sigmoid, and its outputs are no logits: give the model without that activation"
        )
    # Eight, since a head that saturates may well answer two with nothing but numbers between 0 and 1.
    scales = np.repeat([1, 100], 4)[:, None, None, None]
    features = np.random.default_rng(0).normal(scale=scales, size=(8, *head.inputs[0].shape[1:])).astype(np.float32)
    values = ops.convert_to_numpy(ops.cast(head(features, training=False), "float32"))
    totals = values.sum(axis=1)
    if np.all(values >= 0) and np.allclose(totals, 1, atol=1e-2):
        if ending.mixes(output):
            # 1e-30 is far below any probability that float32 tells from its rounding.
            return ops.log(ops.maximum(ops.cast(output, "float32"), 1e-30))
        raise ValueError(
            f"classifier {name!r} gives probabilities: its outputs are not negative and sum to one, and where its softmax lies "
            "cannot be told: give the model without it, one that ends in logits"
        )
    # Behind activations that saturate, the eight are alike, and logits may lie between 0 and 1 by chance.
    if ending.is_linear(output):
        return output
    varied = np.ptp(values, axis=0).max() > 1e-3
    if (np.all(values >= 0) or np.all(values <= 0)) and varied and np.allclose(totals, totals.mean(), rtol=1e-2):
        raise ValueError(
            f"classifier {name!r} gives outputs of one sign that always sum to {totals.mean():.4g}, as percentages do, which are "
            "no logits: give the model without that ending"
        )
    if np.all((values >= 0) & (values <= 1)) and (np.ptp(values) > 0.5 or (varied and np.all(values))):
        raise ValueError(
            f"classifier {name!r} gives outputs that stay within [0, 1], as a sigmoid does, which are no logits: give the model "
            "without that ending"
        )
    return output
