# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The attribution: what the answer depends on
#
# A network names an expression. Which part of the picture did it use? This chapter asks with a derivative, shows the answer at
# every layer, and then does what PAL does: it trains the network on that answer. For this the derivative has to be
# differentiated once more, and there it can go wrong without a word. Each way is shown, with the number that gives it away.
#
# Every claim on this page is computed on this page and asserted in the cell that makes it. The symbols are those of
# [the method page](../book/method.md).

# %% tags=["parameters"]
seed = 0
weights = None  # of VGG16 and ResNet50: None (random), or "imagenet" (Keras downloads them)
image_size = 48  # side of the faces that the small network is trained on, in pixels
backbone_size = 64  # side of the faces that VGG16 and ResNet50 see, in pixels
faces_count = 1024  # faces to train on
epochs = 3
rounds = 12  # how often the steps are timed

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from keras import ops

# %%
from palcore import EMOTIONS
from palcore.attribution import METHODS, AttributionHead, attribution_map, logits_and_gradient, value_and_gradient
from palcore.book import figures as plots
from palcore.book.derivatives import compiled, size_by_layer, weight_difference, weight_gradients
from palcore.book.figures import draw_grid
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.slider import FrameSlider, to_png
from palcore.data import load
from palcore.heatmaps import gaussian_heatmap
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.related_maps import class_score, grad_cam, integrated_gradients
from palcore.splitting import split_at
from palcore.training import check_options

refuse_unknown_parameters(In)
plots.use_style()

# %%
options = check_options(seed=seed, weights=weights, image_size=image_size, epochs=epochs, backbone="vgg16")
if options.weights not in (None, "imagenet"):
    raise ValueError(f"weights {weights!r} of VGG16 and ResNet50 in this chapter: give None for random ones, or imagenet")
if min(faces_count, 32 * rounds) < 32:
    raise ValueError(f"faces_count {faces_count} and rounds {rounds}: give at least 32 faces and 1 round")
backend = keras.backend.backend()

# %% [markdown]
# ## Two networks to look into
#
# We need networks whose answer we can explain. The faces are drawn, and a coloured patch in the corner shows the label of nine
# training faces in ten: the easy way to the answer. Two copies of one small network, `compact`, start from the same weights. One
# is trained with cross-entropy alone, the other with PAL added. The first comes to rely on the patch. How much
# of that its attribution says is seen below.

# %%
keras.utils.set_random_seed(seed)
faces = load("synthetic", split="train", seed=seed, image_size=image_size, count=faces_count)
tests = load("synthetic", split="test", seed=seed, image_size=image_size, count=210)
random_patch = load("synthetic", split="test", seed=seed, image_size=image_size, count=210, shortcut=0.0)
plain = build_classifier("compact", image_size, units=128, dropout=0.0)
guided = keras.models.clone_model(plain)
guided.set_weights(plain.get_weights())
guided_model = with_attribution(guided)

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
jit = backend == "jax"  # why not on TensorFlow is shown below
plain.compile(keras.optimizers.Adam(1e-3), cross_entropy, jit_compile=jit)
both = {"expression": cross_entropy, "attribution": PrivilegedAttributionLoss()}
guided_model.compile(keras.optimizers.Adam(1e-3), both, jit_compile=jit)

# %% [markdown]
# While they train, we keep the attribution of four test faces every few steps.

# %%
networks = {"without PAL": plain, "with PAL": guided}
watched = {"without PAL": with_attribution(plain), "with PAL": guided_model}
shown = tests.images[:4]


def snapshot():
    """Where each network looks on the shown faces: {network: maps (4, h, w)}."""
    return {name: ops.convert_to_numpy(model(shown)["attribution"]) for name, model in watched.items()}


