"""Splitting a Keras classifier at one of its layers, whatever the way it was put together."""

from typing import NamedTuple

import keras
import numpy as np

from palcore.logits import logits_of
from palcore.soundness import WHOLE, Trial
from palcore.steps import Step, Walk, head_of, is_graph, tensors_of

PASSED_OVER = ("Pooling", "Dropout", "Padding", "Cropping", "Reshape", "Permute", "UpSampling", "Resizing", "Rescaling", "Random")
PASSED_OVER += ("Normalization",)
"""Layers that are passed over when the last convolutional map is looked for: they learn nothing of their own, or scale what is
there, and give it a sign that it had not behind its ReLU."""


class Split(NamedTuple):
    """A classifier in two: ``image`` to ``features``, which the layer ``path`` gives, and on to ``logits`` by ``head``.

    ``fault``: why the features are no map of the picture, or None; ``tail``: the steps behind; ``window``: ``(2, 2)`` where the
    map's edges lie in the picture, down and across, in fractions of its sides.
    """

    image: keras.KerasTensor
    features: keras.KerasTensor
    head: keras.Model
    path: str
    logits: keras.KerasTensor
    fault: str | None
    tail: list[Step]
    window: np.ndarray


def _behind(tensor, producers):
    """The steps that a tensor is computed by, in the order of application."""
    needed, waiting = set(), [tensor]
    while waiting:
        step = producers.get(id(waiting.pop()))
        if step is not None and step not in needed:
            needed.add(step)
            waiting += step.inputs
    return [step for step in dict.fromkeys(producers.values()) if step in needed]


def _refuse_model(classifier):
    name = getattr(classifier, "name", classifier)
    if any(kind.__module__.startswith(("tf_keras", "tensorflow.python.keras")) for kind in type(classifier).__mro__):
        raise ValueError(f"classifier {name!r} is a model of Keras 2 (tf_keras): save it there as .h5 and load it with Keras 3")
    if not isinstance(classifier, keras.Model) or not is_graph(classifier):
        raise ValueError(
            f"classifier {name!r} cannot be split into layers: it must be a built functional or sequential Keras model"
        )
    if len(classifier.inputs) == 1 and len(classifier.inputs[0].shape) != 4:
        raise ValueError(
            f"classifier {name!r} takes inputs of shape {tuple(classifier.inputs[0].shape)}: it must take pictures of shape "
            "(faces, height, width, channels)"
        )
    for method in ("train_step", "compute_loss"):
        if getattr(type(classifier), method) is not getattr(keras.Model, method):
            raise ValueError(
                f"classifier {name!r} has a {method} of its own, which the training model would leave out: give it none"
            )
    if len(classifier.inputs) != 1 or len(classifier.outputs) != 1 or len(classifier.outputs[0].shape) != 2:
        raise ValueError(
            f"classifier {name!r} has {len(classifier.inputs)} inputs and {len(classifier.outputs)} outputs, the first of shape "
            f"{tuple(classifier.outputs[0].shape)}: it must have one image and one vector of scores"
        )


def _refuse_map(classifier, step, front):
    shape = tuple(step.output.shape[1:])
    if None in shape:
        raise ValueError(
            f"layer {step.path!r} of {classifier.name!r} has a map of open size {shape}: build the classifier with a fixed size "
            f"of image, such as (96, 96, 3), in place of {tuple(classifier.inputs[0].shape[1:])}"
        )
    if any(getattr(before.operation, "data_format", None) == "channels_first" for before in front):
        raise ValueError(
            f"layer {step.path!r} of {classifier.name!r}, of shape {shape}, has its channels first, or one in front of it has: "
            "build the classifier with data_format='channels_last' (the weights stay the same)"
        )


def _paths(steps):
    return ", ".join(dict.fromkeys(step.path for step in steps)) or "nothing"


def _named(classifier, layer, maps):
    """The step that a layer's name or path stands for, or a layer itself."""
    layer = getattr(layer, "name", layer)
    named = [step for step in maps if step.path == layer] or [step for step in maps if step.operation.name == layer]
    if len(named) == 1:
        return named[0]
    paths = _paths(named or maps)
    if not named:
        raise ValueError(f"no layer {layer!r} with a map of features in {classifier.name!r}: choose from {paths}")
    raise ValueError(f"layer {layer!r} of {classifier.name!r} is applied {len(named)} times, as {paths}: choose one applied once")


def _defaults(maps, walk, producers):
    """The maps, the last first, that all paths pass and that something was learnt for."""
    for step in reversed(maps):
        front = _behind(step.output, producers)
        learnt = any(getattr(before.operation, "weights", ()) and before.kind != "Normalization" for before in front)
        if learnt and not any(kind in step.kind for kind in PASSED_OVER) and head_of(step.output, walk.output) is not None:
            yield step


def split_classifier(classifier: keras.Model, layer: str | None = None) -> Split:
    """Like ``split_at``, with all that was found out on the way; where no map follows the picture, the last, with its ``fault``."""
    _refuse_model(classifier)
    walk = Walk(classifier)
    producers = {id(tensor): step for step in walk.steps for tensor in tensors_of(step.output)}
    single = [step for step in walk.steps if isinstance(step.output, keras.KerasTensor)]
    maps = [step for step in single if len(step.output.shape) == 4 and step.output.shape[1:3] != (1, 1)]
    trial, chosen = Trial(walk.image), None
    for step in _defaults(maps, walk, producers) if layer is None else [_named(classifier, layer, maps)]:
        front = _behind(step.output, producers)
        _refuse_map(classifier, step, front)
        fault = trial.fault(front, classifier.name)
        if fault is None or chosen is None:
            chosen = step, front, fault
        if fault is None:
            break
    if chosen is None:
        raise ValueError(f"{classifier.name!r} has no map that all paths pass and something was learnt for among {_paths(maps)}")
    step, front, fault = chosen
    if head_of(step.output, walk.output) is None:
        raise ValueError(
            f"layer {layer!r} of {classifier.name!r} lies within a branch, and other paths go around it: "
            "choose a layer that all paths pass, such as the addition or activation that ends the block"
        )
    logits = logits_of(classifier.name, step.output, walk.output, producers)
    tail = [later for later in _behind(walk.output, producers) if later not in front]
    window = trial.windows.get(id(step.output), WHOLE)
    return Split(walk.image, step.output, head_of(step.output, logits), step.path, logits, fault, tail, window)


def split_at(classifier: keras.Model, layer: str | None = None) -> tuple:
    """Split a classifier into ``(image, features, head)``: input tensor, a layer's output tensor, and the rest as a model.

    :param classifier: a built functional or sequential Keras model with one input and one output, whatever lies nested in it. A
        softmax that ends it is left out of the head.
    :param layer: the layer's name, or ``sub-model/layer`` where two have one name. None for the last map that is neither pooling
        nor dropout nor within a branch, and that follows a bright square in the picture.
    :return: symbolic input, symbolic features ``(None, h, w, C)``, and a model from the features to the logits.
    :raises ValueError: where the model can't be taken apart, the layer gives no map that all paths pass, or outputs are no logits.
    """
    return split_classifier(classifier, layer)[:3]
