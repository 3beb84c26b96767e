"""Classifiers, and the training model that also returns a layer's attribution."""

import contextlib
import inspect
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from palcore import EMOTIONS, choose, soundness
from palcore.attribution import AttributionHead
from palcore.face_resnet import face_resnet, load_face_resnet
from palcore.splitting import split_classifier
from palcore.weights import SCALINGS, float32_copy, load_backbone_weights, scaling_of

FILTERS = {"compact": ((32,), (64,), (128, 128), (256, 256)), "plain": ((32, 32), (64, 64), (128, 128), (256, 256))}
"""Channels of each 3x3 convolution, block by block, at a ``width_multiplier`` of 1, of the backbones for 48 to 64 pixels."""
NORMALISATIONS = ("block", "convolution")
NAMED_WEIGHTS = {"imagenet": ("vgg16", "resnet50"), "hed": ("vgg16",), "dlib": ("face_resnet",)}
"""Weights that have a name, and the backbones that they are of."""
SMALLEST = 32  # pixels along the side that every backbone needs


def _compact(image, name, width_multiplier, normalisation, **_):
    """Blocks of 3x3 convolutions for 48 to 64 pixels. Normalising is bound by memory: behind each block's pooling it has a quarter
    of the cells that it has after each convolution, which trains the better network.

    Nothing behind the attributed map normalises or takes a maximum, so the head that PAL differentiates twice treats each face
    alone and is exact in every precision.
    """
    features, filters = image, FILTERS[name]
    # Momentum 0.9: an epoch of the smaller data sets has some 40 steps, too few for the averages at 0.99.
    each, momentum = normalisation == "convolution", 0.9
    for number, block in enumerate(filters, start=1):
        for position, channels in enumerate(block, start=1):
            kind = {"activation": None if each else "relu", "use_bias": not each, "name": f"block{number}_conv{position}"}
            features = layers.Conv2D(round(width_multiplier * channels), 3, padding="same", **kind)(features)
            if each:
                features = layers.BatchNormalization(momentum=momentum, name=f"block{number}_norm{position}")(features)
                features = layers.Activation("relu", name=f"block{number}_relu{position}")(features)
        if number < len(filters):
            features = layers.MaxPooling2D(name=f"block{number}_pool")(features)
            if not each:
                features = layers.BatchNormalization(momentum=momentum, name=f"block{number}_norm")(features)
    return layers.AveragePooling2D(2, name=f"block{len(filters)}_pool")(features)


def _application(image, name, weights, **_):
    """VGG16 or ResNet50 of Keras applications as layers of this model, and its pooling, if any, in float32."""
    build = {"vgg16": keras.applications.VGG16, "resnet50": keras.applications.ResNet50}[name]
    backbone = build(include_top=False, weights="imagenet" if weights == "imagenet" else None, input_tensor=image)
    if weights not in (None, "imagenet"):
        load_backbone_weights(backbone, weights)
    if name == "vgg16":
        # Compiled by XLA, TensorFlow has no second-order gradient of max-pooling in 16-bit floats.
        return layers.MaxPooling2D(name="block5_pool", dtype="float32")(backbone.get_layer("block5_conv3").output)
    return backbone.output


def _face_resnet(image, weights, **_):
    features = face_resnet(image)
    if weights is not None:
        load_face_resnet(keras.Model(image, features), weights)
    return features


BACKBONES = {"compact": _compact, "plain": _compact, "vgg16": _application, "resnet50": _application, "face_resnet": _face_resnet}
"""From scaled pixels to a map of features, ``(image, name, weights, width_multiplier, normalisation)``."""


class Classifier(keras.Model):
    """A plain Keras model that is saved as one in float32, whatever it was trained in: other programs read no other."""

    def save(self, filepath: str | Path, *args, **kwargs) -> None:
        float32_copy(self).save(filepath, *args, **kwargs)