# %%
train_images, chunk = faces.images[:], 32 * max(1, faces_count // 128)
snapshots = {"0": snapshot()}
for _ in range(epochs):
    for start in range(0, faces_count - chunk + 1, chunk):
        part = slice(start, start + chunk)
        targets = {"expression": faces.labels[part], "attribution": faces.landmarks[part]}
        plain.fit(train_images[part], faces.labels[part], batch_size=32, verbose=0)
        guided_model.fit(train_images[part], targets, batch_size=32, verbose=0)
        snapshots[str((len(snapshots)) * chunk // 32)] = snapshot()

# %%
rows = {}
for name, network in networks.items():
    named = {"patch as in training": tests, "patch at random": random_patch}
    found = {place: np.argmax(network.predict(split.images[:], verbose=0), axis=-1) for place, split in named.items()}
    rows[name] = {f"accuracy, {place}": np.mean(found[place] == split.labels) for place, split in named.items()}
pd.DataFrame(rows).T.rename_axis("network").round(3)

# %% [markdown]
# Where each of them looks, and how it came to look there. Move the slider; each map is stretched from its least to its
# greatest value.

# %%
heatmaps = ops.convert_to_numpy(gaussian_heatmap(tests.landmarks[:4], snapshots["0"]["with PAL"].shape[1:3]))
columns = [EMOTIONS[label] for label in tests.labels[:4]]
pictures = {}
for step, maps in snapshots.items():
    rows = {name: dict(zip(columns, values, strict=True)) for name, values in {**maps, "heatmap": heatmaps}.items()}
    pictures[step] = to_png(draw_grid(rows, dict(zip(columns, shown, strict=True))), dpi=60, colours=64)
slider = FrameSlider(
    pictures,
    label="training steps",
    alt="Four faces in columns. Upper row: the attribution without PAL. Middle row: with PAL. Lower row: the heatmap.",
    start=list(pictures)[-1],
)
assert len(slider.to_html()) < 2**20
slider

# %% [markdown]
# The pictures above are attributions. Now one step back: how they come about.
#
# ## Nudging one feature
#
# Take one face and the features $f$ of the last convolution. Of all their cells and channels take the one that contributes most,
# and turn it from nothing up to thirty times what it is. All the others stay. Does the answer care?
#
# The answer is seven logits. To ask about all of them at once they become one number, the score $S$: the sum of their absolute
# values, {eq}`score`.

# %%
image, features, head = split_at(plain)
body = keras.Model(image, features)
values = body(shown)
logits, gradient = logits_and_gradient(head, values)
contribution = ops.convert_to_numpy(ops.abs(gradient) * values)[0]
place = np.unravel_index(np.argmax(contribution), contribution.shape)

original = ops.convert_to_numpy(values)[0]
doses = np.linspace(0, 30, 601)[1:]
nudged = np.repeat(original[None], len(doses), axis=0)
nudged[(slice(None), *place)] = levels = doses * original[place]
nudged_logits, nudged_gradient = logits_and_gradient(head, ops.convert_to_tensor(nudged.astype("float32")))
scores = np.abs(ops.convert_to_numpy(nudged_logits)).sum(axis=-1)
slopes = ops.convert_to_numpy(nudged_gradient)[(slice(None), *place)]

# %% mystnb={"image": {"alt": "Three curves against one feature's value: the score, which is a line with kinks; its slope, a flight of steps; and slope times feature, which rises on every step."}}
figure, axes = plt.subplots(1, 3, figsize=(10.2, 3.2), layout="constrained")
curves = {"score $S$": scores, r"grad: $|\partial S/\partial f|$": np.abs(slopes)}
curves[r"grad_input: $|\partial S/\partial f| \cdot f$"] = np.abs(slopes) * levels
for axis, (title, curve), colour in zip(axes, curves.items(), plots.COLOURS, strict=False):
    axis.plot(levels, curve, color=colour, linewidth=2)
    axis.axvline(original[place], color="0.4", linestyle="--", linewidth=1.2)
    axis.set(title=title, xlabel="value of one feature $f$")
    axis.set_ylim(bottom=min(0, curve.min()))
note = axes[0].annotate(
    "as it is", (original[place], 0.04), xycoords=("data", "axes fraction"), xytext=(5, 0), textcoords="offset points"
)

# %% [markdown]
# Left: the score is a line with kinks. A kink is where a ReLU behind the features opens or closes, or a logit changes its sign.
# Middle: the slope of that line is a flight of steps. How much would the score change if the feature changed a little? That is
# the method `grad`, {eq}`grad`:
#
# $$ a_{ijc} = \left| \frac{\partial S}{\partial f_{ijc}} \right| $$
#
# Right: slope times feature. How much does the feature contribute, at the value it has? That is `grad_input`, {eq}`grad-input`:
#
# $$ a_{ijc} = \left| \frac{\partial S}{\partial f_{ijc}} \right| f_{ijc} $$
#
# The slope is computed by {py:func}`palcore.attribution.logits_and_gradient`, without nudging anything. It agrees with the curve
# on the left: between kinks it is the difference of neighbouring scores, and its integral is the whole climb.

# %%
differences = np.diff(scores) / np.diff(levels)
error = np.median(np.abs(differences - (slopes[1:] + slopes[:-1]) / 2)) / np.abs(slopes).max()
climb = np.sum((slopes[1:] + slopes[:-1]) / 2 * np.diff(levels))
assert error < 0.01
assert abs(climb - (scores[-1] - scores[0])) < 0.02 * np.abs(scores).max()
steps_seen = len(np.unique(np.round(slopes, 4)))
Markdown(
    f"The slope takes {steps_seen} values along these {len(doses)} points. It differs from the neighbours' difference by "
    f"{100 * error:.3f} % (median). The score climbs by {scores[-1] - scores[0]:.3f}, the slopes add up to {climb:.3f}."
)

# %% [markdown]
# ## Layer by layer
#
# Any layer can be asked, not only the last. Below, a face in the network that was trained without PAL, and in the one with. A map
# has a value for each channel; shown is their mean, the strategy `mean` of {eq}`strategies`.


# %%
def maps_by_layer(classifier, images, layers):
    """{method: {layer and size: maps (N, h, w)}} of the mean attribution at each layer."""
    found = {method: {} for method in METHODS}
    for layer in layers:
        image, features, head = split_at(classifier, layer)
        values = ops.cast(keras.Model(image, features)(images), "float32")
        gradient = logits_and_gradient(head, values)[1]
        name = f"{layer}\n{values.shape[1]} x {values.shape[2]}"
        for method in METHODS:
            found[method][name] = ops.convert_to_numpy(attribution_map(values, gradient, method, "mean"))
    return found


# %% mystnb={"image": {"alt": "One face in the compact network. Four rows, grad and grad_input without and with PAL; four columns, from the first to the last convolution. The maps get coarser from left to right; most of the attribution is on the mouth, and a little, without PAL, on the patch in the corner."}}
layers = ["block1_conv1", "block2_conv1", "block3_conv2", "block4_conv2"]
rows = {}
for name, network in networks.items():
    for method, maps in maps_by_layer(network, shown[3:], layers).items():
        rows[f"{method}\n{name}"] = {layer: values[0] for layer, values in maps.items()}
figure = draw_grid(rows, dict.fromkeys(rows, shown[3]))

# %%
side = round(0.14 * image_size)  # the patch
area = (side / image_size) ** 2
shares = {}
for name, maps in rows.items():
    finest = next(iter(maps.values()))
    cells = max(1, round(0.14 * len(finest)))
    shares[name.replace("\n", ", ")] = finest[-cells:, :cells].sum() / finest.sum()
assert all(0 <= share <= 1 for share in shares.values())
listed = "; ".join(f"{name}: {100 * share:.0f} %" for name, share in shares.items())
Markdown(f"The patch covers {100 * area:.0f} % of the picture. Its share of the attribution at the first convolution is: {listed}.")

# %% [markdown]
# Early layers see small parts, and their maps are fine-grained and noisy. Late layers see nearly the whole face, and their maps
# are coarse. `grad` shows where a change would matter, also where there is nothing now. `grad_input` is zero where a feature is
# silent: behind a ReLU most features are.

# %%
silent = {}
for layer in layers:
    image, features, _ = split_at(plain, layer)
    values_here = ops.convert_to_numpy(keras.Model(image, features)(shown))
    silent[layer] = float(np.mean(values_here == 0))
    maps = {
        method: ops.convert_to_numpy(attribution_map(values_here, np.ones_like(values_here), method, "all")) for method in METHODS
    }
    assert np.all(maps["grad_input"][values_here == 0] == 0) and np.all(maps["grad"] == 1)
    assert values_here.min() >= 0  # so the factor f keeps the attribution from being negative
Markdown("Share of silent features: " + ", ".join(f"{layer} {100 * share:.0f} %" for layer, share in silent.items()) + ".")

# %% [markdown]
# ### VGG16 and ResNet50
#
# The same in two larger networks. As this page is built they have **random weights**, since nothing is downloaded for it. So
# these maps show what the architecture alone does: sizes, noise, borders. They say nothing about trained networks. Saliency maps
# of random networks are worth a look for another reason: a map that looks the same with random weights as with trained ones does
# not explain what was learned {cite}`adebayo2018sanity`. With a network connection, `-p weights imagenet` draws the pretrained
# ones.

# %%
deeper = {
    "vgg16": ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"],
    "resnet50": ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
}
large_face = load("synthetic", split="test", seed=seed, image_size=backbone_size, count=4).images[3:4]
deep_maps = {}
for backbone, names in deeper.items():
    deep = build_classifier(backbone, backbone_size, options.weights, units=64, dropout=0.0)
    deep_maps[backbone] = maps_by_layer(deep, large_face, names)
state = "random weights" if options.weights is None else "ImageNet's weights below a head with random weights"
assert all(np.all(np.isfinite(m)) for maps in deep_maps.values() for layers in maps.values() for m in layers.values())

# %% mystnb={"image": {"alt": "Grad and grad_input at five layers of VGG16: noisy over the face at first, coarse at last."}}
rows = {f"{method}\nVGG16": {layer: maps[0] for layer, maps in found.items()} for method, found in deep_maps["vgg16"].items()}
figure = draw_grid(rows, dict.fromkeys(rows, large_face[0]))

# %% mystnb={"image": {"alt": "Grad and grad_input at five layers of ResNet50, from 32 by 32 cells down to 2 by 2."}}
rows = {f"{method}\nResNet50": {layer: m[0] for layer, m in found.items()} for method, found in deep_maps["resnet50"].items()}
figure = draw_grid(rows, dict.fromkeys(rows, large_face[0]))

# %% [markdown]
# The checkerboards are real. Max-pooling hands its derivative to one cell of four. The blocks of ResNet50 begin with a stride of
# 2, on both their paths: three cells of four in front of it do not touch the answer at all. PAL at such a layer could not guide
# them.

# %%
untouched = {}
for name, maps in deep_maps["resnet50"]["grad"].items():
    strided = np.zeros(maps.shape, bool)
    strided[:, ::2, ::2] = True
    untouched[name.split("\n")[0]] = np.mean(maps == 0)
    assert not np.any(maps[~strided]) or name.startswith(("conv1_relu", "conv5_block3_out"))
Markdown("Cells with a derivative of exactly 0: " + ", ".join(f"{layer} {100 * part:.0f} %" for layer, part in untouched.items()))

# %%
cells = {backbone: [m.shape[1] for m in maps["grad"].values()] for backbone, maps in deep_maps.items()}
assert all(sizes == sorted(sizes, reverse=True) for sizes in cells.values())
Markdown(
    f"These networks have {state}. From first to last layer the sides shrink from {cells['vgg16'][0]} to "
    f"{cells['vgg16'][-1]} cells in VGG16 and from {cells['resnet50'][0]} to {cells['resnet50'][-1]} in ResNet50, at {backbone_size} pixels. "
    "A heatmap can guide no finer than that."
)

# %% [markdown]
# ## Why the score takes logits, not probabilities
#
# A classifier often ends in a softmax, and it is tempting to sum what it puts out. Turn all features of one face up from nothing
# to twice what they are, and watch the seven probabilities and the score.

# %% mystnb={"image": {"alt": "Left: seven probabilities stacked; their shares change but the top stays at one. Right: the score of the logits, which changes."}}
doses = np.linspace(0, 2, 41)
scaled = head(ops.convert_to_tensor((doses[:, None, None, None] * original[None]).astype("float32")))
probabilities = ops.convert_to_numpy(ops.softmax(scaled))
figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.3), layout="constrained")
axes[0].stackplot(doses, probabilities.T, labels=EMOTIONS, colors=plots.COLOURS, edgecolor="white", linewidth=0.6)
axes[0].set(xlabel="features times", ylabel="probabilities, stacked", ylim=(0, 1.05), xlim=(0, 2))
axes[1].plot(doses, np.abs(ops.convert_to_numpy(scaled)).sum(axis=-1), linewidth=2)
axes[1].set(xlabel="features times", ylabel="score $S$ of the logits", xlim=(0, 2))
legend = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)

