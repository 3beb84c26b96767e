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
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The second derivative: how PAL teaches, and how it fails
#
# At the end of this chapter you will know by which ways PAL reaches the weights, why `grad` teaches only the head, how to tell a
# loss that trains nothing from one that trains, and which library functions have a wrong second derivative.
#
# [The last chapter](attribution.ipynb) explained an answer with a derivative. PAL trains on that explanation, so the derivative
# has to be differentiated once more, and there it can go wrong without a word. Each way is shown, with the number that gives it
# away. How long it takes is [measured elsewhere](cost.ipynb). Every claim on this page is asserted in the cell that makes it.

# %% tags=["parameters"]
seed = 0
image_size = 48  # side of the faces, in pixels
faces_count = 1024  # faces to train on
epochs = 3

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["hide-input"]
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from keras import ops

from palcore.attribution import METHODS, AttributionHead, attribution_map, logits_and_gradient, value_and_gradient
from palcore.data import load
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.splitting import split_at
from palcore.training import check_options
from study.book import figures as plots
from study.book.derivatives import compiled, size_by_layer, weight_difference, weight_gradients
from study.book.figures import draw_grid

plots.use_style()
check_options(seed=seed, image_size=image_size, epochs=epochs)
if faces_count < 32:
    raise ValueError(f"faces_count {faces_count}: give at least 32 faces")
backend = keras.backend.backend()

# %% [markdown]
# The network to look into is the one of the last chapter: `compact`, trained for a little while on drawn faces, without PAL.

# %% tags=["hide-input"]
keras.utils.set_random_seed(seed)
faces = load("synthetic", split="train", seed=seed, image_size=image_size, count=faces_count)
tests = load("synthetic", split="test", seed=seed, image_size=image_size, count=16)
train_images, shown, measured = faces.images[:], tests.images[:4], tests.images[:16]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
jit = backend == "jax"  # why not on TensorFlow is shown below
plain = build_classifier("compact", image_size, units=128, dropout=0.0)
plain.compile(keras.optimizers.Adam(1e-3), cross_entropy, jit_compile=jit)
history = plain.fit(train_images, faces.labels, batch_size=32, epochs=epochs, verbose=0)

# %% [markdown]
# ## The inner and the outer derivative
#
# PAL compares the attribution with the heatmap, and training follows the derivative of that
# comparison to the weights. So there are two derivatives, one inside the other.
#
# ![From left to right: image, backbone, features, head, logits, score. A dashed line, the inner derivative, leads from the score back through the head to the features' derivative; times the features it is the attribution, which PAL compares with the heatmap. A dotted line, the outer derivative, leads from PAL back to the weights by two ways: through the factor f to the backbone, and through the inner derivative to the head.](../book/figures/derivatives.svg)
#
# *The inner derivative is part of the network's answer, in training as in use. The outer derivative is what training follows. By
# way 1 it goes through the factor* $f$ *to the backbone. By way 2 it goes through the inner derivative to the head: it is a
# derivative of a derivative.*
#
# `grad` has no factor $f$, hence no way 1. Could way 2 go on below the features? It would have to go through $\partial^2 S /
# \partial f^2$. In [the last chapter](attribution.ipynb) we nudged a feature: the slope of the score is a flight of steps, and
# steps have no slope. Behind dense layers with ReLUs that second derivative is zero almost everywhere. So `grad` can teach the
# head, but not the backbone.
#
# Measured, with PAL alone as the loss, in the network trained without PAL: the size of the gradient at each layer's weights.


# %% tags=["hide-input"]
def pal(outputs):
    """PAL of the test faces that are measured."""
    return PrivilegedAttributionLoss()(tests.landmarks[:16], outputs["attribution"])


gradients, pal_sizes = {}, {}
for method in METHODS:
    _, gradients[method] = weight_gradients(with_attribution(plain, method=method), measured, pal)
    pal_sizes[method] = size_by_layer(gradients[method])

# %% mystnb={"figure": {"caption": "Size of PAL's gradient at each layer's weights, for the two methods.", "name": "fig-second-derivative-1"}, "image": {"alt": "Bars on a logarithmic scale, a pair for each layer. With grad only the three dense layers have a bar, the others are marked 0; with grad_input every layer has one."}} tags=["hide-input"]
figure = plots.draw_gradient_sizes(pal_sizes)

# %% tags=["hide-input"]
below = [layer for layer in pal_sizes["grad"] if layer.startswith("block")]
assert len(below) >= 9
assert all(pal_sizes["grad"][layer] == 0 for layer in below)
assert all(pal_sizes["grad_input"][layer] > 0 for layer in below)
assert all(pal_sizes[method][layer] > 0 for method in METHODS for layer in ("dense1", "dense2", "logits"))
Markdown(f"`grad`: exactly 0 at all {len(below)} layers up to the attributed one. `grad_input`: more than 0 at each of them.")

