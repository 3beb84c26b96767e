"""Splitting a Keras classifier at one of its layers, whatever the way it was put together.

Its operations are applied once more, one by one and in their order, to an image of our own; sub-models are looked into, and every
layer is shared. Keras's ``clone_model`` would not do: it copies the graph where a sub-model's input is another layer's output.
"""

import inspect
from dataclasses import dataclass

import keras

from palcore.logits import logits_of

PASSED_OVER = (
    *("Pooling", "Dropout", "Padding", "Cropping", "InputLayer", "Reshape", "Permute", "UpSampling"),
    *("Resizing", "Rescaling", "Random", "CenterCrop"),
)
"""Layers that are passed over when the last convolutional map is looked for: they learn nothing of their own."""

REARRANGING = ("Permute", "Transpose", "Moveaxis", "Swapaxes", "Einsum", "Matmul", "Dot", "Tensordot", "Attention")
"""Operations behind which axes of a picture's sizes need not be its height and width: attention heads and their weights."""

RESHAPING = ("Reshape", "Stack", "Squeeze", "ExpandDims")
"""Operations that keep a picture where they keep its sizes: tokens made from a map and put together again are none."""


def tensors_of(structure):
    """The symbolic tensors in any nested structure, in order."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation, applied once: its path ``sub-model/layer``, what went in, and what came out (symbolic)."""

    operation: object
    path: str
    args: tuple
    kwargs: dict
    output: object

    @property
    def inputs(self):
        return tensors_of((self.args, self.kwargs))

    @property
    def kind(self):
        return type(self.operation).__name__

    @property
    def has_weights(self):
        return bool(getattr(self.operation, "weights", ())) and self.kind != "Normalization"

    def run(self, values, **kwargs):
        """Apply the operation to ``values``, one for each of ``inputs``."""
        found = {id(tensor): value for tensor, value in zip(self.inputs, values, strict=True)}
        args, given = keras.tree.map_structure(lambda leaf: found.get(id(leaf), leaf), (self.args, self.kwargs))
        return self.operation(*args, **{**given, **kwargs})


@dataclass(frozen=True)
class Split:
    """A classifier in two: ``image`` to ``features`` by the steps ``front``, and on to the logits by ``head``'s ``tail``."""

    image: object
    features: object
    head: object
    step: Step
    front: list
    tail: list


def _is_nested(operation):
    # A subclass with a `call` of its own runs that, whatever its graph says.
    own = type(operation).call.__qualname__ in ("Functional.call", "Sequential.call") if hasattr(operation, "call") else False
    return own and getattr(operation, "inputs", None) is not None


def takes_training(operation):
    """Whether an operation is a layer that is called with ``training``."""
    return isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters


class _Walk:
    """Applies a classifier's operations to ``image`` and notes the ``steps``."""

    def __init__(self, classifier):
        given = classifier.inputs[0]
        self.names = {given.name: None, "attribution_head": None}
        self.steps = []
        self.image = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
        self.output = self._walk(classifier, [self.image])[0]

    def _free(self, name):
        while name in self.names:
            name += "_again"
        self.names[name] = None
        return name

    def _fit(self, model, given):
        """Inputs of a sub-model as the flat list that its graph starts from, in its dtypes, as Keras does on a call."""
        names = [tensor.name for tensor in model.inputs]
        by_name = isinstance(given, dict) and set(names) <= set(given)
        flat = [given[name] for name in names] if by_name else tensors_of(given)
        for number, (tensor, wanted) in enumerate(zip(flat, model.inputs, strict=True)):
            if tensor.dtype != wanted.dtype:
                cast = keras.layers.Rescaling(1.0, dtype=wanted.dtype, name=self._free(f"{model.name}_cast"))
                flat[number] = cast(tensor)
                self.steps.append(Step(cast, cast.name, (tensor,), {}, flat[number]))
        return flat

    def _walk(self, model, given, prefix="", training=None):
        # Made anew, so that a sequential model, a list of inputs (older files) and a compiled loss are no special cases.
        plain = keras.Model(model.inputs, model.outputs)

        def apply(operation, *args, **kwargs):
            if training is not None and kwargs.get("training") is None and takes_training(operation):
                kwargs["training"] = training
            path = prefix + operation.name
            if _is_nested(operation):
                return self._walk(operation, args[0] if args else kwargs["inputs"], f"{path}/", kwargs.get("training"))
            if self.names.setdefault(operation.name, operation) is operation:
                output = operation(*args, **kwargs)
            else:
                output = _enclosed(operation, args, kwargs, self._free(path.replace("/", "_")))
            self.steps.append(Step(operation, path, args, kwargs, output))
            return output

        return keras.tree.flatten(plain._run_through_graph(self._fit(model, given), call_fn=apply))


