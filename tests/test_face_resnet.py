import json

import keras
import numpy as np
import pytest
from keras import ops

from palcore.face_resnet import FEATURES, LEVELS, face_resnet, load_face_resnet, read_weights
from palcore.models import build_classifier
from palcore.runs.records import repository_root


def integer(value):
    """As dlib writes it."""
    data = value.to_bytes((value.bit_length() + 7) // 8, "little")
    return bytes([len(data)]) + data


def tensor(values):
    return b"".join(map(integer, (2, values.size, 1, 1, 1))) + values.astype("<f4").tobytes()


def channels():
    """`(in, out, window)` of the 29 convolutions."""
    found, before = [(3, 32, 7)], 32
    for count, blocks, _ in LEVELS:
        for _ in range(blocks):
            found += [(before, count, 3), (count, count, 3)]
            before = count
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file in dlib's form, and what was put into it: kernels `(out, in, h, w)`, biases, gammas, betas, and the matrix."""
    rng, layers, data = np.random.default_rng(3), [], b"\x01\x01\x01\x0dloss_metric_2"
    for before, count, window in channels():
        kernel = rng.normal(0, (before * window**2) ** -0.5, (count, before, window, window))
        bias, gamma, beta = rng.normal(size=(3, count))
        layers.append((kernel, bias, gamma, beta))
        data += b"\x01\x05con_4" + tensor(np.concatenate([kernel.ravel(), bias])) + integer(count)
        data += b"\x01\x07affine_" + tensor(np.concatenate([gamma, beta])) + b"\x01\x06relu_1"
    matrix = rng.normal(size=(256, 128))
    data += b"\x01\x04fc_2" + integer(128) + integer(256) + tensor(matrix.ravel())
    path = tmp_path_factory.mktemp("dlib") / "network.dat"
    path.write_bytes(data)
    return path, layers, matrix


def test_the_file_is_read_and_each_affine_layer_is_folded_into_its_convolution(written):
    path, layers, matrix = written
    convolutions, last = read_weights(path)
    assert len(convolutions) == 29 == len(layers)
    np.testing.assert_allclose(last, matrix, rtol=1e-6)
    picture = np.random.default_rng(1).normal(size=(2, 9, 9, 64)).astype(np.float32)
    row = next(row for row, (before, count, _) in enumerate(channels()) if before == 64 and count == 128)
    kernel, bias, gamma, beta = (part.astype(np.float32) for part in layers[row])
    apart = gamma * (ops.conv(picture, kernel.transpose(2, 3, 1, 0), padding="same") + bias) + beta
    together = ops.conv(picture, convolutions[row][0], padding="same") + convolutions[row][1]
    np.testing.assert_allclose(together, apart, rtol=1e-3, atol=1e-4)


def test_weights_go_to_the_layers_of_their_shape(written):
    path, _, _ = written
    classifier = build_classifier("face_resnet", 48, path, units=8)
    convolutions, _ = read_weights(path)
    own = [layer for layer in classifier.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(own) == 1 + 2 * sum(blocks for _, blocks, _ in LEVELS[:FEATURES])
    for layer, (kernel, bias) in zip(own, convolutions, strict=False):
        np.testing.assert_array_equal(layer.kernel, kernel)
        np.testing.assert_array_equal(layer.bias, bias)
    image = keras.Input((150, 150, 3))
    whole = keras.Model(image, face_resnet(image, len(LEVELS)))
    assert load_face_resnet(whole, path).shape == (256, 128)
    # As the sizes of dlib's own maps follow from its windows and strides.
    assert whole.output_shape == (None, 2, 2, 256)


def test_where_a_map_is_halved_the_way_round_is_a_mean_filled_with_zeros():
    """With all kernels 0, a block passes on what goes round it: at 20 x 20 cells, means of four, then channels and cells of 0."""
    image = keras.Input((47, 47, 3))
    model = keras.Model(image, face_resnet(image, 2))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.name != "stem_conv":
            layer.set_weights([np.zeros(weight.shape) for weight in layer.weights])
    stem = keras.Model(model.input, model.get_layer("stem_pool").output)
    picture = np.random.default_rng(0).normal(size=(1, 47, 47, 3)).astype(np.float32)
    found, before = np.asarray(model(picture)), np.asarray(stem(picture))
    assert before.shape == (1, 10, 10, 32) and found.shape == (1, 5, 5, 64)
    np.testing.assert_allclose(found[..., :32], before.reshape(1, 5, 2, 5, 2, 32).mean(axis=(2, 4)), rtol=1e-5)
    assert not found[..., 32:].any()


def test_other_files_are_refused_by_name(written, tmp_path):
    path, _, _ = written
    other = tmp_path / "other.dat"
    sentence = "is not dlib's face-recognition network .*: give dlib_face_recognition_resnet_model_v1.dat"
    for content in (b"", path.read_bytes()[:100_000], path.read_bytes()[:-600]):
        other.write_bytes(content)
        with pytest.raises(ValueError, match=sentence):
            read_weights(other)
    with pytest.raises(FileNotFoundError, match="no weights file .*missing.dat: give None, dlib, or the path of dlib_face"):
        build_classifier("face_resnet", 48, tmp_path / "missing.dat")


def test_real_faces_get_the_descriptors_of_dlib_itself():
    record = json.loads((repository_root() / "results" / "check" / "face_resnet.json").read_text())
    assert record["faces"] >= 50 and record["largest_difference"] < 1e-3 < record["mean_size"]
