"""A Keras classifier as the list of its operations, sub-models looked into.

They are applied once more, one by one and in their order, to an image of our own; every layer is shared. Keras's ``clone_model``
would not do: it copies the graph where a sub-model's input is another layer's output.
"""

import inspect
from dataclasses import dataclass

import keras


def tensors_of(structure) -> list[keras.KerasTensor]:
    """The symbolic tensors in any nested structure, in order."""
    return [leaf for leaf in keras.tree.flatten(structure) if isinstance(leaf, keras.KerasTensor)]


@dataclass(eq=False)
class Step:
    """One operation, applied once: its path ``sub-model/layer``, what went in, and what came out (symbolic)."""

    operation: object
    path: str
    args: tuple
    kwargs: dict
    output: object = None

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        return tensors_of((self.args, self.kwargs))

    @property
    def kind(self) -> str:
        return type(self.operation).__name__

    def run(self, values, training=None):
        """Apply the operation to ``values``, one for each of ``inputs``; ``training`` for layers that are called with it."""
        given = {id(tensor): value for tensor, value in zip(self.inputs, values, strict=True)}
        args, named = keras.tree.map_structure(lambda leaf: given.get(id(leaf), leaf), (self.args, self.kwargs))
        if training is not None and _takes_training(self.operation):
            named["training"] = training
        return self.operation(*args, **named)


def is_graph(operation) -> bool:
    """Whether an operation is a built functional or sequential model; a subclass with a ``call`` of its own runs that instead."""
    call = getattr(type(operation), "call", None)
    return getattr(call, "__qualname__", "") in ("Functional.call", "Sequential.call") and operation.built


def _takes_training(operation) -> bool:
    return isinstance(operation, keras.Layer) and "training" in inspect.signature(operation.call).parameters


def head_of(features, logits) -> keras.Model | None:
    """The model from ``features`` to ``logits``, or None where another path leads around ``features``."""
    try:
        return keras.Model(features, logits, name="head")
    except ValueError:
        return None


class Walk:
    """The operations of a built functional or sequential model, applied anew: ``image``, ``steps`` and ``output``.

    :raises ValueError: where a sub-model has several inputs.
    """

    def __init__(self, classifier: keras.Model):
        given = classifier.inputs[0]
        self.operations, self.steps = {given.name: None, "attribution_head": None}, []
        self.image = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
        self.output = self._walk(classifier, self.image)[0]

    def _apply(self, operation, path, args, kwargs):
        step = Step(operation, path, args, kwargs)
        if self.operations.setdefault(operation.name, operation) is operation:
            step.output = operation(*args, **kwargs)
        else:  # two layers of one name, in two sub-models: the second lies in a model of its own
            inner = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in step.inputs]
            name = f"{path.replace('/', '_')}_{len(self.steps)}"
            step.output = keras.Model(inner, step.run(inner), name=name)(step.inputs)
        self.steps.append(step)
        return step.output

    def _walk(self, model, given, prefix="", training=None):
        if len(model.inputs) != 1 or isinstance(given, dict):
            raise ValueError(f"sub-model {model.name!r} has {len(model.inputs)} inputs: its parts must have one")
        [tensor], wanted = tensors_of(given), model.inputs[0].dtype
        if tensor.dtype != wanted:  # as Keras casts what a model is called with
            cast = keras.layers.Rescaling(1.0, dtype=wanted, name=f"{model.name}_cast")
            tensor = self._apply(cast, cast.name, (tensor,), {})

        def apply(operation, *args, **kwargs):
            if training is not None and kwargs.get("training") is None and _takes_training(operation):
                kwargs["training"] = training
            if is_graph(operation):
                inputs = args[0] if args else kwargs["inputs"]
                return self._walk(operation, inputs, f"{prefix}{operation.name}/", kwargs.get("training"))
            return self._apply(operation, prefix + operation.name, args, kwargs)

        # Made anew, so that a sequential model, a list of inputs (older files) and a compiled loss are no special cases.
        plain = keras.Model(model.inputs, model.outputs)
        return keras.tree.flatten(plain._run_through_graph([tensor], call_fn=apply))
