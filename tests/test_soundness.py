"""Layers that move the picture, and those that TensorFlow cannot differentiate twice, are found when the model is put together."""

import time
import warnings
from collections import defaultdict

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.soundness import gradient_shares
from palcore.splitting import split_classifier
from tests.backend_case import pal_value_and_gradients

layers = keras.layers


class Own(layers.Layer):
    """A layer of somebody's own that changes its inputs, in training only where nothing else is said."""

    def __init__(self, change, always=False):
        super().__init__()
        self.change, self.always = change, always

    def call(self, inputs, training=False):
        return self.change(inputs) if training or self.always else inputs


def left_out(x):
    """Pictures at random, as a stochastic depth does."""
    return x * ops.cast(keras.random.uniform((ops.shape(x)[0], 1, 1, 1)) < 0.7, x.dtype) / 0.7


def classifier(before=lambda x: x, behind=lambda x: x, side=32):
    """A classifier with layers in front of the map that is attributed, and between it and the scores."""
    image = keras.Input((side, side, 3))
    features = layers.Conv2D(4, 3, padding="same", activation="relu", name="last")(before(image))
    return keras.Model(image, layers.Dense(3)(layers.Dense(4, activation="tanh")(layers.Flatten()(behind(features)))), name="mine")


def behind(layer):
    return classifier(behind=layer, side=6)


MOVING = {
    "augment/mirror": keras.Sequential([layers.Rescaling(1 / 255), layers.RandomFlip(name="mirror")], name="augment"),
    "RandomTranslation": layers.RandomTranslation(0.01, 0.01),
    "MixUp": layers.MixUp(),
    "CenterCrop": layers.CenterCrop(28, 28),
    "ZeroPadding2D": layers.ZeroPadding2D(8),
    "ZeroPadding2D, one side": layers.ZeroPadding2D(((0, 0), (8, 0))),
    "Resizing with a crop": layers.Resizing(20, 32, crop_to_aspect_ratio=True),
    "Resizing with a border": layers.Resizing(20, 32, pad_to_aspect_ratio=True),
    "slices": lambda x: x[:, 4:-4, 4:-4],
    "operation": lambda x: ops.flip(x, axis=1),
    "Permute": layers.Permute((2, 1, 3)),
    "Lambda": layers.Lambda(lambda x: tf.image.flip_left_right(x)),
    "warped by what was learnt": lambda x: ops.image.affine_transform(x, layers.Dense(8)(ops.mean(x, axis=(1, 2)))),
    "Lambda at random": layers.Lambda(lambda x: tf.image.random_flip_left_right(x)),
    "own layer": Own(lambda x: ops.roll(x, 5, axis=2)),
    "Pipeline": layers.Pipeline([layers.Rescaling(1 / 255), layers.RandomFlip()]),
    "in a map of four cells": lambda x: ops.flip(layers.Conv2D(3, 8, 8)(x), axis=2),
    "behind a convolution": lambda x: layers.RandomFlip()(layers.Conv2D(3, 3)(x)),
}


@pytest.mark.parametrize("kind", MOVING)
def test_what_moves_the_picture_in_front_of_the_layer_is_refused_by_name(kind):
    path = kind if "/" in kind else ".*"
    with pytest.raises(ValueError, match=f"layer '{path}' .* of 'mine' moves the picture in front of layer 'last'"):
        with_attribution(classifier(MOVING[kind]), "last")


def reduction_of_nasnet(image):
    features = layers.Conv2D(4, 3)(image)
    shifted = layers.Cropping2D(((1, 0), (1, 0)))(layers.ZeroPadding2D(((0, 1), (0, 1)))(layers.ReLU()(features)))
    return layers.Concatenate()([layers.AveragePooling2D(1, 2)(features), layers.AveragePooling2D(1, 2)(shifted)])


STILL = {
    "colours": keras.Sequential([layers.RandomBrightness(0.2), layers.RandomContrast(0.2), layers.GaussianNoise(0.1)]),
    "Resizing": layers.Resizing(20, 28),
    "Resizing, same shape": layers.Resizing(16, 16, crop_to_aspect_ratio=True),
    "CenterCrop of all": layers.CenterCrop(32, 32),
    "Normalization": layers.Normalization(mean=[1.0] * 3, variance=[1.0] * 3),
    "channels turned round": lambda x: x[..., ::-1],
    "Lambda": layers.Lambda(lambda x: x / 127.5 - 1),
    "standardised": layers.Lambda(lambda x: tf.image.per_image_standardization(x)),
    "own layer": Own(lambda x: x * 0.5 + 0.1 * keras.random.normal(ops.shape(x))),
    "left out at random": Own(left_out),
    "every other pixel": lambda x: x[:, ::2, ::2],
    "NASNet": reduction_of_nasnet,
    "UpSampling2D": layers.UpSampling2D(2),
    "the mean added": lambda x: x + 40.0 * ops.mean(x, axis=(1, 2), keepdims=True),
    "one cell": lambda x: x + layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x)),
}