# %% [markdown]
# Look closer, variable by variable. With `grad_input`, PAL alone reaches every kernel and every normalisation. It does not reach
# the biases of the head: they move the kinks, not the slopes. That is no bug. In training the cross-entropy moves them.

# %% tags=["hide-input"]
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


def attributed(network, method):
    """As `with_attribution`, which refuses a map that is the same everywhere."""
    image, features, head = split_at(network)
    return keras.Model(image, AttributionHead(head, method, name="attribution_head")(features))


for name, network in heads.items():
    found = {method: ops.convert_to_numpy(attributed(network, method)(shown)["attribution"]) for method in METHODS}
    rows[name] = {method: maps[3] / maps[3].max() for method, maps in found.items()}

# %% mystnb={"figure": {"caption": "Behind global pooling, `grad` is the same everywhere.", "name": "fig-second-derivative-2"}, "image": {"alt": "Two rows of two maps. Behind the flattened features grad and grad_input both vary over the face. Behind global pooling grad is the same everywhere, grad_input varies."}} tags=["hide-input"]
figure = draw_grid(rows, limits=(0, 1), unit="share of the largest", side=2.0)

# %% [markdown]
# The average treats all places alike. Its derivative is the same at each of them, so what comes behind it cannot tell them apart:
#
# $$ \frac{\partial S}{\partial f_{ijc}} = \sum_k \frac{\partial S}{\partial z_k} \, \frac{W_{ck}}{mn} \qquad
# \text{with the dense layer's weights } W $$
#
# There is no $i$ and no $j$ on the right. The map of `grad` is flat. It has no correlation with anything: its standard deviation
# is zero, and the quotient in [Eq. correlation](../book/method.md) would be 0/0.
# [`palcore.losses.attribution_correlation`](../palcore/losses.py) sets it to 0, with a gradient of 0, so that nothing turns to
# NaN. `grad_input` still varies, through $f$. More dense layers behind the average change nothing. This is why
# [`palcore.models.build_classifier`](../palcore/models.py) flattens, and why
# [`palcore.models.with_attribution`](../palcore/models.py) refuses such a map.

# %% tags=["hide-input"]
flat, deep_head = attributed(pooled, "grad"), keras.layers.Dense(20, activation="relu")(average)
deeper_pooled = attributed(keras.Model(image, keras.layers.Dense(7)(deep_head)), "grad")
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


# %% tags=["hide-input"]
smooth = with_head("softplus")
step_sizes = np.logspace(-5, -1, 9)
checks = {}
for name, network in {"ReLU": plain, "softplus": smooth}.items():
    taught = with_attribution(network)
    _, direction = weight_gradients(taught, measured, pal)
    slope = np.sqrt(sum(np.sum(np.square(part, dtype=np.float64)) for part in direction.values()))
    differences = np.array([weight_difference(taught, measured, pal, direction, step) for step in step_sizes])
    checks[name] = {"direction": direction, "slope": slope, "differences": differences, "errors": np.abs(differences / slope - 1)}

# %% mystnb={"figure": {"caption": "Gradient against finite difference, for steps of several lengths.", "name": "fig-second-derivative-3"}, "image": {"alt": "Relative difference between gradient and finite difference against the step, on logarithmic axes. At long steps it is tens of per cent and more, with ReLU and with softplus; at the shortest, a tenth of a per cent or less."}} tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for (name, check), marker in zip(checks.items(), "so", strict=True):
    axes.loglog(step_sizes, 100 * check["errors"], marker=marker, linewidth=2, label=name)
axes.set(xlabel="length of the step in the space of the weights", ylabel="disagreement (%)")
legend = axes.legend(frameon=False, title="dense layers with")

# %% tags=["hide-input"]
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
# An implementation of PAL can have a bug that no error message shows. The attribution is computed and compared, the loss is printed,
# and yet PAL moves no weight, or not the ones it should. There are two kinds.
#
# *Detached*: the attribution is a constant to the outer derivative. It was copied from a hook, went through NumPy, or through a
# function that stops the gradient. *First order only*: the inner derivative was computed without keeping its graph, and is a
# constant. Way 1 is open, way 2 is closed. Both are put into the smooth twin, beside the right one.


# %% tags=["hide-input"]
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


# %% tags=["hide-input"]
image, features, head = split_at(smooth)
variants = {"right": AttributionHead, "first order only": FirstOrderHead, "detached": DetachedHead}
broken, broken_gradients, table = {}, {}, {}
for name, kind in variants.items():
    broken[name] = keras.Model(image, kind(head, name="attribution_head")(features))
    value, found = weight_gradients(broken[name], measured, pal)
    broken_gradients[name] = found
    along = sum(np.sum(found[path] * way, dtype=np.float64) for path, way in check["direction"].items()) / check["slope"]
    table[name] = {"PAL": value, "slope by gradient": along, "by difference": check["differences"][best]}
