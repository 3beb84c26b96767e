import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from palcore.attribution import STRATEGIES, AttributionHead, attribution_map, attribution_score, compiled, value_and_gradient
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import with_attribution
from palcore.splitting import split_at
from tests.backend_case import compile_total, faces, network, pal_value_and_gradients
from tests.conftest import refusals

ONE = np.ones((1, 2, 2, 1), np.float32)


def test_linear_head_by_hand():
    """Two cells, one channel, two logits: z = W f, so S = |z1| + |z2| and dS/df = sign(z) W."""
    weights = np.array([[1.0, -2.0], [0.5, 3.0]])
    features = keras.Input((1, 2, 1))
    dense = keras.layers.Dense(2, use_bias=False)
    head = keras.Model(features, dense(keras.layers.Flatten()(features)))
    dense.kernel.assign(weights)
    values = np.array([[2.0], [1.0]]).reshape(1, 1, 2, 1)
    # z = (2 + 0.5, -4 + 3) = (2.5, -1); dS/df = (1 + 2, 0.5 - 3) = (3, -2.5).
    for method, expected in (("grad", [3.0, 2.5]), ("grad_input", [6.0, 2.5])):
        outputs = AttributionHead(head, method, "mean")(values)
        np.testing.assert_allclose(outputs["attribution"].numpy().ravel(), expected, rtol=1e-6)
        np.testing.assert_allclose(outputs["expression"].numpy(), [[2.5, -1.0]], rtol=1e-6)
    signed = AttributionHead(head, "grad", "mean", score="logits")(values)
    np.testing.assert_allclose(signed["attribution"].numpy().ravel(), [1.0, 3.5], rtol=1e-6)


def test_a_training_step_runs_each_layer_once():
    """As many tangents in the graph of the step, second-order gradient and all, as the network has layers that take one."""
    model = with_attribution(network("tanh"), "last")
    images, landmarks = faces()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = tf.reduce_sum(outputs["expression"]) + PrivilegedAttributionLoss(sigma=0.1)(landmarks, outputs["attribution"])
        return tape.gradient(loss, model.trainable_variables)

    kinds = [operation.type for operation in step.get_concrete_function().graph.get_operations()]
    assert kinds.count("TanhGrad") > 3  # the hidden layer's in the attribution, and again for the step
    assert kinds.count("Tanh") == 3


def test_strategies_and_scores_by_hand():
    features = np.ones((1, 1, 1, 4), np.float32)
    gradient = np.array([1.0, -3.0, 5.0, -7.0], np.float32).reshape(1, 1, 1, 4)
    assert attribution_map(features, gradient, "grad", "mean").numpy().item() == 4
    assert attribution_map(features, gradient, "grad", "half").numpy().item() == 2
    assert attribution_map(features, gradient, "grad", "all").numpy().ravel().tolist() == [1, 3, 5, 7]
    assert attribution_map(gradient, None, "features").numpy().item() == -1
    # The score in words, and as printed.
    logits = np.array([[1.0, -2.0, 3.0]])
    assert float(attribution_score(logits)) == 6
    assert float(attribution_score(logits, "logits")) == 2


@pytest.mark.parametrize("dead", [True, False])
def test_a_flat_or_dead_map_gives_zero_loss_and_zero_gradient(dead):
    """Flat is that of the gradient alone behind global pooling and one dense layer, which ``with_attribution`` refuses."""
    classifier = network("relu", pooled=not dead)
    if dead:
        classifier.get_layer("hidden").bias.assign(np.full(10, -1e3))
    image, features, head = split_at(classifier, "last")
    model = keras.Model(image, AttributionHead(head, "grad_input" if dead else "grad", "mean")(features))
    images, landmarks = faces()
    maps = model(images)["attribution"].numpy()
    assert np.ptp(maps, axis=(1, 2)).max() <= 1e-6 * maps.max()
    value, gradients = pal_value_and_gradients(model, images, landmarks)
    assert value == 0
    assert all(np.all(gradient == 0) for gradient in gradients.values())


def test_attributions_stay_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = with_attribution(network("relu"), "last")
    finally:
        keras.config.set_dtype_policy("float32")
    outputs = model(faces()[0])
    assert {value.dtype for value in outputs.values()} == {tf.float32}


