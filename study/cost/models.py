"""The step that is measured, with PAL and without: fixed batch, fixed weights, compiled."""

from typing import NamedTuple

import keras
import numpy as np

from palcore.data import load
from palcore.data.batches import given_to_fit
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.runs.devices import computing_in

RATE = 1e-4
"""Of Adam, everywhere."""


class Case(NamedTuple):
    """A network, and the batches that it is trained on: ``size`` pixels, ``count`` faces; ``options`` of ``build_classifier``."""

    backbone: str
    size: int
    count: int
    precision: str = "float32"
    options: dict = {}

    def __str__(self):
        options = "".join(f", {name} {value}" for name, value in self.options.items())
        return f"{self.backbone} at {self.size} px, batches of {self.count}{options}"


VGG16 = Case("vgg16", 112, 8)
"""The network of the source, in batches that two cores train on in a second."""


def drawn_faces(count, size):
    """``palcore.data.table.Faces`` without patch, so many of them."""
    return load("synthetic", count=7 * -(-count // 7), image_size=size, shortcut=None).subset(slice(count))


def fixed_batch(size, count):
    """``(images uint8, labels, landmarks)`` of drawn faces."""
    faces = drawn_faces(count, size)
    return faces.images[:], faces.labels, faces.landmarks


def classifier_with_weights(case, seed=0):
    """A classifier without dropout whose weights NumPy drew: the same ones on every backend.

    Kernels are drawn as He et al. (2015) do, biases are 0; normalisation keeps what it starts with. Pixels are scaled to [-1, 1],
    so that the loss of random weights is not absurd.
    """
    with computing_in(case.precision):
        classifier = build_classifier(case.backbone, case.size, dropout=0.0, scaling="unit", **case.options)
    rng = np.random.default_rng(seed)
    for variable in classifier.trainable_variables:
        if variable.name == "kernel":
            deviation = np.sqrt(2 / np.prod(variable.shape[:-1]))
            variable.assign(rng.normal(0, deviation, variable.shape).astype(np.float32))
    return classifier


def compiled(classifier, pal=True, layer=None):
    """The training model as a run compiles it, with PAL at ``layer`` or without."""
    model = with_attribution(classifier, layer) if pal else classifier
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if pal:
        loss = {"expression": loss, "attribution": PrivilegedAttributionLoss()}
    model.compile(keras.optimizers.Adam(RATE), loss, jit_compile=keras.backend.backend() == "jax")
    return model


def model_and_batch(case, pal=True, layer=None):
    """A compiled model, and the images and targets that its ``train_on_batch`` takes."""
    images, labels, landmarks = fixed_batch(case.size, case.count)
    targets = {"expression": labels, "attribution": landmarks} if pal else labels
    with computing_in(case.precision):
        return compiled(classifier_with_weights(case), pal, layer), (images, targets)


def step_of(case, pal=True, layer=None):
    """A step without arguments on a fixed batch."""
    model, batch = model_and_batch(case, pal, layer)
    return lambda: model.train_on_batch(*batch)


class OneBatch(keras.utils.PyDataset):
    """The same batch, ``number`` times an epoch: what ``fit`` trains on where nothing is read."""

    def __init__(self, batch, number):
        super().__init__(workers=1)
        self.batch, self.number = batch, number

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return self.batch


def epoch_of(model, batches):
    """A step without arguments that is a whole epoch through ``fit``, fed as a run's is."""
    given = given_to_fit(batches)
    return lambda: model.fit(given, epochs=1, verbose=0, shuffle=False)