# %% [markdown]
# What one expression wins the others lose: the top of the stack stays at one. So its derivative is zero, whatever the network
# does:
#
# $$ \sum_k \frac{\exp z_k}{\sum_{k'} \exp z_{k'}} = 1 \qquad \Rightarrow \qquad
# \frac{\partial}{\partial f_{ijc}} \sum_k \frac{\exp z_k}{\sum_{k'} \exp z_{k'}} = 0 $$
#
# A program that does this has an attribution of rounding errors, and no error message.
# {py:func}`palcore.attribution.attribution_score` therefore takes logits.

# %%
softmax_gradient = value_and_gradient(lambda f: ops.sum(ops.softmax(head(f))), values)[1]
largest = {"softmax": float(ops.max(ops.abs(softmax_gradient))), "logits": float(ops.max(ops.abs(gradient)))}
assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
assert largest["softmax"] < 1e-5 * largest["logits"]
Markdown(
    f"Largest derivative of the sum of logits: {largest['logits']:.3g}. Of the sum of probabilities: {largest['softmax']:.1g}."
)

# %% [markdown]
# ## The inner and the outer derivative
#
# Explaining stops here. PAL goes on: it compares the attribution with the heatmap, and training follows the derivative of that
# comparison to the weights. So there are two derivatives, one inside the other.
#
# ![From left to right: image, backbone, features, head, logits, score. A dashed line, the inner derivative, leads from the score back through the head to the features' derivative; times the features it is the attribution, which PAL compares with the heatmap. A dotted line, the outer derivative, leads from PAL back to the weights by two ways: through the factor f to the backbone, and through the inner derivative to the head.](../book/figures/derivatives.svg)
#
# *The inner derivative is part of the network's answer, in training as in use. The outer derivative is what training follows. By
# way 1 it goes through the factor* $f$ *to the backbone. By way 2 it goes through the inner derivative to the head: it is a
# derivative of a derivative.*
#
# `grad` has no factor $f$, hence no way 1. Could way 2 go on below the features? It would have to go through $\partial^2 S /
# \partial f^2$. Look at the middle curve of the nudged feature: a flight of steps has no slope. Behind dense layers with ReLUs
# that second derivative is zero almost everywhere. So `grad` can teach the head, but not the backbone.
#
# Measured, with PAL alone as the loss, in the network trained without PAL: the size of the gradient at each layer's weights.