pd.DataFrame(table).T.rename_axis(columns="attribution").round(5)

# %% mystnb={"figure": {"caption": "Three versions with the same printed loss: what reaches the weights of each layer.", "name": "fig-second-derivative-4"}, "image": {"alt": "Bars on a logarithmic scale for three versions at each layer. The right one reaches all layers, first order only reaches none of the dense layers, detached reaches none at all."}} tags=["hide-input"]
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


# %% tags=["hide-input"]
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
    """Slope along the direction of steepest ascent that the library reports, and the central difference there."""
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


# %% tags=["hide-input"]
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
resize_table.rename_axis(columns=f"on {backend}").round(3)

# %% [markdown]
# On TensorFlow the slope through the resize is wrong: the second-order path is missing, and what is left is the path through the
# factor $f$ alone. On JAX both rows are right. So: never resize between the attributed features and the logits, or use matrices.
# [`PrivilegedAttributionLoss`](../palcore/losses.py) has no need to: it draws the heatmap at the attribution's size.
#
# ### Max-pooling under XLA
#
# XLA compiles a training step into one program. TensorFlow's version of the second derivative of max-pooling packs value and
# slope into one word and compares only the upper 16 bits of each value. Where two values in a window agree in these, it may pick
# the wrong one. So the error depends on how close the values of a window lie. The difference is taken in NumPy, in double
# precision.

# %% tags=["hide-input"]
weight = rng.normal(0, 1, (1, 3, 3, 8)).astype("float32")


def exact_attribution(f):
    """The same function in NumPy, worked out: 3 |w| max^3 at the greatest cell of each window, 0 elsewhere."""
    return np.sum(3 * np.abs(weight) * f.reshape(1, 3, 2, 3, 2, 8).max(axis=(2, 4)) ** 3) / f.size


functions = {
    "not compiled": lambda f: value_and_gradient(attribution_through(lambda f: ops.max_pool(f, 2, strides=2), weight), f)[1]
}
functions["compiled by XLA"] = compiled(functions["not compiled"])


# %% tags=["hide-input"]
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

# %% mystnb={"figure": {"caption": "Max-pooling: how far the library's second derivative is off, the closer the values of a window lie.", "name": "fig-second-derivative-5"}, "image": {"alt": "Disagreement with the finite difference against the spread of the features within a window. Not compiled it is nearly zero throughout; compiled by XLA on TensorFlow it grows to tens of per cent as the spread shrinks."}} tags=["hide-input"]
figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
for (name, values_here), marker in zip(pooling.items(), "os", strict=True):
    axes.semilogx(100 * spreads, values_here, marker=marker, linewidth=2, label=f"{name} ({backend})")
axes.set(xlabel="spread of the features around 1 (%)", ylabel="disagreement (%)")
legend = axes.legend(frameon=False)

# %% tags=["hide-input"]
assert pooling["not compiled"].max() < 0.1
assert (pooling["compiled by XLA"].max() > 5) == (backend == "tensorflow")
Markdown(
    f"On {backend}: at most {pooling['not compiled'].max():.2g} % off when not compiled, and up to "
    f"{pooling['compiled by XLA'].max():.2g} % when compiled by XLA."
)

# %% [markdown]
# That is why [`palcore.runs.training.build`](../palcore/runs/training.py) compiles with `jit_compile=False` on TensorFlow, and
# with XLA on JAX, where the compiled second derivative is exact here. Keras's own default, `"auto"`, turns XLA on for GPUs and
# off for CPUs: a test on a CPU would never see this. And `compact` takes no maximum behind its last convolution.

# %% [markdown]
# ## Exercise
#
# **A smooth head.** The smooth twin has a second derivative. Which layers does `grad` teach in it? Which variables does PAL
# alone still not reach, and why?

# %% tags=["hide-cell"]
# All layers: a smooth slope has a slope of its own, so way 2 goes on through it. Only the last bias is left out: it moves the
# logits, but no slope depends on it.
_, found = weight_gradients(with_attribution(smooth, method="grad"), measured, pal)
assert all(size > 0 for size in size_by_layer(found).values())
assert {path for path, gradient in found.items() if not np.any(gradient)} == {"logits/bias"}

# %% [markdown]
# ## In three lines
#
# - PAL reaches the backbone through the factor $f$ of `grad_input`; `grad` behind ReLUs reaches the head alone.
# - A detached or first-order attribution prints the same loss and trains nothing, or half: only a gradient per layer and a
#   difference tell.
# - Bilinear resizing, and max-pooling compiled by XLA, have a wrong second derivative on TensorFlow, and say nothing.
