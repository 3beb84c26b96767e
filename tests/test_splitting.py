"""Classifiers put together in the ways that people do, split, and put together again."""

import functools

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy as convert

from palcore.models import with_attribution
from palcore.splitting import split_at, split_classifier

layers = keras.layers
SIZE = 12


def pictures(count=3, size=SIZE, seed=0):
    return np.random.default_rng(seed).uniform(0, 3, (count, size, size, 3)).astype(np.float32)


def image(*shape, **kwargs):
    return keras.Input(shape or (SIZE, SIZE, 3), **kwargs)


def backbone(size=SIZE, name="backbone", layer="deep", channels=3):
    given = image(size, size, channels)
    features = layers.Conv2D(4, 3, activation="relu", name=f"{layer}_first")(given)
    return keras.Model(given, layers.Conv2D(6, 3, activation="relu", name=layer)(features), name=name)


def top(features):
    return layers.Dense(5)(layers.Dense(8, activation="tanh")(layers.Flatten()(features)))


def below(inside, *shape, **kwargs):
    """A classifier that puts scores on what ``inside`` makes of an image."""
    given = image(*shape, **kwargs)
    return keras.Model(given, top(inside(given)))


def functional(before):
    return below(lambda x: backbone()(before(x)))


def top_model(shape=(8, 8, 6), name="top"):
    given = image(*shape)
    return keras.Model(given, top(given), name=name)


def saved(model, tmp_path):
    model.save(tmp_path / f"{model.name}.keras")
    return keras.models.load_model(tmp_path / f"{model.name}.keras")


def several_outputs(tmp_path):
    given, inner = image(), image()
    fine = layers.Conv2D(4, 3, activation="relu", name="fine")(inner)
    coarse = layers.Conv2D(4, 3, 2, activation="relu", name="coarse")(fine)
    levels = keras.Model(inner, {"z": fine, "a": coarse}, name="pyramid")(given)
    return keras.Model(given, layers.Dense(5)(layers.Concatenate()([layers.Flatten()(levels[key]) for key in ("z", "a")])))


def list_of_inputs(x):
    a, b = image(SIZE, SIZE, 4), image(SIZE, SIZE, 4)
    join = keras.Model([a, b], layers.Conv2D(4, 3, name="joined")(layers.Subtract()([a, b])), name="join")
    return join([layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)])


def equal_names(tmp_path):
    place = saved(backbone(layer="conv"), tmp_path)
    return below(lambda x: layers.Conv2D(4, 3, name="conv")(layers.Conv2D(3, 1, name="conv_first")(place(x / 2.0))))


def called_image(x):
    return layers.Conv2D(4, 3, name="image")(layers.Rescaling(1 / 2, name="attribution_head")(x))


def shared_layer(x):
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    return layers.Conv2D(4, 3, name="deep")(twice(twice(x)))


def shared_backbone(x):
    twice = backbone()
    return layers.Add(name="joined")([twice(x), twice(x / 2.0)])


FORMS = {
    "scaling": lambda _: functional(layers.Rescaling(1 / 2)),
    "division": lambda _: functional(lambda x: x / 3.0 - 1.0),
    "colours": lambda _: functional(keras.Sequential([layers.RandomContrast(0.1), layers.Rescaling(1 / 2)])),
    "caffe": lambda _: functional(lambda x: layers.Rescaling(0.01)(keras.applications.vgg16.preprocess_input(x))),
    "frozen": lambda _: below(lambda x: backbone()(layers.Rescaling(1 / 2)(x), training=False)),
    "keyword": lambda _: below(lambda x: backbone()(inputs=layers.Rescaling(1 / 2)(x))),
    "functional in sequential": lambda _: keras.Sequential([image(), layers.Rescaling(1 / 2), backbone(), top_model()]),
    "sequential in functional": lambda _: (
        lambda x: keras.Model(x, top_model()(keras.Sequential([layers.Rescaling(1 / 2), backbone()], name="first")(x)))
    )(image()),
    "three deep": lambda _: keras.Sequential(
        [image(), keras.Sequential([layers.Rescaling(1 / 2), keras.Sequential([backbone(), layers.ReLU()])]), top_model()]
    ),
    "several outputs": several_outputs,
    "equal names": equal_names,
    "called image": lambda _: below(called_image, name="x"),
    "whole numbers": lambda _: below(backbone(), dtype="uint8"),
    "shared layer": lambda _: below(shared_layer),
    "shared backbone": lambda _: below(shared_backbone),
}