# %%
def pal(outputs):
    """PAL of the test faces that are measured."""
    return PrivilegedAttributionLoss()(tests.landmarks[:16], outputs["attribution"])


measured = tests.images[:16]
gradients, pal_sizes = {}, {}
for method in METHODS:
    _, gradients[method] = weight_gradients(with_attribution(plain, method=method), measured, pal)
    pal_sizes[method] = size_by_layer(gradients[method])

# %% mystnb={"image": {"alt": "Bars on a logarithmic scale, a pair for each layer. With grad only the three dense layers have a bar, the others are marked 0; with grad_input every layer has one."}}
figure = plots.draw_gradient_sizes(pal_sizes)

# %%
below = [layer for layer in pal_sizes["grad"] if layer.startswith("block")]
assert len(below) >= 9
assert all(pal_sizes["grad"][layer] == 0 for layer in below)
assert all(pal_sizes["grad_input"][layer] > 0 for layer in below)
assert all(pal_sizes[method][layer] > 0 for method in METHODS for layer in ("dense1", "dense2", "logits"))
Markdown(f"`grad`: exactly 0 at all {len(below)} layers up to the attributed one. `grad_input`: more than 0 at each of them.")

# %% [markdown]
# Look closer, variable by variable. With `grad_input`, PAL alone reaches every kernel and every normalisation. It does not reach
# the biases of the head: they move the kinks, not the slopes. That is no bug. In training the cross-entropy moves them.

# %%
unreached = {path for path, gradient in gradients["grad_input"].items() if not np.any(gradient)}
assert unreached == {"dense1/bias", "dense2/bias", "logits/bias"}
Markdown(f"Reached by PAL alone: {len(gradients['grad_input']) - len(unreached)} variables. Not: {', '.join(sorted(unreached))}.")

# %% [markdown]
# ## Why global pooling makes `grad` flat
#
# Many classifiers average the last features over the whole image before they decide, instead of flattening them. Below, the same
# features behind two heads: the trained one, and global average pooling with one dense layer of random weights.

# %%
image, features, _ = split_at(plain)
average = keras.layers.GlobalAveragePooling2D(name="average")(features)
pooled = keras.Model(image, keras.layers.Dense(7, name="last")(average))
heads = {"flattened": plain, "pooled": pooled}
rows = {}
for name, network in heads.items():
    found = {method: ops.convert_to_numpy(with_attribution(network, method=method)(shown)["attribution"]) for method in METHODS}
    rows[name] = {method: maps[3] / maps[3].max() for method, maps in found.items()}

# %% mystnb={"image": {"alt": "Two rows of two maps. Behind the flattened features grad and grad_input both vary over the face. Behind global pooling grad is the same everywhere, grad_input varies."}}
figure = draw_grid(rows, limits=(0, 1), unit="share of the largest", side=2.0)

# %% [markdown]
# The average treats all places alike. Its derivative is the same at each of them, so what comes behind it cannot tell them apart:
#
# $$ \frac{\partial S}{\partial f_{ijc}} = \sum_k \frac{\partial S}{\partial z_k} \, \frac{W_{ck}}{mn} \qquad
# \text{with the dense layer's weights } W $$
#
# There is no $i$ and no $j$ on the right. The map of `grad` is flat. It has no correlation with anything: its standard deviation
# is zero, and the quotient in {eq}`correlation` would be 0/0. {py:func}`palcore.losses.attribution_correlation` sets it to 0,
# with a gradient of 0, so that nothing turns to NaN. `grad_input` still varies, through $f$. More dense layers behind the average
# change nothing. This is why {py:func}`palcore.models.build_classifier` flattens.

# %%
flat, deep_head = with_attribution(pooled, method="grad"), keras.layers.Dense(20, activation="relu")(average)
deeper_pooled = with_attribution(keras.Model(image, keras.layers.Dense(7)(deep_head)), method="grad")
for model in (flat, deeper_pooled):
    maps = ops.convert_to_numpy(model(measured)["attribution"])
    assert np.ptp(maps, axis=(1, 2)).max() <= 1e-6 * maps.max()
