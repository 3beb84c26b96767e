"""dlib's face-recognition network, a ResNet that knows faces, as layers of Keras.

King, "High quality face recognition with deep metric learning", dlib 19.3, 2017: 29 convolutions (He et al., 2016), trained to
tell people apart. The weights are in the public domain, and in the package ``face-recognition-models`` of the extra ``landmarks``.
Behind each convolution lies an affine layer, the trained normalisation; it is folded into the convolution here, which computes the
same: ``results/check/face_resnet.json`` has how far its descriptors are from dlib's own.
"""

import os
import re
from pathlib import Path

import keras
import numpy as np
from keras import layers

from palcore.weights import packaged_file

LEVELS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels and blocks of each level, and whether its first block halves the map."""

FEATURES = 3  # levels that ``palcore.models.build_classifier`` takes: 6 x 6 cells at 112 pixels; the fourth would leave 3 x 3
WEIGHTS = "models/dlib_face_recognition_resnet_model_v1.dat"  # in the package ``face-recognition-models``
LAYER = re.compile(rb"con_4|affine_|fc_2")


def face_resnet(scaled: keras.KerasTensor, levels: int = FEATURES) -> keras.KerasTensor:
    """The network's features ``(N, rows, columns, channels)`` behind some of ``LEVELS``, as Keras tensors.

    :param scaled: Keras tensor ``(N, h, w, 3)``, scaled as ``palcore.weights.SCALINGS["dlib"]`` does.
    """
    features = layers.Conv2D(32, 7, strides=2, activation="relu", name="stem_conv")(scaled)
    features = layers.MaxPooling2D(3, strides=2, name="stem_pool")(features)
    for level, (channels, blocks, halves) in enumerate(LEVELS[:levels], start=1):
        for block in range(1, blocks + 1):
            features = _block(features, channels, halves and block == 1, f"level{level}_block{block}")
    return features


def _block(features, channels, halves, name):
    """Two convolutions beside a way round them; where the map is halved, the shorter of the two is filled with zeros."""
    strides, padding = (2, "valid") if halves else (1, "same")
    inner = layers.Conv2D(channels, 3, strides, padding, activation="relu", name=f"{name}_conv1")(features)
    inner = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv2")(inner)
    around = layers.AveragePooling2D(2, name=f"{name}_around")(features) if halves else features
    if around.shape[-1] < channels:  # always by as many
        nothing = layers.Rescaling(0.0, name=f"{name}_nothing")(around)
        around = layers.Concatenate(name=f"{name}_wider")([around, nothing])
    rows, columns = (max(inner.shape[axis], around.shape[axis]) for axis in (1, 2))
    inner, around = (_filled(part, rows, columns, f"{name}_{word}") for part, word in ((inner, "inner"), (around, "outer")))
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([inner, around]))


def _filled(features, rows, columns, name):
    missing = ((0, rows - features.shape[1]), (0, columns - features.shape[2]))
    return layers.ZeroPadding2D(missing, name=f"{name}_fill")(features) if missing != ((0, 0), (0, 0)) else features


def read_weights(path: str | Path) -> tuple[list, np.ndarray]:
    """Kernels and biases of dlib's file, in the order of the layers, the affine layers folded in.

    dlib writes a layer's name, then its weights as one tensor: a version, four sizes, and float32 values.

    :return: ``[(kernel (h, w, in, out), bias (out,)), ...]`` of 29 convolutions, and the last layer's matrix ``(256, 128)``.
    :raises ValueError: where the file is none of this network.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path}: give None, dlib, or the path of {Path(WEIGHTS).name}")
    data, place, tensors = path.read_bytes(), 0, []
    try:
        while match := LAYER.search(data, place):
            before = 2 if match.group() == b"fc_2" else 0  # outputs and inputs
            place, numbers = _integers(data, match.end(), before + 5)
            sizes = numbers[before + 1 :]
            count = int(np.prod(sizes))
            tensors.append((match.group(), np.frombuffer(data, "<f4", count, place)))
            place += 4 * count
        kinds = [kind for kind, _ in tensors]
        if kinds != [b"con_4", b"affine_"] * 29 + [b"fc_2"]:
            raise ValueError(f"{len(kinds)} layers")
        pairs = [(tensors[row][1], tensors[row + 1][1]) for row in range(0, 58, 2)]
        return [_folded(*pair, 3 if row else 7) for row, pair in enumerate(pairs)], tensors[-1][1].reshape(256, 128)
    except (ValueError, IndexError) as problem:
        raise ValueError(
            f"weights file {path} is not dlib's face-recognition network ({problem}): give {Path(WEIGHTS).name}"
        ) from None


def _integers(data, place, count):
    """Some of dlib's integers, and where they end: each has a byte that says how many bytes follow, lowest first."""
    values = []
    for _ in range(count):
        length = data[place] & 15
        values.append(int.from_bytes(data[place + 1 : place + 1 + length], "little"))
        place += 1 + length
    return place, values


def _folded(convolution, affine, window):
    """Kernel and bias of a convolution and the affine layer behind it: ``gamma (w x + b) + beta``."""
    gamma, beta = np.split(affine, 2)
    kernel, bias = np.split(convolution, [len(convolution) - len(gamma)])
    kernel = kernel.reshape(len(gamma), -1, window, window) * gamma[:, None, None, None]
    return kernel.transpose(2, 3, 1, 0), gamma * bias + beta


def load_face_resnet(model: keras.Model, path: str | Path) -> np.ndarray:
    """Load dlib's weights into a model's convolutions of ``face_resnet``, in their order; errors as ``read_weights``.

    :param path: of dlib's file; ``"dlib"`` for that of the package.
    :return: the last layer's matrix, see ``read_weights``.
    """
    if path == "dlib":
        path = packaged_file("face_recognition_models", WEIGHTS)
    convolutions, matrix = read_weights(path)
    targets = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    for layer, weights in zip(targets, convolutions, strict=False):
        layer.set_weights(weights)
    return matrix
