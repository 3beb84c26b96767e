"""Endings of classifiers: what is attributed are logits, however the softmax is spelled."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from scipy.special import softmax

from palcore.models import with_attribution
from palcore.splitting import split_at

layers = keras.layers


class OwnSoftmax(layers.Layer):
    def call(self, inputs):
        return ops.exp(inputs) / ops.sum(ops.exp(inputs), axis=-1, keepdims=True)


class OwnSigmoid(layers.Dense):
    """A dense layer whose ``activation`` does not say what it ends in."""

    def call(self, inputs):
        return ops.sigmoid(super().call(inputs))


class Checked(layers.Layer):
    """Stops at what is no probability."""

    def call(self, inputs):
        tf.debugging.assert_non_negative(inputs)
        return inputs


def dense(**kwargs):
    return layers.Dense(5, name="scores", **kwargs)


# A softmax at the end, whatever its name, its logarithm, and what may lie behind it.
CUT = {
    "name": lambda x: dense(activation="softmax")(x),
    "tf.nn": lambda x: dense(activation=tf.nn.softmax)(x),
    "keras.ops": lambda x: dense(activation=ops.softmax)(x),
    "layer as activation": lambda x: dense(activation=layers.Softmax())(x),
    "Activation": lambda x: layers.Activation("softmax")(dense()(x)),
    "Softmax": lambda x: layers.Softmax()(dense()(x)),
    "operation": lambda x: ops.softmax(dense()(x)),
    "Lambda": lambda x: layers.Lambda(lambda z: ops.softmax(z))(dense()(x)),
    "own layer": lambda x: OwnSoftmax()(dense()(x)),
    "half precision": lambda x: layers.Softmax(dtype="bfloat16")(dense()(x)),
    "written out": lambda x: layers.Lambda(lambda z: ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True))(dense()(x)),
    "linear after": lambda x: layers.Activation("linear", dtype="float32")(dense(activation="softmax")(x)),
    "cast after": lambda x: ops.cast(dense(activation="softmax", dtype="mixed_bfloat16")(x), "float32"),
    "two after": lambda x: layers.Identity()(layers.Lambda(lambda z: z)(layers.Softmax()(dense()(x)))),
    "dropout after": lambda x: layers.Dropout(0.1)(dense(activation="softmax")(x)),
    "clipped": lambda x: ops.clip(dense(activation="softmax")(x), 1e-9, 1.0),
    "flattened": lambda x: layers.Flatten()(layers.Softmax()(layers.Reshape((1, 1, 5))(dense()(x)))),
    "checked after": lambda x: Checked()(dense(activation="softmax")(x)),
    "nested": lambda x: keras.Sequential([keras.Input((8,)), layers.Dense(5), keras.Sequential([layers.Softmax()])])(x),
    "log_softmax": lambda x: dense(activation="log_softmax")(x),
    "log of a softmax": lambda x: ops.log(dense(activation="softmax")(x)),
}

HALF = ("half precision", "cast after")


def classifier(end):
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 3))
    features = layers.Conv2D(4, 3, activation="relu", name="deep")(image)
    return keras.Model(image, end(layers.Dense(8, activation="tanh")(layers.Flatten()(features))))


def pictures():
    return np.random.default_rng(0).normal(0, 1, (4, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("form", CUT)
def test_the_softmax_is_cut_off_in_any_spelling(form):
    model = classifier(CUT[form])

    def given():
        out = ops.convert_to_numpy(model(pictures(), training=False)).astype(np.float32)
        return np.exp(out) if "log" in form else out

    probabilities = given()
    outputs = with_attribution(model, "deep")(pictures())
    logits, maps = (ops.convert_to_numpy(outputs[key]) for key in ("expression", "attribution"))
    np.testing.assert_allclose(softmax(logits, axis=-1), probabilities, atol=0.01 if form in HALF else 1e-5)
    # Neither probabilities nor their logarithm, which are logits as well, but not those that the network has.
    assert np.abs(logits.sum(axis=-1) - 1).max() > 0.1 and np.abs(np.exp(logits).sum(axis=-1) - 1).max() > 0.1
    # Behind a softmax what is left of the gradient is rounding noise, 1e-8.
    assert np.abs(maps).max(axis=(1, 2)).min() > 1e-3
    np.testing.assert_allclose(given(), probabilities, atol=1e-6)


@pytest.mark.parametrize("form", ["name", "layer as activation", "cast after"])
def test_what_was_cut_survives_saving(form, tmp_path):
    model = with_attribution(classifier(CUT[form]), "deep")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(pictures())["expression"], model(pictures())["expression"], rtol=1e-4, atol=1e-5)


def always(biases):
    return layers.Dense(5, activation="relu", kernel_initializer="zeros", bias_initializer=biases)


LOGITS = {
    "plain": lambda x: layers.Dense(5)(x),
    "not negative": lambda x: layers.Dense(5, activation="relu")(x),
    "gated": lambda x: layers.Multiply()([layers.Dense(5, activation="softmax")(x), layers.Dense(5)(x)]),
    "mixture of experts": lambda x: layers.Dot(1)([layers.Dense(2, "softmax")(x), layers.Reshape((2, 5))(layers.Dense(10)(x))]),
    "between 0 and 1, by chance": lambda x: layers.Dense(5, kernel_initializer=small, bias_initializer=between)(x),
    "small, and some zero": lambda x: layers.Dense(5, activation="relu", kernel_initializer=small)(x),
    "mixed signs that sum to one": lambda x: (lambda z: 0.4 * (z - ops.mean(z, axis=-1, keepdims=True)) + 0.2)(layers.Dense(5)(x)),
    "mixed signs of one sum": lambda x: (lambda z: z - ops.mean(z, axis=-1, keepdims=True) + 1.0)(layers.Dense(5)(x)),
    "always the same, below 1": lambda x: always(between)(x),
    "always the same, each class another": lambda x: always(lambda shape, dtype: ops.linspace(0.1, 0.4, 5))(x),
    "always the same": lambda x: always(apart)(x),
    "of one sum, by chance": lambda x: layers.Dense(5, kernel_initializer=small, bias_initializer=apart)(x),
}

# Weights of a layer behind a tanh, for logits that vary a little around the biases.
small = keras.initializers.RandomUniform(-0.01, 0.01, seed=0)
between, apart = keras.initializers.Constant(0.5), keras.initializers.Constant(9.0)
wide, very_wide = keras.initializers.RandomUniform(-3, 3, seed=0), keras.initializers.RandomUniform(-1e7, 1e7, seed=0)


@pytest.mark.parametrize("form", LOGITS)
def test_logits_stay_as_they_are(form):
    model = classifier(LOGITS[form])
    given, features, head = split_at(model, "deep")
    np.testing.assert_allclose(head(keras.Model(given, features)(pictures())), model(pictures()), rtol=1e-4, atol=1e-5)


def average(join, heads=2):
    return lambda x: join([layers.Dense(5, activation="softmax")(x) for _ in range(heads)])


def scaled_to_one(function, **options):
    return lambda x: (lambda z: z / ops.sum(z, axis=-1, keepdims=True))(function(layers.Dense(5, **options)(x)))


def warmer(factor, **options):
    return lambda x: layers.Lambda(lambda z: ops.softmax(factor * z), **options)(layers.Dense(5, kernel_initializer=wide)(x))


REFUSED = {
    "sigmoid": lambda x: layers.Dense(5, activation="sigmoid")(x),
    "sigmoid as operation": lambda x: ops.sigmoid(layers.Dense(5)(x)),
    "sigmoid, cast": lambda x: layers.Activation("linear", dtype="float32")(layers.Dense(5, activation="sigmoid")(x)),
    "temperature": lambda x: layers.Lambda(lambda z: ops.softmax(z / 4.0))(layers.Dense(5)(x)),
    "squared": lambda x: scaled_to_one(ops.square, activation="softmax")(x),
    "smoothed": lambda x: layers.Lambda(lambda z: 0.99 * ops.softmax(z) + 0.002)(layers.Dense(5)(x)),
    "dropout after": lambda x: layers.Dropout(0.5)(layers.Lambda(lambda z: ops.softmax(z / 4.0))(layers.Dense(5)(x))),
    "weights after": lambda x: layers.Dense(5, kernel_initializer="identity")(layers.Dense(5, activation="softmax")(x)),
    "some of them zero": scaled_to_one(lambda z: ops.relu(z - ops.mean(z, axis=-1, keepdims=True))),
    "squares": scaled_to_one(ops.square),
    "averaged": average(layers.Average()),
    "weighted": average(lambda heads: 0.3 * heads[0] + 0.7 * heads[1]),
    "mean of a stack": average(lambda heads: ops.mean(ops.stack(heads, axis=1), axis=1), heads=3),
    "percentages": lambda x: 100.0 * layers.Dense(5, activation="softmax")(x),
    "turned round": lambda x: 1.0 - layers.Dense(5, activation="softmax")(x),
    "negative": lambda x: -layers.Dense(5, activation="softmax")(x),
    "own layer": lambda x: OwnSigmoid(5)(x),
    "a class left out": lambda x: layers.Dense(6, activation="softmax")(x)[:, :5],
    "a gate on a softmax": lambda x: layers.Dense(5, activation="softmax")(x) * layers.Dense(1, activation="sigmoid")(x),
    "sigmoid, saturated": lambda x: layers.Dense(5, activation="sigmoid", kernel_initializer=very_wide)(x),
    "a little warmer": warmer(1.002),
    "warmer, in half precision": warmer(1.05, dtype="bfloat16"),
    "saturated": lambda x: layers.Softmax()(layers.Dense(5, kernel_initializer=very_wide)(x)),
    "two sigmoids averaged": lambda x: layers.Average()([ops.sigmoid(layers.Dense(5)(4.0 * x)) for _ in range(2)]),
}


@pytest.mark.parametrize("form", REFUSED)
def test_other_endings_in_probabilities_are_refused(form):
    with pytest.raises(ValueError, match="gives probabilities or the like, .* give the model without that ending"):
        with_attribution(classifier(REFUSED[form]), "deep")


def test_probabilities_that_nothing_was_learnt_for_are_refused():
    image = keras.Input((1, 5, 1))
    squares = ops.square(layers.Flatten()(layers.Rescaling(1.0, name="deep")(image)))
    with pytest.raises(ValueError, match="gives probabilities"):
        with_attribution(keras.Model(image, squares / ops.sum(squares, axis=-1, keepdims=True)), "deep")