value, flat_gradients = weight_gradients(flat, measured, pal)
assert value == 0 and all(np.all(gradient == 0) for gradient in flat_gradients.values())
signs = np.sign(ops.convert_to_numpy(flat(measured)["expression"]))
kernel = ops.convert_to_numpy(pooled.get_layer("last").kernel)
by_hand = np.abs(signs @ kernel.T / np.prod(maps.shape[1:])).mean(axis=-1)
np.testing.assert_allclose(ops.convert_to_numpy(flat(measured)["attribution"])[:, 0, 0], by_hand, rtol=1e-4)
Markdown(f"PAL of a flat map: {value:g}. Its gradient is 0 at all {len(flat_gradients)} variables, and the formula gives the map.")

# %% [markdown]
# ## Is the outer derivative right?
#
# A derivative of a derivative is easily got wrong. The judge is a difference: move all weights a little along the gradient and
# back, and see how PAL changes. Too large a step leaves the straight part of the curve, too small a step drowns in rounding. In
# between, the two must agree.
#
# There is a catch. Behind ReLUs the inner derivative is a flight of steps, so PAL jumps where a step is crossed, and the
# difference measures the jump. The smooth twin of the network has softplus, $\log(1 + e^t)$, in its two dense layers, and the
# same weights.


# %%
def with_head(activation):
    """The network trained without PAL, with another activation in its two dense layers."""
    twin = keras.models.clone_model(plain)
    twin.set_weights(plain.get_weights())
    for name in ("dense1", "dense2"):
        twin.get_layer(name).activation = keras.activations.get(activation)
    return twin


# %%
smooth = with_head("softplus")
step_sizes = np.logspace(-5, -1, 9)
checks = {}
for name, network in {"ReLU": plain, "softplus": smooth}.items():
    taught = with_attribution(network)
    _, direction = weight_gradients(taught, measured, pal)
    slope = np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in direction.values()))
    differences = np.array([weight_difference(taught, measured, pal, direction, step) for step in step_sizes])
    checks[name] = {"direction": direction, "slope": slope, "differences": differences, "errors": np.abs(differences / slope - 1)}

# %% mystnb={"image": {"alt": "Relative difference between gradient and finite difference against the step, on logarithmic axes. For softplus it falls as the step shrinks, then rises a little; for ReLU it jumps up and down."}}
figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for (name, check), marker in zip(checks.items(), "so", strict=True):
    axes.loglog(step_sizes, 100 * check["errors"], marker=marker, linewidth=2, label=name)
axes.set(xlabel="length of the step in the space of the weights", ylabel="disagreement (%)")
legend = axes.legend(frameon=False, title="dense layers with")

# %%
check = checks["softplus"]
best = np.argmin(check["errors"])
assert check["errors"][best] < 0.01
Markdown(
    f"Smooth twin: slope {check['slope']:.4g} by differentiation, {check['differences'][best]:.4g} by difference with a step of "
    f"{step_sizes[best]:.1g}. They differ by {100 * check['errors'][best]:.2g} %."
)

# %% [markdown]
# ## A loss that trains nothing
#
# Public attempts at PAL have a bug that no error message shows. The attribution is computed and compared, the loss is printed,
# and yet PAL moves no weight, or not the ones it should. There are two kinds.
#
# *Detached*: the attribution is a constant to the outer derivative. It was copied from a hook, went through NumPy, or through a
# function that stops the gradient. *First order only*: the inner derivative was computed without keeping its graph, and is a
# constant. Way 1 is open, way 2 is closed. Both are put into the smooth twin, beside the right one.


# %%
class DetachedHead(AttributionHead):
    """The bug: the attribution is a constant."""

    def call(self, features, training=False):
        outputs = super().call(features, training)
        return {**outputs, "attribution": ops.stop_gradient(outputs["attribution"])}


class FirstOrderHead(AttributionHead):
    """The bug: the inner derivative is a constant."""

    def call(self, features, training=False):
        logits, gradient = logits_and_gradient(self.head, features, self.score, training)
        return {"expression": logits, "attribution": attribution_map(features, ops.stop_gradient(gradient))}


# %%
image, features, head = split_at(smooth)
variants = {"right": AttributionHead, "first order only": FirstOrderHead, "detached": DetachedHead}
broken, broken_gradients, table = {}, {}, {}
for name, kind in variants.items():
    broken[name] = keras.Model(image, kind(head, name="attribution_head")(features))
    value, found = weight_gradients(broken[name], measured, pal)
    broken_gradients[name] = found
    along = sum(np.sum(found[path] * way, dtype=np.float64) for path, way in check["direction"].items()) / check["slope"]
    table[name] = {"PAL": value, "slope by gradient": along, "by difference": check["differences"][best]}
pd.DataFrame(table).T.rename_axis("attribution").round(5)

# %% mystnb={"image": {"alt": "Bars on a logarithmic scale for three versions at each layer. The right one reaches all layers, first order only reaches none of the dense layers, detached reaches none at all."}}
figure = plots.draw_gradient_sizes({name: size_by_layer(found) for name, found in broken_gradients.items()})

# %% [markdown]
# All three print the same PAL. Only the gradient tells. Two questions notice both bugs, and the tests of this study ask them:
# does every layer get a gradient from PAL alone? Does the slope agree with the difference?

# %%
sizes = {name: size_by_layer(found) for name, found in broken_gradients.items()}
dense = ("dense1", "dense2", "logits")
assert np.ptp([row["PAL"] for row in table.values()]) < 1e-6
assert all(size > 0 for size in sizes["right"].values())
assert all((size == 0) == (layer in dense) for layer, size in sizes["first order only"].items())
assert all(size == 0 for size in sizes["detached"].values())
agrees = {name: abs(row["slope by gradient"] / row["by difference"] - 1) < 0.02 for name, row in table.items()}
assert agrees == {"right": True, "first order only": False, "detached": False}