@pytest.mark.parametrize("kind", STILL)
def test_what_leaves_the_picture_in_place_is_accepted(kind):
    assert with_attribution(classifier(STILL[kind]), "last").attributed_layer == "last"


UNFIT = {
    "softsign": (layers.Activation("softsign"), "is missing"),
    "softsign of a convolution": (layers.Conv2D(4, 3, activation=tf.nn.softsign), "is missing"),
    "softsign as operation": (ops.softsign, "is missing"),
    "softsign in a layer": (Own(tf.nn.softsign, always=True), "is missing"),
    "softsign in a lambda": (layers.Lambda(tf.nn.softsign), "is missing"),
    "bicubic": (layers.UpSampling2D(2, interpolation="bicubic"), "is missing"),
    "bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), "is wrong"),
    "bilinear, 16 bit": (layers.UpSampling2D(2, interpolation="bilinear", dtype="mixed_bfloat16"), "is wrong"),
    "Resizing": (layers.Resizing(9, 11), "is wrong"),
    "resized by an operation": (lambda x: ops.image.resize(x, (12, 12)), "is wrong"),
    "resized by TensorFlow": (layers.Lambda(lambda x: tf.image.resize(x, (5, 5))), "is wrong"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_tensorflow_cannot_differentiate_twice_is_named(kind):
    layer, fault = UNFIT[kind]
    with pytest.raises(ValueError, match=f"TensorFlow's second gradient of layer '.*' .* of 'mine', behind layer 'last', {fault}"):
        with_attribution(behind(layer), "last")


@pytest.mark.parametrize("kind", ["bilinear", "softsign"])
def test_in_front_of_the_layer_and_without_a_gradient_any_will_do(kind):
    layer = UNFIT[kind][0]
    assert with_attribution(classifier(lambda x: layer(layers.Conv2D(4, 3)(x))), "last")
    assert with_attribution(behind(layer), "last", method="features")


FIT = {
    "activations": keras.Sequential(
        [layers.Activation(name) for name in ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "leaky_relu", "mish")]
    ),
    "norms": keras.Sequential([layers.BatchNormalization(), layers.LayerNormalization(), layers.GroupNormalization(2)]),
    "pools": keras.Sequential([layers.MaxPooling2D(2), layers.AveragePooling2D(2)]),
    "convolutions": keras.Sequential(
        [layers.Conv2D(4, 3, strides=2), layers.DepthwiseConv2D(2), layers.SeparableConv2D(3, 1), layers.Conv2DTranspose(3, 2)]
    ),
    "nearest": layers.UpSampling2D(2),
    "PReLU": layers.PReLU(),
    "dropout": layers.Dropout(0.5),
    "attention": lambda x: (lambda t: layers.MultiHeadAttention(2, 2)(t, t))(layers.Reshape((36, 4))(x)),
    "residual": lambda x: layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)]),
    "operations": lambda x: ops.max(ops.square(x), axis=1) + ops.sqrt(1.0 + ops.mean(ops.square(x), axis=1)),
    "embedded": keras.Sequential([layers.Lambda(lambda x: tf.einsum("nhwc->nch", x)), layers.Flatten()]),
    "16 bit": layers.Dense(4, dtype="mixed_bfloat16"),
    "moves the map": layers.RandomTranslation(0.1, 0.1),
    "nothing as yet": layers.Dense(4, kernel_initializer="zeros"),
}


@pytest.mark.parametrize("kind", FIT)
def test_what_can_be_differentiated_twice_is_accepted(kind):
    assert with_attribution(behind(FIT[kind]), "last")


POOLED = {
    "global": layers.GlobalAveragePooling2D(),
    "of all cells": layers.AveragePooling2D(6),
    "mean": lambda x: ops.mean(x, axis=(1, 2)),
    "sums": lambda x: ops.sum(layers.Flatten()(ops.sum(x, axis=1, keepdims=True)) * 1.0, axis=1, keepdims=True),
}


@pytest.mark.parametrize("kind", POOLED)
def test_the_gradient_alone_is_refused_where_it_is_the_same_in_every_cell(kind):
    model = behind(POOLED[kind])
    with pytest.raises(ValueError, match="attribution 'grad' of layer 'last' of 'mine' is the same in every cell"):
        with_attribution(model, "last", method="grad", strategy="all")
    assert with_attribution(model, "last") and with_attribution(model, "last", method="features")
    assert with_attribution(behind(layers.MaxPooling2D(2)), "last", method="grad")


