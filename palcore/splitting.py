"""Splitting a Keras classifier at one of its layers, whatever the way it was put together."""

import keras

CARRIERS = ("Pooling", "Dropout", "ZeroPadding", "Cropping", "InputLayer", "Reshape", "Permute", "UpSampling")
"""Layers that are passed over when the last convolutional map is looked for: they learn nothing of their own."""


@keras.saving.register_keras_serializable("palcore")
class WithoutSoftmax(keras.layers.Layer):
    """A layer with its softmax activation left out: the same weights, logits instead of probabilities.

    :param layer: a Keras layer with an ``activation`` attribute, such as the ``Dense`` layer that ends a classifier.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape):
        self.built = True

    def call(self, inputs):
        activation = self.layer.activation
        self.layer.activation = keras.activations.linear
        try:
            return self.layer(inputs)
        finally:
            self.layer.activation = activation

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.layer.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["layer"] = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**config)


def _is_nested(operation):
    return isinstance(operation, keras.Sequential) or (isinstance(operation, keras.Model) and hasattr(operation, "operations"))


def _unnest(model, inputs, record):
    """Apply a functional model's layers to ``inputs`` one by one, nested models too, sharing every layer.

    ``record`` gets ``(operation, first input, output)`` in the order of application.
    """

    def apply(operation, *args, **kwargs):
        if _is_nested(operation):
            return _unnest(operation, args[0], record)
        outputs = operation(*args, **kwargs)
        record.append((operation, args[0] if args else None, outputs))
        return outputs

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            inputs = apply(layer, inputs)
        return inputs
    # Wrapped once more, so that neither a list of inputs (older files) nor a compiled loss is carried along.
    plain = keras.Model(model.inputs[0], model.outputs[0])
    return keras.models.clone_model(plain, input_tensors=inputs, clone_function=lambda layer: layer, call_function=apply).outputs[0]


def _is_map(tensor):
    shape = getattr(tensor, "shape", ())
    return len(shape) == 4 and None not in shape[1:] and shape[1] * shape[2] > 1


def _cut_softmax(record, logits):
    """The logits in front of a final softmax, where there is one."""
    operation, inputs, outputs = record[-1]
    if outputs is not logits:
        return logits
    kind = type(operation).__name__
    if kind == "Softmax":
        return inputs
    if getattr(operation, "activation", None) is keras.activations.softmax:
        if isinstance(operation, keras.layers.Activation):
            return inputs
        return WithoutSoftmax(operation, name=f"{operation.name}_logits", dtype=operation.dtype_policy)(inputs)
    return logits


def _head(features, logits):
    """The model from ``features`` to ``logits``, or None where another path leads around ``features``."""
    try:
        return keras.Model(features, logits, name="head")
    except ValueError:
        return None


def split_at(classifier, layer=None):
    """Split a classifier into ``(image, features, head)``: input tensor, a layer's output tensor, and the rest as a model.

    :param classifier: a built functional or sequential Keras model with one input and one output.
    :param layer: the layer's name, or None for the last map that is neither pooling nor dropout nor within a branch.
    :return: symbolic input, symbolic features ``(None, h, w, C)``, and a model from the features to the logits.
    :raises ValueError: where the model is not functional, has several inputs or outputs, has no such layer, or other paths go
        around it.
    """
    if not _is_nested(classifier) or not classifier.built:
        raise ValueError(
            f"classifier {getattr(classifier, 'name', classifier)!r} cannot be split into layers: "
            "it must be a built functional or sequential Keras model"
        )
    if len(classifier.inputs) != 1 or len(classifier.outputs) != 1:
        raise ValueError(
            f"classifier {classifier.name!r} has {len(classifier.inputs)} inputs and {len(classifier.outputs)} outputs: "
            "it must have one image and one vector of scores"
        )
    given = classifier.inputs[0]
    image = keras.Input(batch_shape=given.shape, dtype=given.dtype, name="image")
    record = []
    logits = _unnest(classifier, image, record)
    logits = _cut_softmax(record, logits)
    maps = [(operation, outputs) for operation, _, outputs in record if _is_map(outputs)]
    names = ", ".join(dict.fromkeys(operation.name for operation, _ in maps))
    if layer is None:
        for operation, features in reversed(maps):
            if not any(kind in type(operation).__name__ for kind in CARRIERS):
                head = _head(features, logits)
                if head is not None:
                    return image, features, head
        raise ValueError(f"classifier {classifier.name!r} has no convolutional map to attribute among: {names or 'nothing'}")
    found = [features for operation, features in maps if operation.name == layer]
    if not found:
        raise ValueError(f"no layer {layer!r} with a map of features in {classifier.name!r}: choose from {names}")
    if len(found) > 1:
        raise ValueError(f"layer {layer!r} of {classifier.name!r} is applied {len(found)} times: choose one applied once")
    head = _head(found[0], logits)
    if head is None:
        raise ValueError(
            f"layer {layer!r} of {classifier.name!r} lies within a branch, and other paths go around it: "
            "choose a layer that all paths pass, such as the addition or activation that ends the block"
        )
    return image, found[0], head