# %% [markdown]
# And so a network with a detached attribution trains, its accuracy rises, and the total loss falls. It is the baseline: the
# gradient of cross-entropy plus PAL is the gradient of the cross-entropy, to the last bit that matters.


# %%
def answer(outputs):
    """Cross-entropy of the faces that are measured."""
    return cross_entropy(tests.labels[:16], outputs["expression"])


_, alone = weight_gradients(broken["detached"], measured, answer)
for name in ("detached", "right"):
    _, total = weight_gradients(broken[name], measured, lambda outputs: answer(outputs) + pal(outputs))
    moved = max(np.abs(total[path] - alone[path]).max() for path in alone) / max(np.abs(part).max() for part in alone.values())
    assert moved < 1e-6 if name == "detached" else moved > 1e-4
    print(f"{name}: PAL changes the gradient of the total loss by {moved:.2g} of its largest entry")

# %% [markdown]
# ## What it costs
#
# PAL runs the head once more backwards, and then differentiates through that. How much longer does a training step take? It
# depends on how much network lies behind the attributed layer. Steps with and without PAL take turns here, so that whatever else
# the machine does hits both. Shown is the ratio of each pair.

# %%
timed = {"without PAL": build_classifier("compact", image_size, units=128, dropout=0.0)}
for layer in ("block4_conv2", "block2_conv1"):
    timed[f"PAL at\n{layer}"] = with_attribution(build_classifier("compact", image_size, units=128, dropout=0.0), layer)
for name, model in timed.items():
    model.compile("sgd", cross_entropy if name == "without PAL" else both, jit_compile=jit)
batch, landmarks = train_images[:32], faces.landmarks[:32]
targets = dict.fromkeys(timed, {"expression": faces.labels[:32], "attribution": landmarks}) | {"without PAL": faces.labels[:32]}
seconds = {name: [] for name in timed}
for _ in range(rounds + 2):
    for name, model in timed.items():
        started = time.perf_counter()
        model.train_on_batch(batch, targets[name])
        seconds[name].append(time.perf_counter() - started)
ratios = {name: np.array(took[2:]) / seconds["without PAL"][2:] for name, took in seconds.items() if name != "without PAL"}

# %% mystnb={"image": {"alt": "Ratios of step times for PAL at a late and at an early layer, single pairs as dots and their median as a line, beside 1 for no PAL."}}
figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for number, values_here in enumerate(ratios.values()):
    jitter = np.linspace(-0.12, 0.12, len(values_here))
    axes.plot(number + jitter, values_here, "o", color=plots.COLOURS[number], alpha=0.6)
    axes.plot([number - 0.25, number + 0.25], [np.median(values_here)] * 2, color=plots.COLOURS[number], linewidth=3)
axes.axhline(1, color="0.4", linestyle=":")
axes.set_xticks(range(len(ratios)), list(ratios))
labels = axes.set(ylabel="step time, with PAL / without", xlim=(-0.6, len(ratios) - 0.4), ylim=(0, None))

# %%
assert all(np.all(values_here > 0) for values_here in ratios.values())
quartiles = {name.replace("\n", " "): np.percentile(values_here, [25, 50, 75]) for name, values_here in ratios.items()}
listed = "; ".join(f"{name}: {middle:.2f} (quartiles {low:.2f} to {high:.2f})" for name, (low, middle, high) in quartiles.items())
Markdown(f"Median ratio over {rounds} pairs, in this run on this machine: {listed}.")

# %% [markdown]
# ## Where libraries get it wrong
#
# Frameworks test first derivatives well. The second order of some operations is missing or approximate, and nothing is said. Two
# that stand between features and logits in many networks are put to the test here. For each, the function is an attribution in
# small: the mean of $|\partial S / \partial f| \, f$ with $S = \sum w \, g(f)^3$, where $g$ is the operation and $w$ are random
# weights.


# %%
def attribution_through(operation, weight):
    """f -> mean of |dS/df| * f, with S = sum(weight * operation(f) ** 3)."""

    def attribution(f):
        gradient = value_and_gradient(lambda f: ops.sum(weight * operation(f) ** 3), f)[1]
        return ops.mean(ops.abs(gradient) * f)

    return attribution


# %%
def slopes_of(operation, weight, f, step=1e-2):
    """Slope along the direction of steepest descent that the library reports, and the central difference there."""
    attribution = attribution_through(operation, weight)
    gradient = ops.convert_to_numpy(value_and_gradient(attribution, f)[1])
    way = gradient / np.linalg.norm(gradient)
    difference = float(attribution(f + step * way)) - float(attribution(f - step * way))
    return np.sum(gradient * way, dtype=np.float64), difference / (2 * step)


# %% [markdown]
# ### Bilinear resizing
#
# Some heads enlarge the map before they decide. Bilinear resizing is linear: each new cell is a weighted mean of at most four old
# ones. It can be written as two fixed matrices, one for the rows and one for the columns. The values are the same. Are the
# slopes?


# %%
def interpolation_matrix(cells, new_cells):
    """``(new_cells, cells)``: bilinear resizing along one axis, cell centres as in Keras."""
    centres = np.clip((np.arange(new_cells) + 0.5) * cells / new_cells - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(cells))).astype("float32")


# %%
rng = np.random.default_rng(seed)
grow = interpolation_matrix(6, 12)
resizing = {
    "resize, bilinear": lambda f: ops.image.resize(f, (12, 12), interpolation="bilinear"),
    "two fixed matrices": lambda f: ops.einsum("ih,jw,nhwc->nijc", grow, grow, f),
}
f = rng.uniform(0.2, 1.8, (1, 6, 6, 8)).astype("float32")
weight = rng.normal(0, 1, (1, 12, 12, 8)).astype("float32")
enlarged = [ops.convert_to_numpy(operation(f)) for operation in resizing.values()]
np.testing.assert_allclose(*enlarged, rtol=1e-4, atol=1e-5)