def _enclosed(operation, args, kwargs, name):
    """Apply an operation in a model of its own, where another one has its name already."""
    given = tensors_of((args, kwargs))
    inner = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in given]
    found = {id(tensor): value for tensor, value in zip(given, inner, strict=True)}
    args, kwargs = keras.tree.map_structure(lambda leaf: found.get(id(leaf), leaf), (args, kwargs))
    return keras.Model(inner, operation(*args, **kwargs), name=name)(given)


def _behind(tensor, producers):
    """The steps that a tensor is computed by, in the order of application."""
    found, waiting = {}, [tensor]
    while waiting:
        step = producers.get(id(waiting.pop()))
        if step is not None and id(step) not in found:
            found[id(step)] = step
            waiting += step.inputs
    return [step for step in dict.fromkeys(producers.values()) if id(step) in found]


def _pictures(image, steps):
    """Ids of the tensors whose second and third axis are the picture's height and width, as far as can be told."""
    found = {id(image)}
    for step in steps:
        wide = [tensor for tensor in step.inputs if len(tensor.shape) > 2 and tuple(tensor.shape[1:3]) != (1, 1)]
        if not wide or not all(id(tensor) in found for tensor in wide) or not isinstance(step.output, keras.KerasTensor):
            continue
        shape, kept = step.output.shape, all(tuple(tensor.shape[1:3]) == tuple(step.output.shape[1:3]) for tensor in wide)
        reshaped = len(shape) != 4 or any(word in step.kind for word in RESHAPING)
        joins_sides = step.kind == "Concatenate" and getattr(step.operation, "axis", -1) not in (-1, 3)
        if not joins_sides and not any(word in step.kind for word in REARRANGING) and (kept or not reshaped):
            found.add(id(step.output))
    return found


def _is_channels_first(step, producers):
    """Whether the nearest operation behind that knows says so."""
    waiting = [step]
    while waiting:
        step = waiting.pop(0)
        if step is None or step.kind in ("Permute", "Transpose"):
            continue
        known = getattr(step.operation, "data_format", None)
        if known is not None:
            return known == "channels_first"
        waiting += [producers.get(id(tensor)) for tensor in step.inputs]
    return False


def _head(features, logits):
    """The model from ``features`` to ``logits``, or None where another path leads around ``features``."""
    try:
        return keras.Model(features, logits, name="head")
    except ValueError:
        return None


def _named(classifier, layer, maps):
    found = [step for step in maps if step.path == layer] or [step for step in maps if step.operation.name == layer]
    if not found:
        names = ", ".join(dict.fromkeys(step.path for step in maps)) or "nothing"
        raise ValueError(f"no layer {layer!r} with a map of features in {classifier.name!r}: choose from {names}")
    if len({step.operation for step in found}) > 1:
        paths = ", ".join(dict.fromkeys(step.path for step in found))
        raise ValueError(f"layer {layer!r} of {classifier.name!r} is the name of {len(found)} layers: choose from {paths}")
    if len(found) > 1:
        raise ValueError(f"layer {layer!r} of {classifier.name!r} is applied {len(found)} times: choose one applied once")
    return found[0]


