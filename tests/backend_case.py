"""What the two backends must agree on, computed on the one that KERAS_BACKEND names, and what JAX refuses.

``python -m tests.backend_case OUT.npz`` writes the results, and fails where a check does not hold.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest

from palcore.attribution import METHODS, SCORES, STRATEGIES, value_and_gradient
from palcore.heatmaps import gaussian_heatmap
from palcore.losses import LOSSES, PrivilegedAttributionLoss
from palcore.models import with_attribution
from palcore.related_maps import grad_cam, integrated_gradients
from study.book.derivatives import compiled, weight_difference, weight_gradients

SMOOTH = "tanh"
CASES = {f"{method}/{strategy}/abs_logits": (method, strategy, SCORES[0], "pal") for method in METHODS for strategy in STRATEGIES}
CASES |= {f"{method}/mean/logits": (method, "mean", SCORES[1], "pal") for method in METHODS}
CASES |= {f"{rival}/{way}": ("grad_input", way, SCORES[0], rival) for rival in list(LOSSES)[1:] for way in ("all", "mean")}
"""Method, strategy and score of the attribution, and the name of its loss."""


def network(activation, seed=7, pooled=False):
    """A small classifier with weights that do not depend on the backend's own random numbers."""
    layers = keras.layers
    image = keras.Input((12, 12, 3))
    features = layers.Conv2D(6, 3, padding="same", activation=activation, name="first")(image)
    features = layers.Conv2D(4, 3, padding="same", activation=activation, name="last")(features)
    if pooled:
        hidden = layers.GlobalAveragePooling2D()(features)
    else:
        hidden = layers.Flatten()(layers.AveragePooling2D(2)(features))
        hidden = layers.Dense(10, activation=activation, name="hidden")(hidden)
    model = keras.Model(image, layers.Dense(7, name="logits")(hidden))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5 / np.sqrt(np.prod(variable.shape[:-1]) or 1) ** 0.5, variable.shape))
    return model


def faces(seed=3, count=4):
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 1, (count, 12, 12, 3)).astype(np.float32)
    return images, rng.uniform(0.1, 0.9, (count, 68, 2)).astype(np.float32)