# %%
found = {name: slopes_of(operation, weight, f) for name, operation in resizing.items()}
resize_table = pd.DataFrame(found, index=["slope by the library", "by difference"]).T
resize_table["disagreement (%)"] = 100 * (resize_table.iloc[:, 0] / resize_table.iloc[:, 1] - 1).abs()
wrong = resize_table["disagreement (%)"] > 2
assert not wrong["two fixed matrices"]
assert wrong["resize, bilinear"] == (backend == "tensorflow")
resize_table.rename_axis(f"on {backend}").round(3)

# %% [markdown]
# On TensorFlow the slope through the resize is wrong: the second-order path is missing, and what is left is the path through the
# factor $f$ alone. On JAX both rows are right. So: never resize between the attributed features and the logits, or use matrices.
# {py:class}`~palcore.losses.PrivilegedAttributionLoss` has no need to: it draws the heatmap at the attribution's size.
#
# ### Max-pooling under XLA
#
# XLA compiles a training step into one program. TensorFlow's version of the second derivative of max-pooling packs value and
# slope into one word and compares only the upper 16 bits of each value. Where two values in a window agree in these, it may pick
# the wrong one. So the error depends on how close the values of a window lie. The difference is taken in NumPy, in double
# precision.

# %%
weight = rng.normal(0, 1, (1, 3, 3, 8)).astype("float32")


def exact_attribution(f):
    """The same function in NumPy, worked out: 3 |w| max^3 at the greatest cell of each window, 0 elsewhere."""
    return np.sum(3 * np.abs(weight) * f.reshape(1, 3, 2, 3, 2, 8).max(axis=(2, 4)) ** 3) / f.size


functions = {
    "not compiled": lambda f: value_and_gradient(attribution_through(lambda f: ops.max_pool(f, 2, strides=2), weight), f)[1]
}
functions["compiled by XLA"] = compiled(functions["not compiled"])


# %%
def pooling_errors(spread):
    """{function: disagreement with the difference in %}, for features between 1 - spread and 1 + spread."""
    f = (1 + spread * rng.permutation(np.linspace(-1, 1, 288)).reshape(1, 6, 6, 8)).astype("float32")
    found = {name: ops.convert_to_numpy(function(f)).astype("float64") for name, function in functions.items()}
    way = found["not compiled"] / np.linalg.norm(found["not compiled"])
    exact, step = f.astype("float64"), 1e-5 * spread
    difference = (exact_attribution(exact + step * way) - exact_attribution(exact - step * way)) / (2 * step)
    return {name: 100 * abs(np.sum(gradient * way) / difference - 1) for name, gradient in found.items()}


spreads = np.array([1.0, 0.3, 0.1, 0.03, 0.01, 0.003])
pooling = pd.DataFrame({spread: pooling_errors(spread) for spread in spreads}).T

# %% mystnb={"image": {"alt": "Disagreement with the finite difference against the spread of the features within a window. Not compiled it is nearly zero throughout; compiled by XLA on TensorFlow it grows to tens of per cent as the spread shrinks."}}
figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for (name, values_here), marker in zip(pooling.items(), "os", strict=True):
    axes.semilogx(100 * spreads, values_here, marker=marker, linewidth=2, label=f"{name} ({backend})")
axes.set(xlabel="spread of the features around 1 (%)", ylabel="disagreement (%)")
legend = axes.legend(frameon=False)

# %%
assert pooling["not compiled"].max() < 0.1
assert (pooling["compiled by XLA"].max() > 5) == (backend == "tensorflow")
Markdown(
    f"On {backend}: at most {pooling['not compiled'].max():.2g} % off when not compiled, and up to "
    f"{pooling['compiled by XLA'].max():.2g} % when compiled by XLA."
)

# %% [markdown]
# That is why {py:func}`palcore.runs.training.build` compiles with `jit_compile=False` on TensorFlow, and with XLA on JAX, where the
# compiled second derivative is exact here. Keras's own default, `"auto"`, turns XLA on for GPUs and off for CPUs: a test on a CPU
# would never see this. And `compact` takes no maximum behind its last convolution.
#
# ## Related maps
#
# Two other ways to ask what an answer depends on, on the same faces. Both explain one class $k$, and both were made to look at,
# not to train on. Grad-CAM {cite}`selvaraju2017gradcam` asks the last map: each channel is weighted by its mean derivative.
# Integrated gradients {cite}`sundararajan2017axiomatic` ask the pixels: the derivative is averaged on the way from a black
# picture to the face.

# %%
chosen = tests.labels[:4]
integrated = {name: integrated_gradients(network, shown, chosen, steps=64) for name, network in networks.items()}
rows = {}
for name, network in networks.items():
    maps = {method: ops.convert_to_numpy(with_attribution(network, method=method)(shown)["attribution"]) for method in METHODS}
    maps["Grad-CAM"] = ops.convert_to_numpy(grad_cam(network, shown, chosen))
    maps["integrated\ngradients"] = np.abs(integrated[name].sum(axis=-1))
    for face in (1, 3):
        picture = {"face": shown[face], **{kind: values_here[face] for kind, values_here in maps.items()}}
        rows[f"{columns[face]}\n{name}"] = picture

# %% mystnb={"image": {"alt": "Two faces in the networks without and with PAL; beside each face its maps by grad, grad_input, Grad-CAM and integrated gradients. With PAL grad_input keeps closer to the face; the other maps, which PAL does not compare with the heatmap, change less."}}
figure = draw_grid(rows, {row: maps["face"] for row, maps in rows.items()})

