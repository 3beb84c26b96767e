"""The same step, with PAL and without, and as a person would write it in Keras: fixed batch, compiled, warm."""

import keras
import numpy as np

from palcore.data import load
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution

CROSS_ENTROPY = {"from_logits": True}


def fixed_batch(size, count):
    """``(images uint8, labels, landmarks)`` of drawn faces."""
    faces = load("synthetic", count=7 * -(-count // 7), image_size=size, shortcut=None)
    return faces.images[:count], faces.labels[:count], faces.landmarks[:count]


def classifier_with_weights(backbone, size, seed=0, **options):
    """A classifier without dropout whose weights NumPy drew: the same ones on every backend.

    Kernels are drawn as He et al. (2015) do, biases are 0; normalisation keeps what it starts with. Pixels are scaled to [-1, 1],
    so that the loss of random weights is not absurd.
    """
    classifier = build_classifier(backbone, size, dropout=0.0, scaling="unit", **options)
    rng = np.random.default_rng(seed)
    for variable in classifier.trainable_variables:
        if variable.name == "kernel":
            deviation = np.sqrt(2 / np.prod(variable.shape[:-1]))
            variable.assign(rng.normal(0, deviation, variable.shape).astype(np.float32))
    return classifier


def compiled(classifier, pal=True, layer=None, rate=1e-4):
    """The training model as a run compiles it, with PAL at ``layer`` or without; ``train_on_batch`` is its step."""
    model = with_attribution(classifier, layer) if pal else classifier
    loss = keras.losses.SparseCategoricalCrossentropy(**CROSS_ENTROPY)
    if pal:
        loss = {"expression": loss, "attribution": PrivilegedAttributionLoss()}
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=keras.backend.backend() == "jax")
    return model


def targets(batch, pal=True):
    """Targets of a batch from ``fixed_batch`` for ``compiled``."""
    _, labels, landmarks = batch
    return {"expression": labels, "attribution": landmarks} if pal else labels


def step_of(backbone, size, count, pal=True, layer=None, **options):
    """A step without arguments on a fixed batch, and the model that it trains."""
    batch = fixed_batch(size, count)
    model = compiled(classifier_with_weights(backbone, size, **options), pal, layer)
    goal = targets(batch, pal)
    return lambda: model.train_on_batch(batch[0], goal), model


def twice_in_keras(classifier, batch, layer=None, rate=1e-4):
    """The step as a person writes it: the network runs once for its logits, and once more for the attribution.

    A compiled TensorFlow function with two tapes; loss, optimiser and heatmap are the study's own.

    :return: a step without arguments that returns the loss.
    """
    import tensorflow as tf

    from palcore.attribution import attribution_map, attribution_score
    from palcore.splitting import split_at

    image, features, head = split_at(classifier, layer)
    body = keras.Model(image, features)
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(classifier.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(**CROSS_ENTROPY)
    pal = PrivilegedAttributionLoss()

    @tf.function
    def step(images, labels, landmarks):
        with tf.GradientTape() as outer:
            loss = cross_entropy(labels, classifier(images, training=True))
            with tf.GradientTape() as inner:
                watched = tf.cast(body(images, training=True), tf.float32)
                inner.watch(watched)
                score = attribution_score(head(watched, training=True))
            gradient = inner.gradient(score, watched)
            loss += pal(landmarks, attribution_map(watched, gradient))
        gradients = outer.gradient(loss, classifier.trainable_variables)
        optimizer.apply_gradients(zip(gradients, classifier.trainable_variables, strict=True))
        return loss

    tensors = [tf.convert_to_tensor(part) for part in batch]
    return lambda: float(step(*tensors))
