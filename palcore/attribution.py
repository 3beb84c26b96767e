"""What a layer contributes to the answer: attributions that stay differentiable, as a Keras layer.

The score is ``S = sum_i |z_i|`` over the **logits** (:eq:`score`); the attribution of the features ``f`` is ``|dS/df|``
(:eq:`grad`) or that times ``f`` (:eq:`grad-input`). Method of Bonnard et al., ICPR 2022, arXiv 2203.12905.
"""

from collections.abc import Callable

import keras
from keras import ops

from palcore import Tensor, choose

METHODS = ("grad", "grad_input")
MAPS = (*METHODS, "features")
STRATEGIES = ("all", "mean", "half")
SCORES = ("abs_logits", "logits")


def attribution_score(logits: Tensor, score: str = "abs_logits") -> Tensor:
    """The number that is differentiated, summed over the faces of a batch (:eq:`score`); the source says absolute values in words
    alone, not in its formula.

    :param logits: ``(N, classes)``.
    :param score: ``"abs_logits"`` for ``sum |z|``, ``"logits"`` for ``sum z``.
    :return: a float32 scalar.
    :raises ValueError: for an unknown score.
    """
    choose(score, SCORES, f"unknown score {score!r}")
    logits = ops.cast(logits, "float32")
    return ops.sum(ops.abs(logits) if score == "abs_logits" else logits)


def value_and_gradient(function: Callable, inputs: Tensor | list[Tensor], has_aux: bool = False) -> tuple:
    """A scalar function's value and its gradient, which can be differentiated again.

    :param function: one tensor, or a list of tensors, to a scalar tensor; it must not write to variables.
    :param inputs: the tensor, any shape, float32, or the list.
    :param has_aux: True where ``function`` returns ``(scalar, anything else)``; ``value`` is that pair then.
    :return: ``(value, gradient shaped as inputs)``. Where the backend finds no path back, the gradient is zero: that is what an
        optimiser makes of it.
    :raises ValueError: on a backend other than TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    inputs = keras.tree.map_structure(lambda part: ops.convert_to_tensor(part, dtype="float32"), inputs)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            value = function(inputs)
        total = value[0] if has_aux else value
        return value, tape.gradient(total, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    if backend == "jax":
        import jax

        return jax.value_and_grad(function, has_aux=has_aux)(inputs)
    raise ValueError(f"Keras backend {backend!r} for derivatives: set KERAS_BACKEND to tensorflow or jax")


def compiled(function: Callable, backends: tuple[str, ...] = ("tensorflow", "jax")) -> Callable:
    """``function`` of tensors, which writes to no variables, compiled as one where Keras's backend is one of ``backends``.

    JAX would else compile each of its operations by itself, and TensorFlow compute derivatives that nobody asked for.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" and backend in backends:
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    if backend == "jax" and backend in backends:
        import jax

        return jax.jit(function)
    return function


def logits_and_gradient(head: keras.Layer, features: Tensor, score: str = "abs_logits", training: bool = False) -> tuple:
    """Run ``head`` once; its logits and the gradient, itself differentiable, of their score with respect to the features.

    :param head: a built Keras layer or model, ``(N, h, w, C)`` float32 to ``(N, classes)`` logits, called with ``training``.
    :param score: see ``attribution_score``.
    :return: ``(logits (N, classes) float32, gradient (N, h, w, C) float32)``.
    :raises ValueError: on another backend, or for an unknown score.
    """
    trainable = [variable.value for variable in head.trainable_variables]
    state = [variable.value for variable in head.non_trainable_variables]

    def total_and_outputs(inputs):
        # Stateless, or what normalisation and dropout write on JAX would be tracers of this inner gradient.
        logits, updated = head.stateless_call(trainable, state, inputs, training=training)
        logits = ops.cast(logits, "float32")
        return attribution_score(logits, score), (logits, updated)

    (_, (logits, updated)), gradient = value_and_gradient(total_and_outputs, features, has_aux=True)
    for variable, value in zip(head.non_trainable_variables, updated, strict=True):
        variable.assign(value)
    return logits, gradient