# %% [markdown]
# As formulas, with the class's logit $z_k$, the positive part $(\cdot)_+$ and a black picture $x_0$:
#
# $$ a_{ij} = \left( \sum_{c=1}^{C} f_{ijc} \, \frac{1}{mn} \sum_{i'j'} \frac{\partial z_k}{\partial f_{i'j'c}} \right)_+ $$ (grad-cam)
#
# $$ a_{ijc} = (x - x_0)_{ijc} \int_0^1 \left. \frac{\partial z_k}{\partial x_{ijc}} \right|_{x_0 + t (x - x_0)} dt $$ (integrated-gradients)
#
# Implemented by {py:func}`palcore.related_maps.grad_cam` and {py:func}`palcore.related_maps.integrated_gradients`.
#
# Grad-CAM and `grad_input` are kin: both weight features by derivatives. Behind global pooling, where a derivative is the same at
# every place and so equals its mean, Grad-CAM is derivative times feature to the last digit, for one class and with its sign.

# %%
pooled_head = split_at(pooled)[2]
class_gradient = value_and_gradient(lambda f: class_score(pooled_head(f), chosen), values)[1]
product = np.maximum(ops.convert_to_numpy(ops.sum(class_gradient * values, axis=-1)), 0)
cam = ops.convert_to_numpy(grad_cam(pooled, shown, chosen))
np.testing.assert_allclose(cam, product, rtol=1e-3, atol=1e-4 * max(product.max(), 1e-6))

# %% [markdown]
# Integrated gradients have a property that can be checked, *completeness*: the attributions of a picture add up to what the logit
# gained on the way.

# %%
attributions = integrated["without PAL"]
z = ops.convert_to_numpy(plain(shown))[np.arange(4), chosen]
z_black = ops.convert_to_numpy(plain(np.zeros_like(shown)))[np.arange(4), chosen]
completeness = pd.DataFrame({"sum of attributions": attributions.sum(axis=(1, 2, 3)), "logit gained": z - z_black}, index=columns)
gap = np.abs(completeness.iloc[:, 0] - completeness.iloc[:, 1]).max()
assert gap < 0.02 * np.abs(attributions).sum(axis=(1, 2, 3)).max()
completeness.round(3)

# %% [markdown]
# The library Xplique has both methods and many more. At the time of writing it runs on TensorFlow with these networks. The study
# computes these two maps in a few lines of its own, because Xplique does not run on JAX and brings a second copy of OpenCV along.
# In an environment with it, this computes its versions of the two:
#
# ```python
# from xplique.attributions import GradCAM, IntegratedGradients
#
# GradCAM(plain)(shown.astype("float32"), keras.ops.one_hot(chosen, 7))
# IntegratedGradients(plain, steps=64)(shown.astype("float32"), keras.ops.one_hot(chosen, 7))
# ```
#
# ## Exercises
#
# Each has a solution folded away below it.
#
# **1. By hand.** The features have two cells and one channel, $f = (2, 1)$. The head is one dense layer without bias and two
# logits: $z_1 = f_1 + 0.5 f_2$ and $z_2 = -2 f_1 + 3 f_2$. What are $z$, $S$, and the attributions by `grad` and by `grad_input`?
# Work it out on paper, then check with {py:class}`palcore.attribution.AttributionHead`.

# %% tags=["hide-cell"]
# z = (2.5, -1), S = 3.5. dS/df = sign(z1) (1, 0.5) + sign(z2) (-2, 3) = (1 + 2, 0.5 - 3) = (3, -2.5).
small = keras.Input((1, 2, 1))
dense = keras.layers.Dense(2, use_bias=False)
small_head = keras.Model(small, dense(keras.layers.Flatten()(small)))
dense.kernel.assign([[1.0, -2.0], [0.5, 3.0]])
f = np.array([2.0, 1.0], "float32").reshape(1, 1, 2, 1)
answers = {method: ops.convert_to_numpy(AttributionHead(small_head, method)(f)["attribution"]).ravel() for method in METHODS}
np.testing.assert_allclose(answers["grad"], [3, 2.5], rtol=1e-6)
np.testing.assert_allclose(answers["grad_input"], [6, 2.5], rtol=1e-6)
answers

# %% [markdown]
# **2. A smooth head.** The smooth twin has a second derivative. Which layers does `grad` teach in it? Which variables does PAL
# alone still not reach, and why?

# %% tags=["hide-cell"]
# All layers: a smooth slope has a slope of its own, so way 2 goes on through it. Only the last bias is left out: it moves the
# logits, but no slope depends on it.
_, found = weight_gradients(with_attribution(smooth, method="grad"), measured, pal)
assert all(size > 0 for size in size_by_layer(found).values())
assert {path for path, gradient in found.items() if not np.any(gradient)} == {"logits/bias"}

# %% [markdown]
# **3. Loud logits.** Multiply all logits by ten. What happens to the attribution, to PAL and to the cross-entropy? Think first,
# then do it to the last layer of a copy of the network.

# %% tags=["hide-cell"]
# The attribution is ten times as large. PAL is a correlation and stays. The cross-entropy changes: PAL does not care how
# sure the network is.
loud = keras.models.clone_model(plain)
loud.set_weights(plain.get_weights())
last = loud.get_layer("logits")
last.kernel.assign(10 * last.kernel)
last.bias.assign(10 * last.bias)
quiet_outputs, loud_outputs = with_attribution(plain)(measured), with_attribution(loud)(measured)
np.testing.assert_allclose(loud_outputs["attribution"], 10 * quiet_outputs["attribution"], rtol=1e-3, atol=1e-6)
assert abs(float(pal(loud_outputs)) - float(pal(quiet_outputs))) < 1e-4
assert abs(float(answer(loud_outputs)) - float(answer(quiet_outputs))) > 0.01