@pytest.mark.parametrize("form", FORMS)
def test_front_and_head_are_the_classifier_again(form, tmp_path):
    """The logits, the weights, the names; and the training model survives saving."""
    keras.utils.set_random_seed(3)  # some draws of these few weights have dead units only
    classifier = FORMS[form](tmp_path)
    x = np.round(pictures())
    expected = convert(classifier(x, training=False))
    given, features, head = split_at(classifier)
    assert len(features.shape) == 4
    np.testing.assert_allclose(
        head(keras.Model(given, features)(x, training=False), training=False), expected, rtol=1e-4, atol=1e-4
    )
    model = with_attribution(classifier)
    outputs = model(x, training=False)
    np.testing.assert_allclose(convert(outputs["expression"]), expected, rtol=1e-4, atol=1e-4)
    maps = convert(outputs["attribution"])
    assert maps.shape == (3, *features.shape[1:3]) and np.ptp(maps, axis=(1, 2)).min() > 0
    assert {id(variable) for variable in model.variables} == {id(variable) for variable in classifier.variables}
    again = saved(model, tmp_path)
    np.testing.assert_allclose(convert(again(x, training=False)["attribution"]), maps, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False, None])
@pytest.mark.parametrize("baked", [True, False, None])
def test_the_training_flag_of_a_sub_model_means_what_it_means_in_the_classifier(training, baked):
    inner = image()
    normalised = layers.BatchNormalization(name="norm", momentum=0.5)(layers.Conv2D(4, 3, name="deep")(inner))
    sub = keras.Model(inner, normalised)
    classifier = below(lambda x: layers.Conv2D(4, 1)(sub(x) if baked is None else sub(x, training=baked)))
    weights = classifier.get_weights()
    flag = {} if training is None else {"training": training}
    expected = convert(classifier(pictures(), **flag))
    moved = convert(sub.get_layer("norm").moving_mean)
    classifier.set_weights(weights)
    outputs = with_attribution(classifier)(pictures(), **flag)
    np.testing.assert_allclose(outputs["expression"], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(convert(sub.get_layer("norm").moving_mean), moved, rtol=1e-4, atol=1e-4)


def test_of_two_layers_with_one_name_each_can_be_chosen(tmp_path):
    classifier = equal_names(tmp_path)
    assert split_at(classifier, "conv")[1].shape == (None, 6, 6, 4)
    assert split_at(classifier, "backbone/conv")[1].shape == (None, 8, 8, 6)
    first, second = backbone(name="a"), saved(backbone(size=8, name="b", channels=6), tmp_path)
    two = below(lambda x: second(first(x)))
    with pytest.raises(ValueError, match="layer 'deep' of .* is applied 2 times, as a/deep, b/deep"):
        split_at(two, "deep")
    assert split_at(two, "b/deep")[1].shape == (None, 4, 4, 6)


def vision_transformer(tokens_to_map=False, residual=True):
    """Patches, a token put in front, two blocks of attention; the scores of the class token or of a map of tokens."""
    given = image()
    patches = layers.Conv2D(8, 3, 3, name="patches")(given)
    tokens = layers.Reshape((16, 8))(patches)
    queries = keras.ops.transpose(keras.ops.reshape(layers.Dense(8)(tokens), (-1, 16, 2, 4)), (0, 2, 1, 3))
    weights = layers.Softmax(name="heads")(keras.ops.matmul(queries, keras.ops.transpose(queries, (0, 1, 3, 2))))
    mixed = keras.ops.reshape(keras.ops.transpose(keras.ops.matmul(weights, queries), (0, 2, 1, 3)), (-1, 16, 8))
    mixed = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(mixed, mixed))
    if tokens_to_map:
        tokens = layers.Add()([tokens, mixed]) if residual else mixed
        tokens = layers.ReLU(name="tokens")(layers.Reshape((4, 4, 8))(tokens))
    return keras.Model(given, top(tokens if tokens_to_map else mixed))