def attribution_map(features: Tensor, gradient: Tensor, method: str = "grad_input", strategy: str = "mean") -> Tensor:
    """Combine features and gradient into a map (:eq:`grad`, :eq:`grad-input`, :eq:`strategies`).

    :param features: ``(N, h, w, C)``.
    :param gradient: ``(N, h, w, C)``, the score's gradient with respect to the features; ``"features"`` needs none.
    :param method: ``"grad"`` for ``|dS/df|``, ``"grad_input"`` for ``|dS/df| * f``; ``"features"`` for ``f`` itself, which is no
        attribution but what some rivals of PAL are losses of.
    :param strategy: ``"all"`` channels one by one, their ``"mean"``, or the mean of the first ``"half"``.
    :return: ``(N, h, w)`` float32, or ``(N, h, w, C)`` for ``"all"``. Non-negative for ``"grad"``, and for
        ``"grad_input"`` behind a ReLU.
    :raises ValueError: for an unknown method or strategy, or ``"half"`` of a single channel.
    """
    choose(method, MAPS, f"unknown method {method!r}")
    choose(strategy, STRATEGIES, f"unknown strategy {strategy!r}")
    features = ops.cast(features, "float32")
    attribution = features if method == "features" else ops.abs(ops.cast(gradient, "float32"))
    if method == "grad_input":
        attribution = attribution * features
    if strategy == "all":
        return attribution
    if strategy == "half":
        half = attribution.shape[-1] // 2
        if half == 0:
            raise ValueError("strategy 'half' on a layer of 1 channel: it needs at least 2; choose mean or all")
        attribution = attribution[..., :half]
    return ops.mean(attribution, axis=-1)


@keras.saving.register_keras_serializable("palcore")
class AttributionHead(keras.layers.Layer):
    """The rest of a classifier, returning its logits and the attribution of its input.

    ``AttributionHead(head)(features)`` is ``{"expression": logits (N, classes), "attribution": map}``, both float32 whatever
    the precision policy. The map is ``(N, h, w)``, or ``(N, h, w, C)`` for the strategy ``"all"``.

    :param head: a Keras model from features ``(N, h, w, C)``, channels last, to logits ``(N, classes)``.
    :param method: and ``strategy``: see ``attribution_map``; ``score``: see ``attribution_score``.
    :raises ValueError: for an unknown option, or features that are not a map.
    """

    def __init__(self, head: keras.Model, method: str = "grad_input", strategy: str = "mean", score: str = "abs_logits", **kwargs):
        choose(method, MAPS, f"unknown method {method!r}")
        choose(strategy, STRATEGIES, f"unknown strategy {strategy!r}")
        choose(score, SCORES, f"unknown score {score!r}")
        super().__init__(dtype="float32", **kwargs)
        self.head, self.method, self.strategy, self.score = head, method, strategy, score

    def build(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(
                f"features of shape {tuple(input_shape)} for an attribution: choose a layer whose output is a map "
                "(faces, height, width, channels)"
            )
        if not self.head.built:
            self.head.build(input_shape)

    def call(self, features, training=False):
        # The layer's dtype policy casts the features to float32 first, so that the gradient is float32 as well.
        if self.method == "features":
            logits, gradient = ops.cast(self.head(features, training=training), "float32"), None
        else:
            logits, gradient = logits_and_gradient(self.head, features, self.score, training)
        return {"expression": logits, "attribution": attribution_map(features, gradient, self.method, self.strategy)}

    def compute_output_spec(self, features, training=False):
        # Written out: tracing a gradient of symbolic inputs is not possible on every backend.
        logits = self.head.compute_output_spec(features, training=training)
        shapes = {"expression": logits.shape, "attribution": features.shape if self.strategy == "all" else features.shape[:-1]}
        return {name: keras.KerasTensor(shape, dtype="float32") for name, shape in shapes.items()}

    def get_config(self):
        options = {"method": self.method, "strategy": self.strategy, "score": self.score}
        return {**super().get_config(), "head": keras.saving.serialize_keras_object(self.head), **options}

    @classmethod
    def from_config(cls, config):
        head = keras.saving.deserialize_keras_object(config["head"])
        return cls(**{**{name: value for name, value in config.items() if name != "dtype"}, "head": head})