def build_classifier(
    backbone: str = "compact",
    image_size: int = 64,
    weights: str | Path | None = None,
    units: int = 512,
    dropout: float = 0.5,
    scaling: str | None = None,
    width_multiplier: float = 1.0,
    normalisation: str = "block",
) -> Classifier:
    """A backbone, two dense layers, and one logit per expression, as a plain Keras model.

    Input: ``(N, image_size, image_size, 3)`` RGB in 0..255, uint8 or float; scaling happens inside. Output: ``(N, 7)``
    float32 logits. The map is flattened rather than pooled over space, since behind a global average the gradient of the
    score is the same at every position. ``with_attribution`` takes ``block4_conv2`` (``block4_relu2`` where each convolution is
    normalised), ``block5_conv3``, ``conv5_block3_out`` or ``level3_block3_out``.

    :param backbone: ``compact`` (1.1 million weights and the dense layers, for 48 to 64 px), ``plain`` (the same with two
        convolutions in every block), ``vgg16``, ``resnet50``, or ``face_resnet`` (the first levels of ``palcore.face_resnet``, for
        112 to 150 px).
    :param image_size: side of the input, in pixels, at least 32.
    :param weights: None (random), ``"imagenet"`` (downloaded by Keras), or a file for the backbone, see
        ``palcore.weights.load_backbone_weights``. ``vgg16`` also takes ``"hed"``: trained on ImageNet and then on edges.
        ``face_resnet`` takes ``"dlib"`` (of the package ``face-recognition-models``) or the path of dlib's file.
    :param units: width of each of the two dense layers.
    :param dropout: share of units dropped after the map and after the first dense layer, in [0, 1).
    :param scaling: how pixels become the backbone's input; one of ``palcore.weights.SCALINGS``. None takes the one of the
        weights (``palcore.weights.scaling_of``).
    :param width_multiplier: share of the channels of ``compact`` and ``plain``, in [0.125, 4]; 1 for the other backbones.
    :param normalisation: of ``compact`` and ``plain``: batch normalisation after each ``block``'s pooling or each ``convolution``.
    :raises ValueError: for an unknown backbone or scaling, an image that is too small, or weights that do not fit.
    :raises FileNotFoundError: where ``weights`` names no file.
    """
    choose(backbone, BACKBONES, f"unknown backbone {backbone!r}")
    if image_size < SMALLEST:
        raise ValueError(f"image_size {image_size} for backbone {backbone}: it must be at least {SMALLEST}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout!r}: it must be in [0, 1)")
    if not 0.125 <= width_multiplier <= 4:
        raise ValueError(f"width_multiplier {width_multiplier!r}: it must be in [0.125, 4]")
    choose(normalisation, NORMALISATIONS, f"normalisation {normalisation!r}")
    for name, value, default in (("width_multiplier", width_multiplier, 1), ("normalisation", normalisation, "block")):
        if backbone not in FILTERS and value != default:
            raise ValueError(f"{name} {value!r} for backbone {backbone}: only {' and '.join(FILTERS)} take one")
    if backbone in FILTERS and weights is not None:
        raise ValueError(f"weights {weights!r} for backbone {backbone}: it has none to load; choose another backbone, or None")
    if backbone not in NAMED_WEIGHTS.get(weights, BACKBONES):
        raise ValueError(f"weights {weights!r} for backbone {backbone}: they are those of {' and '.join(NAMED_WEIGHTS[weights])}")
    if scaling is None:
        scaling = scaling_of(backbone, weights)
    choose(scaling, SCALINGS, f"unknown scaling {scaling!r}")
    image = keras.Input((image_size, image_size, 3), name="image")
    scaled = SCALINGS[scaling](image)
    kind = {"name": backbone, "weights": weights, "width_multiplier": width_multiplier, "normalisation": normalisation}
    features = BACKBONES[backbone](scaled, **kind)
    # The head is differentiated twice: keep it in float32 whatever the precision of the features.
    hidden = layers.Flatten(name="flatten", dtype="float32")(features)
    hidden = layers.Dropout(dropout, name="drop1", dtype="float32")(hidden)
    hidden = layers.Dense(units, activation="relu", name="dense1", dtype="float32")(hidden)
    hidden = layers.Dropout(dropout, name="drop2", dtype="float32")(hidden)
    hidden = layers.Dense(units, activation="relu", name="dense2", dtype="float32")(hidden)
    logits = layers.Dense(len(EMOTIONS), name="logits", dtype="float32")(hidden)
    return Classifier(image, logits, name=backbone)