def rearranged(change):
    """A classifier whose last map is that of its backbone, moved."""
    return below(lambda x: layers.ReLU(name="mixed")(change(backbone()(x))))


def gated(squeeze, join=layers.Multiply):
    """A classifier whose last map is weighted, channel by channel, by what was learnt from all of it."""
    given = image()
    deep = layers.Conv2D(8, 3, activation="relu", name="deep")(layers.Rescaling(1 / 2)(given))
    gate = layers.Dense(8, activation="sigmoid")(squeeze(deep))
    return keras.Model(given, top(layers.Dropout(0.1)(layers.AveragePooling2D(2)(join(name="gated")([deep, gate])))))


def one_cell():
    squeezed = layers.Conv2D(8, 1, name="squeezed")
    return below(lambda x: squeezed(layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(8, 3, name="deep")(x))))


by_hand = functools.partial(layers.Lambda, lambda pair: pair[0] * pair[1][:, None, None])
DEFAULTS = {
    "patches": (vision_transformer, "patches"),
    "tokens in their order": (lambda: vision_transformer(True), "tokens"),
    "tokens that keep nothing of their place": (lambda: vision_transformer(True, residual=False), "patches"),
    "a map turned over": (lambda: rearranged(layers.Permute((2, 1, 3))), "backbone/deep"),
    "a map mirrored": (lambda: rearranged(lambda x: ops.flip(x, 1)), "backbone/deep"),
    "a gate of one cell": (lambda: gated(layers.GlobalAveragePooling2D(keepdims=True)), "gated"),
    "a gate, reshaped": (lambda: gated(lambda x: layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))), "gated"),
    "a vector as gate": (lambda: gated(layers.GlobalAveragePooling2D(), by_hand), "gated"),
    "no plain convolution": (lambda: below(layers.SeparableConv2D(4, 3, name="apart")), "apart"),
    "a map of one cell": (one_cell, "deep"),
}


@pytest.mark.parametrize("form", DEFAULTS)
def test_the_default_is_the_last_map_of_the_picture_that_something_was_learnt_for(form):
    build, layer = DEFAULTS[form]
    assert split_classifier(build()).path == layer


def test_the_default_map_is_said_once_and_a_named_one_is_not(capsys):
    classifier = functional(layers.Rescaling(1 / 2))
    classifier.name = "mine"
    with_attribution(classifier, "deep")
    assert capsys.readouterr().out == ""
    for _ in range(2):
        assert with_attribution(classifier).attributed_layer == "backbone/deep"
    [said] = capsys.readouterr().out.splitlines()
    assert said.startswith("attribution of 'mine': layer 'backbone/deep', 8 x 8 cells, 6 channels")


def open_size(height=None, width=None):
    given = image(height, width, 3)
    return keras.Model(given, layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="deep")(given))))


def channels_first():
    given = image(3, SIZE, SIZE)
    features = layers.Conv2D(4, 3, data_format="channels_first", name="deep")(given)
    features = layers.ReLU(name="active")(layers.BatchNormalization(axis=1)(features))
    return keras.Model(given, top(features))


def own(method):
    given = image()
    kind = type("Own", (keras.Model,), {method: lambda self, *args, **kwargs: None})
    return kind(given, top(backbone()(given)))


def ending(end):
    """A classifier whose features go to outputs of another kind."""
    given = image()
    return keras.Model(given, end(backbone()(given)))