def test_batch_norm_and_dropout_in_the_head_keep_their_state():
    image = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3, name="last")(image)
    hidden = keras.layers.Flatten()(keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="norm")(features)))
    classifier = keras.Model(image, keras.layers.Dense(7)(hidden))
    model = with_attribution(classifier, "last")
    before = classifier.get_layer("norm").moving_mean.numpy().copy()
    compile_total(model)
    images = np.random.default_rng(0).normal(3, 1, (8, 8, 8, 3))
    model.fit(images, {"expression": np.arange(8) % 7, "attribution": np.full((8, 68, 2), 0.4)}, verbose=0)
    assert np.abs(classifier.get_layer("norm").moving_mean.numpy() - before).max() > 1e-4


def built(shape):
    features = keras.Input(batch_shape=shape)
    head = keras.Model(features, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    return AttributionHead(head).build(shape)


test_nonsense_is_refused_with_a_sentence = refusals(
    (lambda: with_attribution(network("relu"), "last", "gradient"), "unknown method 'gradient': choose from grad, grad_input"),
    (lambda: with_attribution(network("relu"), "last", strategy="none"), "unknown strategy 'none': choose from all, mean"),
    (lambda: with_attribution(network("relu"), "last", score="softmax"), "unknown score 'softmax': choose from abs_logits"),
    (lambda: built((None, 5)), r"features of shape \(None, 5\) for an attribution: choose a layer whose output is a map"),
    (lambda: built((None, 3, 3, 2, 4)), "features of shape .* for an attribution: choose a layer whose output is a map"),
    (lambda: attribution_map(ONE, ONE, strategy="half"), "strategy 'half' on a layer of 1 channel"),
)


def test_a_head_that_is_not_built_is_built_with_it():
    layer = AttributionHead(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)]))
    layer.build((None, 1, 2, 1))
    assert len(layer.trainable_variables) == 2
    assert layer(np.ones((1, 1, 2, 1)))["expression"].shape == (1, 2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_shapes_are_known_before_anything_is_computed(strategy):
    model = with_attribution(network("relu"), "last", "grad_input", strategy)
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in model.output.items()}
    assert shapes == {name: tuple(array.shape[1:]) for name, array in model(faces()[0]).items()}
    assert {tensor.dtype for tensor in model.output.values()} == {"float32"}


def test_options_and_name_are_in_the_file(tmp_path):
    """Models that were saved are found again by that name."""
    assert keras.saving.get_registered_name(AttributionHead) == "palcore>AttributionHead"
    model = with_attribution(network("tanh"), "last", "grad", "half", "logits")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    head = again.get_layer("attribution_head")
    assert (head.method, head.strategy, head.score) == ("grad", "half", "logits")
    np.testing.assert_allclose(again(faces()[0])["attribution"], model(faces()[0])["attribution"], rtol=1e-5)


def test_derivatives_are_the_backends_own(monkeypatch):
    """What they are worth is seen in test_backends.py."""
    jax = SimpleNamespace(value_and_grad=lambda function, has_aux: lambda inputs: (function, has_aux))
    monkeypatch.setitem(sys.modules, "jax", jax)
    value, gradient = value_and_gradient(lambda x: keras.ops.sum(x**2), np.ones(2))
    assert (float(value), gradient.numpy().tolist()) == (2, [2, 2])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert value_and_gradient(len, np.ones(2), has_aux=True) == (len, True)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="Keras backend 'torch' for derivatives: set KERAS_BACKEND to tensorflow or jax"):
        value_and_gradient(lambda x: x, np.ones(2))


def test_a_function_is_compiled_for_the_backends_that_are_named(monkeypatch):
    def twice(values):
        return 2 * values

    assert compiled(twice, ("jax",)) is twice
    assert isinstance(compiled(twice), type(tf.function(twice))) and float(compiled(twice)(tf.constant(3.0))) == 6
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(jit=lambda function: ("compiled", function)))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert compiled(twice) == ("compiled", twice) and compiled(twice, ("tensorflow",)) is twice
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert compiled(twice, ("torch",)) is twice
