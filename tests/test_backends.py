"""TensorFlow and JAX agree, and each agrees with finite differences."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from palcore.attribution import METHODS, STRATEGIES
from palcore.losses import LOSSES

CASES = [f"{method}/{strategy}/{score}" for method in METHODS for strategy in STRATEGIES for score in ("abs_logits", "logits")]
CASES += [f"{rival}/{strategy}" for rival in list(LOSSES)[1:] for strategy in ("all", "mean")]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    found = {}
    for backend in ("tensorflow", "jax"):
        out = folder / f"{backend}.npz"
        environment = {**os.environ, "KERAS_BACKEND": backend}
        script = Path(__file__).with_name("backend_case.py")
        subprocess.run([sys.executable, str(script), str(out)], env=environment, check=True)
        found[backend] = dict(np.load(out))
    return found


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("term", ["pal", "total"])
@pytest.mark.parametrize("case", CASES)
def test_gradient_with_respect_to_the_weights_equals_finite_differences(results, backend, term, case):
    """PAL alone, and the whole loss of a training step."""
    for direction in ("steepest", "mixed"):
        slope, difference = (results[backend][f"{case}/{term}/{direction}/{name}"] for name in ("slope", "difference"))
        assert slope > 1e-3
        assert difference == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("quantity", ["logits", "map", "pal/value", "pal/gradient", "total/value", "total/gradient"])
def test_backends_agree(results, case, quantity):
    tensorflow, jax = (results[backend][f"{case}/{quantity}"] for backend in ("tensorflow", "jax"))
    np.testing.assert_allclose(tensorflow, jax, rtol=2e-3, atol=2e-5)


def test_backends_draw_the_same_heatmap(results):
    np.testing.assert_allclose(results["tensorflow"]["heatmap"], results["jax"]["heatmap"], rtol=1e-4, atol=1e-5)


def run_on_jax(script, folder):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True)


def test_jax_splits_and_refuses_as_tensorflow_does(tmp_path):
    """Nested backbones, endings in softmax, layers that move the picture, pixels; but what TensorFlow lacks is no fault there."""
    script = """
import keras, numpy as np
from keras import layers
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import with_attribution
def classifier(before=layers.Rescaling(2.0), end=layers.Softmax(), behind=layers.ReLU()):
    inner, image = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    backbone = keras.Model(inner, layers.Conv2D(4, 3, activation="relu", name="deep")(inner), name="backbone")
    flat = layers.Flatten()(behind(backbone(before(image))))
    return keras.Model(image, end(layers.Dense(5)(layers.Dense(4, activation="tanh")(flat))))
def refused(words, call):
    try:
        call()
    except Exception as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)
x, landmarks = (np.random.default_rng(0).uniform(0, 1, shape).astype("float32") for shape in ((4, 8, 8, 3), (4, 68, 2)))
for end in (layers.Softmax(), layers.Lambda(lambda z: keras.ops.softmax(z)), layers.Activation(keras.ops.softmax)):
    model = classifier(end=end)
    outputs = with_attribution(model)(x)
    np.testing.assert_allclose(keras.ops.softmax(outputs["expression"]), model(x), rtol=1e-4)
    assert outputs["attribution"].shape == (4, 6, 6) and float(np.abs(outputs["attribution"]).max()) > 1e-3
refused("moves the picture", lambda: with_attribution(classifier(layers.RandomFlip())))
refused("moves the picture", lambda: with_attribution(classifier(layers.Lambda(lambda x: x[:, ::-1]))))
refused("gives probabilities or the like", lambda: with_attribution(classifier(end=layers.Activation("sigmoid"))))
for fine in (layers.UpSampling2D(2, interpolation="bilinear"), layers.Activation("softsign")):
    with_attribution(classifier(behind=fine))
for jit in (True, False):
    for factor in (1, 48):
        model = with_attribution(classifier())
        losses = {"expression": keras.losses.SparseCategoricalCrossentropy(True), "attribution": PrivilegedAttributionLoss()}
        model.compile("sgd", losses, jit_compile=jit)
        fit = lambda: model.fit(x, {"expression": np.arange(4), "attribution": factor * landmarks}, verbose=0)
        fit() if factor == 1 else refused("so they are in pixels", fit)
"""
    run_on_jax(script, tmp_path)