def two_streams(x):
    return layers.Concatenate(name="joined")([backbone(name=side)(x) for side in "ab"])


NOTHING_LEARNT = (lambda x: x / 2.0, layers.Rescaling(1 / 2), layers.Normalization(mean=1.0, variance=1.0), layers.ReLU())
LegacyModel = type("Sequential", (), {"__module__": "tf_keras.src.engine.sequential", "name": "old"})  # as one of Keras 2's looks
REFUSED = {
    r"layer 'deep' of .* has a map of open size .*: build .* with a fixed size .* in place of \(None, None, 3\)": (open_size, None),
    "layer 'deep' .* open size \\(None, 6, 4\\)": (lambda: open_size(width=8), "deep"),
    "layer 'deep' .* open size \\(6, None, 4\\)": (lambda: open_size(height=8), "deep"),
    "layer 'active' of .* has its channels first, .*: build .* with data_format='channels_last'": (channels_first, None),
    "layer 'deep' of .* has its channels first": (channels_first, "deep"),
    "cannot be split into layers: it must be a built functional or sequential": (lambda: own("call"), None),
    "cannot be split into layers": (lambda: keras.Sequential([layers.Conv2D(3, 3), layers.Dense(2)]), None),
    "has a train_step of its own": (lambda: own("train_step"), None),
    "has a compute_loss of its own": (lambda: own("compute_loss"), None),
    "'old' is a model of Keras 2": (LegacyModel, None),
    "has 1 inputs and 2 outputs": (lambda: ending(lambda x: [top(x), top(x)]), None),
    r"takes inputs of shape \(None, 48, 48\): it must take pictures": (
        lambda: keras.Sequential([keras.Input((48, 48)), layers.Flatten(), layers.Dense(3)]),
        None,
    ),
    r"the first of shape \(None, 8, 8, 5\): .* one vector of scores": (lambda: ending(layers.Conv2D(5, 1)), None),
    r"the first of shape \(None,\): .* one vector of scores": (lambda: ending(lambda x: ops.mean(top(x), axis=-1)), None),
    "layer 'twice' of .* is applied 2 times, as twice: choose one applied once": (lambda: below(shared_layer), "twice"),
    "layer 'a/deep' of .* lies within a branch, and other paths go around it": (lambda: below(two_streams), "a/deep"),
    "sub-model 'join' has 2 inputs: its parts must have one": (lambda: below(list_of_inputs), None),
    "no layer 'missing' with a map .*: choose from .*, backbone/deep": (lambda: functional(layers.ReLU()), "missing"),
    "no layer 'squeezed' with a map .*: choose from deep$": (one_cell, "squeezed"),
    "layer 'tokens' of .* is no map of the picture": (lambda: vision_transformer(True, residual=False), "tokens"),
    "has no map that all paths pass and something was learnt for": (
        lambda: below(lambda x: functools.reduce(lambda x, layer: layer(x), NOTHING_LEARNT, x)),
        None,
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_attributed_is_refused_in_words(sentence):
    build, layer = REFUSED[sentence]
    with pytest.raises(ValueError, match=sentence):
        with_attribution(build(), layer)


def test_a_pretrained_network_behind_resizing_of_any_size_and_a_scaling_of_its_own():
    given = image(None, None, 3)
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(64, 64, 3), alpha=0.35)
    scaled = keras.applications.mobilenet_v2.preprocess_input(layers.Resizing(64, 64)(given))
    classifier = keras.Model(given, layers.Dense(5, activation="softmax")(layers.Flatten()(network(scaled, training=False))))
    model = with_attribution(classifier)
    assert model.attributed_layer == f"{network.name}/out_relu"
    outputs, x = model(pictures(size=24)), pictures(size=24)
    assert convert(outputs["attribution"]).shape == (3, 2, 2)
    np.testing.assert_allclose(convert(keras.ops.softmax(outputs["expression"])), convert(classifier(x)), rtol=1e-3, atol=1e-5)