def _refuse_map(classifier, step, producers):
    """Say why a step's output is no map to attribute, if it is none."""
    shape = tuple(step.output.shape[1:])
    if None in shape:
        raise ValueError(
            f"layer {step.path!r} of {classifier.name!r} has a map of open size {shape}: build the classifier with a fixed size "
            f"of image, such as (96, 96, 3), in place of {tuple(classifier.inputs[0].shape[1:])}"
        )
    if _is_channels_first(step, producers):
        raise ValueError(
            f"layer {step.path!r} of {classifier.name!r} has its channels first, {shape}: build the classifier with "
            "data_format='channels_last' (the weights stay the same)"
        )


def _choose(classifier, walk, maps, producers):
    """The last map that all paths pass, that something was learnt for, and that is surely a picture."""
    pictures = _pictures(walk.image, walk.steps)
    for step in reversed(maps):
        if id(step.output) not in pictures or any(word in step.kind for word in PASSED_OVER):
            continue
        learnt = any(before.has_weights for before in _behind(step.output, producers))
        if learnt and _head(step.output, walk.output) is not None:
            _refuse_map(classifier, step, producers)
            return step
    names = ", ".join(dict.fromkeys(step.path for step in maps)) or "nothing"
    raise ValueError(
        f"classifier {classifier.name!r} has no convolutional map to attribute among {names}, that all paths pass and that "
        "is surely a picture: name a layer"
    )


def split_classifier(classifier, layer=None):
    """Like ``split_at``, with all that was found out on the way: a ``Split``."""
    if not _is_nested(classifier) or not classifier.built:
        raise ValueError(
            f"classifier {getattr(classifier, 'name', classifier)!r} cannot be split into layers: "
            "it must be a built functional or sequential Keras model"
        )
    if len(classifier.inputs) != 1 or len(classifier.outputs) != 1 or len(classifier.outputs[0].shape) != 2:
        raise ValueError(
            f"classifier {classifier.name!r} has {len(classifier.inputs)} inputs and {len(classifier.outputs)} outputs, the first "
            f"of shape {tuple(classifier.outputs[0].shape)}: it must have one image and one vector of scores"
        )
    walk = _Walk(classifier)
    producers = {id(tensor): step for step in walk.steps for tensor in tensors_of(step.output)}
    single = [step for step in walk.steps if isinstance(step.output, keras.KerasTensor)]
    maps = [step for step in single if len(step.output.shape) == 4 and step.output.shape[1:3] != (1, 1)]
    if layer is None:
        step = _choose(classifier, walk, maps, producers)
    else:
        step = _named(classifier, layer, maps)
        _refuse_map(classifier, step, producers)
    head = _head(step.output, walk.output)
    if head is None:
        raise ValueError(
            f"layer {layer!r} of {classifier.name!r} lies within a branch, and other paths go around it: "
            "choose a layer that all paths pass, such as the addition or activation that ends the block"
        )
    logits = logits_of(classifier.name, walk.output, producers, head)
    if logits is not walk.output:
        head = _head(step.output, logits)
    front = _behind(step.output, producers)
    tail = [later for later in _behind(walk.output, producers) if later not in front]
    return Split(walk.image, step.output, head, step, front, tail)


def split_at(classifier, layer=None):
    """Split a classifier into ``(image, features, head)``: input tensor, a layer's output tensor, and the rest as a model.

    Layers are shared, and keep their names; of two with one name (in two sub-models) the second lies in a model of its own.

    :param classifier: a built functional or sequential Keras model with one input and one output, whatever lies nested in it. An
        ending in softmax is left out of the head; of an average of several, the head returns the logarithm.
    :param layer: the layer's name, or ``sub-model/layer`` where two have one name. None for the last map that is neither pooling
        nor dropout nor within a branch, and whose axes come from the picture without being rearranged.
    :return: symbolic input, symbolic features ``(None, h, w, C)``, and a model from the features to the logits.
    :raises ValueError: where the model is not functional, has several inputs or outputs, has no such layer, other paths go
        around it, its map has an open size or its channels first, or its outputs are no logits.
    """
    split = split_classifier(classifier, layer)
    return split.image, split.features, split.head