def test_a_loss_of_a_layers_own_behind_the_map_is_refused():
    image = keras.Input((16, 16, 3))
    features = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2", activity_regularizer="l2", name="last")(image)
    quiet = layers.Dense(3, kernel_regularizer="l2")(layers.Flatten()(features))
    with_attribution(keras.Model(image, quiet))  # losses in front of the map, and those of weights, stay
    loud = layers.Dense(3, activity_regularizer="l2")(layers.Flatten()(features))
    with pytest.raises(ValueError, match=r"behind layer 'last' adds a loss of its own \(add_loss, activity_regularizer\)"):
        with_attribution(keras.Model(image, loud))


def test_a_map_that_covers_less_than_the_picture_is_told_of():
    image = features = keras.Input((48, 48, 1))
    for block in range(3):
        features = layers.MaxPooling2D(2)(features) if block else features
        features = layers.Conv2D(4, 3)(layers.Conv2D(4, 3)(features))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(features)), name="narrow")
    # By hand: the middle of the first of 5 cells lies 1.5 cells into 7, 2.5 into 9, 5 into 18, 7 into 22, 14 into 44, 16 into 48.
    low, high = split_classifier(model).window[0]
    assert low + 0.1 * (high - low) == pytest.approx(16 / 48) and low + high == pytest.approx(1)
    with pytest.warns(UserWarning, match=r"'narrow' covers the picture from 0.29 to 0.71 of its sides.* padding='same'"):
        with_attribution(model)
    image = features = keras.Input((48, 48, 1))
    for _ in range(3):
        features = layers.Conv2D(4, 3, 2, padding="same", activation="relu")(layers.ZeroPadding2D(1)(layers.Conv2D(4, 3)(features)))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(features)))
    assert np.abs(split_classifier(model).window - [0, 1]).max() < 0.08  # half of one of six cells
    with warnings.catch_warnings(action="error"):
        with_attribution(model)


def test_features_that_may_be_negative_are_told_of_and_a_normalisation_is_no_default():
    image = features = keras.Input((16, 16, 1))
    for block in (1, 2):
        features = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{block}")(features)
        features = layers.MaxPooling2D()(layers.BatchNormalization(name=f"norm{block}")(features))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(features)), name="usual")
    with warnings.catch_warnings(action="error"):
        assert with_attribution(model).attributed_layer == "conv2"
        with_attribution(model, "norm2", method="grad")
    with pytest.warns(UserWarning, match="'norm2' of 'usual' has negative features .* behind a ReLU"):
        with_attribution(model, "norm2")


def test_a_layer_behind_the_map_that_changes_its_own_weights_is_refused():
    normalised = layers.SpectralNormalization(layers.Conv2D(4, 3))
    with pytest.raises(ValueError, match="weight '.*kernel' of 'mine', behind layer 'last', is changed by its own layer"):
        with_attribution(behind(normalised), "last")
    assert with_attribution(behind(normalised), "last", method="features")
    assert with_attribution(behind(layers.BatchNormalization()), "last")


@pytest.mark.parametrize(("method", "reached"), [("grad", {"dense1", "dense2", "logits"}), ("grad_input", None)])
def test_the_gradient_of_pal_is_divided_among_the_layers_that_it_reaches(method, reached, rng):
    """Of a head of dense layers and ReLUs the second derivative is 0, so the gradient alone teaches nothing in front of it."""
    keras.utils.set_random_seed(0)
    model = with_attribution(build_classifier(image_size=32, units=8, width_multiplier=0.125), method=method)
    images, landmarks = rng.uniform(0, 255, (4, 32, 32, 3)), rng.uniform(0, 1, (4, 68, 2)).astype(np.float32)
    shares = gradient_shares(model, images, landmarks)
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {variable.path.split("/")[0] for variable in model.trainable_variables}
    assert {layer for layer, share in shares.items() if share > 1e-6} == (reached or set(shares))
    assert not any(gradient_shares(model, images, np.full((4, 68, 2), np.nan)).values())


def test_the_share_of_a_layer_is_the_length_of_its_gradient(rng):
    model = with_attribution(behind(layers.AveragePooling2D(2)), "last")
    images, landmarks = rng.uniform(0, 1, (4, 6, 6, 3)).astype(np.float32), rng.uniform(0, 1, (4, 68, 2)).astype(np.float32)
    lengths = defaultdict(float)
    for path, gradient in pal_value_and_gradients(model, images, landmarks)[1].items():
        lengths[path.split("/")[0]] = np.hypot(lengths[path.split("/")[0]], np.linalg.norm(gradient))
    expected = {layer: length / sum(lengths.values()) for layer, length in lengths.items()}
    assert gradient_shares(model, images, landmarks, PrivilegedAttributionLoss(0.1)) == pytest.approx(expected, rel=1e-3)


def test_putting_together_costs_little():
    """Processor time, of VGG16 as the study builds it: the head is tried, its large layers are not run more than once."""
    classifier = build_classifier("vgg16", 48, units=512)
    with_attribution(classifier)
    started = time.process_time()
    with_attribution(classifier)
    assert time.process_time() - started < 3
