"""Pixel scalings of pretrained backbones, and their weights from files."""

from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers


def _unit(image):
    return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)


def _mean_bgr(mean):
    def scale(image):
        flipped = image[..., ::-1]
        return layers.Normalization(mean=mean, variance=[1.0, 1.0, 1.0], name="scale", dtype="float32")(flipped)

    return scale


SCALINGS = {
    "unit": _unit,
    "imagenet": _mean_bgr([103.939, 116.779, 123.68]),
    "vggface": _mean_bgr([93.5940, 104.7624, 129.1863]),
}
"""How RGB pixels in 0..255 become a backbone's input: ``unit`` maps them to [-1, 1]; ``imagenet`` and ``vggface`` reverse the
channels to BGR and subtract the mean colour of ImageNet (Caffe's numbers, as Keras's VGG16 and ResNet50 expect) or of VGG-Face."""


def _layers_of(file):
    """``{layer name: [arrays]}`` of a Keras ``.h5`` file, whole model or weights only, in the order they were saved."""
    group = file.get("model_weights", file)
    names = group.attrs.get("layer_names")
    names = list(group) if names is None else [name.decode() if isinstance(name, bytes) else name for name in names]
    found = {}
    for name in names:
        arrays = group[name].attrs.get("weight_names")
        if arrays is None:
            continue
        found[name] = [np.asarray(group[name][weight.decode() if isinstance(weight, bytes) else weight]) for weight in arrays]
    return {name: arrays for name, arrays in found.items() if arrays}


def _keras_names(names):
    """VGG-Face's layer names (``conv1_1``) as Keras's (``block1_conv1``); other names as they are."""
    return {
        f"block{name[4]}_conv{name[6]}" if len(name) == 7 and name.startswith("conv") and name[5] == "_" else name: name
        for name in names
    }


def load_backbone_weights(backbone, path):
    """Load a file into a backbone's layers, by name.

    Reads Keras's ``.weights.h5`` and ``.keras``, and the older ``.h5`` layout (whole models or weights only) with Keras's or
    VGG-Face's layer names. Layers of the file that the backbone lacks, such as a dense top, are left out.

    :param backbone: a Keras model.
    :param path: the file.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where a layer of the backbone is missing in the file, or has another shape there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}: give None, imagenet, or the path of an .h5 or .keras file")
    if path.suffix == ".keras":
        return _copy(backbone, _layers_of_model(keras.models.load_model(path, compile=False)), path)
    try:
        with h5py.File(path) as file:
            arrays = _layers_of(file)
    except OSError:
        raise ValueError(f"weights file {path} is no HDF5 file: give an .h5 or .keras file that Keras wrote") from None
    if arrays:
        return _copy(backbone, arrays, path)
    try:
        backbone.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"weights of {path} do not fit {backbone.name}: {reason}") from None


def _layers_of_model(model):
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= _layers_of_model(layer)
        elif layer.weights:
            found[layer.name] = layer.get_weights()
    return found


def _copy(backbone, arrays, path):
    names = _keras_names(arrays)
    for layer in backbone.layers:
        if not layer.weights:
            continue
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if layer.name not in names:
            raise ValueError(
                f"weights file {path} has no layer {layer.name} of {backbone.name}: it has {', '.join(list(arrays)[:6])}, ..."
            )
        given = arrays[names[layer.name]]
        if [array.shape for array in given] != wanted:
            raise ValueError(
                f"layer {layer.name} of weights file {path} has shapes {[array.shape for array in given]}: "
                f"{backbone.name} needs {wanted}"
            )
        layer.set_weights(given)