def value_and_gradients(model, images, compute):
    """``compute(outputs)``, a number, and its gradient with respect to each trainable variable (zeros where none), by its path.

    Taken as Keras's own trainer on the backend takes it: on TensorFlow from what the variables themselves were read for.
    """
    if keras.backend.backend() != "tensorflow":
        return weight_gradients(model, images, compute)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = compute(model(images))
    paths, weights = zip(*((variable.path, variable.value) for variable in model.trainable_variables), strict=True)
    gradients = tape.gradient(value, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return float(value), dict(zip(paths, map(keras.ops.convert_to_numpy, gradients), strict=True))


def pal_value_and_gradients(model, images, landmarks, loss=None):
    """PAL alone."""
    loss = loss or PrivilegedAttributionLoss(sigma=0.1)
    return value_and_gradients(model, images, lambda outputs: loss(landmarks, outputs["attribution"]))


def compile_total(model, loss=None):
    losses = {
        "expression": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "attribution": loss or PrivilegedAttributionLoss(sigma=0.1),
    }
    model.compile("sgd", losses, loss_weights={"expression": 1.0, "attribution": 0.7}, jit_compile=False)


def unit(arrays):
    """``{path: array}`` scaled to an overall length of 1."""
    length = np.sqrt(sum(np.sum(np.square(array)) for array in arrays.values()))
    return {path: array / length for path, array in arrays.items()}


def measure(results, key, model, images, landmarks, loss):
    """``key/...``: outputs of a model; ``loss`` of the attribution alone, and the whole loss of a training step, as ``compile`` and
    Keras put it together, with their gradients and finite differences."""
    targets = {"expression": np.arange(len(images)) % 7, "attribution": landmarks}
    outputs = model(images)
    results[f"{key}/logits"] = keras.ops.convert_to_numpy(outputs["expression"])
    results[f"{key}/map"] = keras.ops.convert_to_numpy(outputs["attribution"])
    terms = {
        "pal": lambda outputs: loss(landmarks, outputs["attribution"]),
        "total": lambda outputs: model.compute_loss(images, targets, outputs),
    }
    for term, compute in terms.items():
        compile_total(model, loss)
        value, gradients = value_and_gradients(model, images, compute)
        compile_total(model, loss)  # anew: the means of its losses hold what JAX traced
        results[f"{key}/{term}/value"] = value
        results[f"{key}/{term}/gradient"] = np.concatenate([gradient.ravel() for gradient in gradients.values()])
        # Along the gradient, where the slope is steepest, and halfway between it and a random direction.
        rng = np.random.default_rng(11)
        steepest = unit(gradients)
        drawn = unit({path: rng.normal(size=array.shape) for path, array in gradients.items()})
        mixed = unit({path: steepest[path] + drawn[path] for path in drawn})
        for name, direction in (("steepest", steepest), ("mixed", mixed)):
            results[f"{key}/{term}/{name}/slope"] = sum(np.sum(gradients[path] * direction[path]) for path in direction)
            results[f"{key}/{term}/{name}/difference"] = weight_difference(model, images, compute, direction, 4e-3)


def results_of_this_backend():
    """``{name: array}``: heatmap, maps, losses, gradients and finite differences."""
    (images, landmarks), classes = faces(), [0, 3, 5, 6]
    results = {"heatmap": keras.ops.convert_to_numpy(gaussian_heatmap(landmarks, (7, 9), 0.05))}
    results["grad_cam"] = keras.ops.convert_to_numpy(grad_cam(network(SMOOTH), images, classes, "last"))
    results["integrated"] = integrated_gradients(network(SMOOTH), images, classes, steps=3)
    for key, (method, strategy, score, name) in CASES.items():
        kind, features = LOSSES[name]
        model = with_attribution(network(SMOOTH), "last", features or method, strategy, score)
        measure(results, key, model, images, landmarks, kind(0.1 if name == "pal" else 0.03))
    return results


def check_splits():
    """Nested backbones, endings in softmax, layers that move the picture, pixels; but what TensorFlow lacks is no fault on JAX."""
    from tests import test_logits, test_soundness, test_splitting

    with tempfile.TemporaryDirectory() as folder:
        test_splitting.test_front_and_head_are_the_classifier_again("scaling", Path(folder))
    for form in ("Softmax", "Lambda", "keras.ops"):
        test_logits.test_the_softmax_is_cut_off_in_any_spelling(form)
    test_logits.test_other_endings_in_probabilities_are_refused("sigmoid")
    for kind in ("augment/mirror", "slices"):
        test_soundness.test_what_moves_the_picture_in_front_of_the_layer_is_refused_by_name(kind)
    for kind in ("bilinear", "softsign"):
        with_attribution(test_soundness.behind(test_soundness.UNFIT[kind][0]), "last")
    images, landmarks = faces()
    for jit in (True, False):
        model = with_attribution(network(SMOOTH))
        losses = {"expression": keras.losses.SparseCategoricalCrossentropy(True), "attribution": PrivilegedAttributionLoss()}
        model.compile("sgd", losses, jit_compile=jit)
        model.fit(images, {"expression": np.arange(4), "attribution": landmarks}, verbose=0)
        with pytest.raises(Exception, match="so they are in pixels"):
            model.fit(images, {"expression": np.arange(4), "attribution": 48 * landmarks}, verbose=0)


def check_derivatives():
    """A second derivative, compiled or not, and those of the chapters."""
    (images, landmarks), loss = faces(), PrivilegedAttributionLoss(sigma=0.1)
    watched = with_attribution(network(SMOOTH), "last")
    _, gradients = weight_gradients(watched, images, lambda outputs: loss(landmarks, outputs["attribution"]))
    _, other = pal_value_and_gradients(watched, images, landmarks)
    assert all(np.allclose(gradients[path], other[path], atol=1e-7) for path in other)

    def second(x):
        return value_and_gradient(lambda x: keras.ops.sum(value_and_gradient(lambda x: keras.ops.sum(x**3), x)[1]), x)[1]

    x = np.array([1.0, 2.0], np.float32)
    assert np.allclose(second(x), 6 * x) and np.allclose(compiled(second)(x), 6 * x)


if __name__ == "__main__":
    np.savez(sys.argv[1], **results_of_this_backend())
    check_splits()
    check_derivatives()