def _takes_probabilities(loss, classes):
    """Whether a loss is one of probabilities: what is below 0 is nothing to it, were it even the score of the right class."""
    told = getattr(loss, "from_logits", None)
    if told is None and not isinstance(loss, keras.losses.Loss):
        parameter = inspect.signature(loss).parameters.get("from_logits")
        told = parameter and parameter.default
    if told is not None or classes == 1:
        return told is False
    scores = ops.convert_to_tensor([[-2.0, *[3.0] * (classes - 1)], [-1.0, *[3.0] * (classes - 1)]])
    changes = []
    for target in ([[0.0]], np.eye(classes, dtype=np.float32)[:1]):  # its number, or 1 in its place
        with contextlib.suppress(Exception):  # whatever a loss says to labels of the other form
            lower, higher = (float(ops.mean(loss(ops.convert_to_tensor(target), row[None]))) for row in scores)
            changes.append(abs(higher - lower) > 1e-6)  # False for NaN
    return bool(changes) and not any(changes)


@keras.saving.register_keras_serializable("palcore")
class AttributionModel(keras.Model):
    """The training model of ``with_attribution``: Keras's, with a ``compile`` that refuses what can't be right."""

    def compile(
        self, optimizer: str | keras.Optimizer = "rmsprop", loss: Any = None, *args, jit_compile: bool | str = "auto", **kwargs
    ) -> None:
        """Keras's ``compile``. On TensorFlow nothing is compiled by XLA unless asked for: its second gradient of max-pooling is
        only approximate.

        :raises ValueError: for a loss of the expression that takes probabilities.
        """
        classes = self.output["expression"].shape[-1]
        for given in keras.tree.flatten(loss.get("expression") if isinstance(loss, dict) else loss):
            if given and _takes_probabilities(keras.losses.get(given), classes):
                raise ValueError(
                    f"loss {getattr(given, 'name', given)!r} of {self.name!r} takes probabilities, and its outputs are logits: "
                    "give one of logits, such as keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
                )
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = False
        super().compile(optimizer, loss, *args, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """As Keras does for models whose ``compile`` is its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def with_attribution(
    classifier: keras.Model,
    layer: str | None = None,
    method: str = "grad_input",
    strategy: str = "mean",
    score: str = "abs_logits",
) -> AttributionModel:
    """Split any functional Keras classifier at a layer and return the training model of PAL.

    ``model(images)`` is ``{"expression": logits (N, classes), "attribution": (N, h, w) or (N, h, w, C)}``. The model shares its
    weights with ``classifier``: train the one, then save the other, which stays plain Keras. A softmax that ends it is left out of
    the training model, since it is the logits that are attributed; train with ``from_logits=True``.

    :param classifier: a functional or sequential model with one image input, channels last, and one output. Sub-models, such as a
        backbone used as one layer, are looked into.
    :param layer: name of a layer whose output is a map, ``(N, h, w, C)``, or ``sub-model/layer``; None for the last one that is
        neither pooling nor dropout nor within a branch. Which one that is, is printed once, and kept as ``model.attributed_layer``.
    :param method: and ``strategy``, ``score``: see ``palcore.attribution.AttributionHead``.
    :return: the training model. It warns of a map that covers much less than the picture, behind convolutions without padding, and
        for ``grad_input`` of one whose features may be negative.
    :raises ValueError: where ``palcore.splitting.split_at`` refuses to split; where a layer in front moves the picture, since the
        landmarks would stay; where TensorFlow cannot differentiate one behind it twice, which PAL's gradient needs, or where one
        behind it changes its own weights; and where the attribution is the same in every cell.
    """
    split = split_classifier(classifier, layer)
    if split.fault:
        raise ValueError(split.fault)
    # The maps of the study's own classifiers are in their docstring, and lie behind a ReLU.
    own = layer is None and {"drop1", "drop2", "logits"} <= {step.path for step in split.tail}
    signed = None if own or method != "grad_input" else soundness.signed_features(split, classifier.name)
    for warning in filter(None, (soundness.narrow_window(split, classifier.name), signed)):
        warnings.warn(warning, stacklevel=2)
    head = AttributionHead(split.head, method, strategy, score, name="attribution_head")
    if method != "features":
        soundness.refuse_changing_weights(split, classifier.name)
        soundness.refuse_missing_second_gradient(split, classifier.name)
        soundness.refuse_flat_map(head, split, classifier.name)
    model = AttributionModel(split.image, head(split.features), name=f"{classifier.name}_with_attribution")
    model.attributed_layer = split.path
    if layer is None and not own:
        _say(classifier.name, split.path, tuple(split.features.shape[1:]))
    return model


@cache
def _say(name, layer, shape):
    """Once for each: a map that nobody named may not be the one that was meant."""
    height, width, channels = shape
    print(f"attribution of {name!r}: layer {layer!r}, {height} x {width} cells, {channels} channels (choose another by layer=)")
