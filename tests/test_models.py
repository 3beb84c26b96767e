import functools
import random
import re
import zipfile

import keras
import numpy as np
import pytest

from palcore.losses import PrivilegedAttributionLoss, SmoothedCrossEntropy
from palcore.models import BACKBONES, build_classifier, with_attribution
from tests.conftest import refusals

layers = keras.layers


def images(size, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


CELLS = {"compact": 6, "plain": 6, "vgg16": 3, "resnet50": 2, "face_resnet": 2}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_gives_seven_logits_shares_weights_with_the_training_model_and_is_saved_as_plain_keras(backbone, tmp_path):
    classifier = build_classifier(backbone, 48, units=8)
    model = with_attribution(classifier)
    outputs, logits = model(images(48)), classifier(images(48))
    assert logits.shape == (2, 7)
    assert outputs["attribution"].shape == (2, CELLS[backbone], CELLS[backbone])
    np.testing.assert_allclose(outputs["expression"], logits, rtol=1e-4, atol=1e-5)
    assert {id(variable) for variable in model.variables} == {id(variable) for variable in classifier.variables}
    classifier.save(tmp_path / "classifier.keras")
    with zipfile.ZipFile(tmp_path / "classifier.keras") as file:
        assert set(re.findall(r'"module": "(\w+)', file.read("config.json").decode())) == {"keras"}
    again = keras.models.load_model(tmp_path / "classifier.keras", custom_objects={})
    np.testing.assert_allclose(again(images(48)), logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backbone", ["compact", "face_resnet"])
def test_a_classifier_in_16_bit_is_saved_in_32(backbone, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        classifier = build_classifier(backbone, 32, units=8)
        state = random.getstate()
        classifier.save(tmp_path / "classifier.keras")
        assert random.getstate() == state  # of which a training that goes on would notice
    finally:
        keras.config.set_dtype_policy("float32")
    saved = keras.models.load_model(tmp_path / "classifier.keras")
    assert {layer.compute_dtype for layer in saved.layers} == {"float32"} != {layer.compute_dtype for layer in classifier.layers}
    for given, wanted in zip(saved.get_weights(), classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(given, wanted)
    np.testing.assert_allclose(saved(images(32)), classifier(images(32)), atol=0.1)


kinds = keras.losses
OF_PROBABILITIES = {
    "name": "sparse_categorical_crossentropy",
    "class by name": "SparseCategoricalCrossentropy",
    "binary": "binary_crossentropy",
    "divergence": "kl_divergence",
    "function": kinds.categorical_crossentropy,
    "class": kinds.SparseCategoricalCrossentropy(),
    "generalised": kinds.CategoricalGeneralizedCrossEntropy(),
    "partial": functools.partial(kinds.categorical_crossentropy, label_smoothing=0.1),
    "wrapped": lambda y, p: kinds.sparse_categorical_crossentropy(y, p),
    "by hand": lambda y, p: -keras.ops.sum(y * keras.ops.log(p), axis=-1),
}
OF_LOGITS = {
    "class": kinds.SparseCategoricalCrossentropy(from_logits=True),
    "hinge": kinds.CategoricalHinge(),
    "squares": "mean_squared_error",
    "own": SmoothedCrossEntropy(0.1),
    "partial": functools.partial(kinds.sparse_categorical_crossentropy, from_logits=True),
    "wrapped": lambda y, z: kinds.sparse_categorical_crossentropy(y, z, from_logits=True),
    "none": None,
}


@pytest.fixture(scope="module")
def model():
    """A training model to compile in many ways."""
    return with_attribution(residual())


@pytest.mark.parametrize("form", OF_PROBABILITIES)
def test_a_loss_of_probabilities_is_refused_in_compile(form, model):
    loss = OF_PROBABILITIES[form]
    for given in ({"expression": loss}, {"expression": [loss], "attribution": "mse"}, ["mse", loss], loss):
        with pytest.raises(ValueError, match="loss .* of .* takes probabilities, and its outputs are logits: give one of logits"):
            model.compile("sgd", given)


@pytest.mark.parametrize("form", OF_LOGITS)
def test_a_loss_of_logits_is_accepted_and_xla_is_asked_for_by_name(form, model, monkeypatch):
    # Once a training in this process has made operations deterministic, Keras compiles none by XLA.
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: True)
    model.compile("sgd", {"expression": OF_LOGITS[form], "attribution": PrivilegedAttributionLoss()})
    assert model.jit_compile is False
    model.compile("sgd", {"expression": OF_LOGITS[form]}, jit_compile=True)
    assert model.jit_compile is True


def test_a_compiled_training_model_survives_saving(tmp_path, rng):
    model = with_attribution(residual())
    assert model.attributed_layer == "joined"  # which every path passes
    losses = {"expression": kinds.SparseCategoricalCrossentropy(True), "attribution": PrivilegedAttributionLoss()}
    model.compile("sgd", losses, metrics={"expression": ["accuracy"]})
    model.fit(images(8, 4), {"expression": np.arange(4), "attribution": rng.uniform(size=(4, 68, 2))}, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    np.testing.assert_allclose(again(images(8))["attribution"], model(images(8))["attribution"], rtol=1e-5)


def test_older_h5_files_work(tmp_path):
    inner, outer = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    backbone = keras.Model(inner, layers.MaxPooling2D(2)(layers.Conv2D(4, 3, name="conv")(inner)), name="backbone")
    classifier = keras.Model(outer, layers.Dense(7, activation="softmax")(layers.Flatten()(backbone(outer))))
    classifier.save(tmp_path / "old.h5")
    outputs = with_attribution(keras.models.load_model(tmp_path / "old.h5", compile=False), "conv")(images(8))
    for name, expected in with_attribution(classifier, "conv")(images(8)).items():
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-5)


def residual():
    image = keras.Input((8, 8, 3))
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    inside = layers.Conv2D(4, 3, padding="same", name="inside")(stem)
    joined = layers.Add(name="joined")([stem, inside])
    return keras.Model(image, layers.Dense(7)(layers.Flatten()(layers.AveragePooling2D(2, name="pooled")(joined))))


test_nonsense_is_refused_with_a_sentence = refusals(
    (lambda: with_attribution(layers.Dense(3)), "cannot be split into layers"),
    (lambda: build_classifier("vgg19"), "unknown backbone 'vgg19': choose from compact, plain, vgg16"),
    (lambda: build_classifier("face_resnet", 48, "imagenet"), "weights 'imagenet' for backbone face_resnet: they are"),
    (lambda: build_classifier("compact", 16), "image_size 16 for backbone compact: it must be at least 32"),
    (lambda: build_classifier("compact", 48, "imagenet"), "weights 'imagenet' for backbone compact"),
    (lambda: build_classifier("compact", 48, dropout=1), "dropout 1: it must be in"),
    (lambda: build_classifier("compact", 48, scaling="caffe"), "unknown scaling 'caffe'"),
    (lambda: build_classifier("compact", 48, width_multiplier=0), r"width_multiplier 0: it must be in \[0.125, 4\]"),
    (lambda: build_classifier("vgg16", 48, width_multiplier=0.5), "width_multiplier 0.5 for backbone vgg16: only compact"),
)


def test_compact_has_the_size_that_its_docstring_says_and_can_be_made_narrower():
    for width, channels in ((1, [32, 64, 128, 128, 256, 256]), (0.5, [16, 32, 64, 64, 128, 128])):
        made = build_classifier(width_multiplier=width, units=9).layers
        assert [layer.filters for layer in made if isinstance(layer, layers.Conv2D)] == channels
        assert [layer.units for layer in made if isinstance(layer, layers.Dense)] == [9, 9, 7]
        count = sum(layer.count_params() for layer in made if not isinstance(layer, layers.Dense))
        assert (f"``compact`` ({count / 1e6:.1f} million weights" in build_classifier.__doc__) == (width == 1)
