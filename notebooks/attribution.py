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
# # The attribution: what the answer depends on
#
# At the end of this chapter you will know how a derivative says which part of a picture an answer depends on, what that looks
# like at every layer, why it must start from logits, and why a map that PAL has moved is no proof that the answer relies on
# another place.
#
# Every claim on this page is computed on this page and asserted in the cell that makes it. The symbols are those of
# [the method page](../book/method.md). How training follows an attribution, and what can go wrong with that, is in
# [the next chapter](second_derivative.ipynb).

# %% tags=["parameters"]
seed = 0
weights = None  # of VGG16 and ResNet50: None (random), or "imagenet" (Keras downloads them)
image_size = 48  # side of the faces that the small network is trained on, in pixels
backbone_size = 64  # side of the faces that VGG16 and ResNet50 see, in pixels
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

from palcore import EMOTIONS
from palcore.attribution import METHODS, AttributionHead, attribution_map, logits_and_gradient, value_and_gradient
from palcore.data import load
from palcore.data.changes import boxes_of, covered
from palcore.data.synthetic import PATCH_BOX
from palcore.heatmaps import gaussian_heatmap
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.related_maps import class_score, grad_cam, integrated_gradients
from palcore.runs.reliance import share_in_boxes
from palcore.splitting import split_at
from palcore.training import check_options
from study.book import figures as plots
from study.book.figures import draw_grid
from study.book.slider import frame_slider, to_png

plots.use_style()
options = check_options(seed=seed, weights=weights, image_size=image_size, epochs=epochs, backbone="vgg16")
if options.weights not in (None, "imagenet"):
    raise ValueError(f"weights {weights!r} of VGG16 and ResNet50 in this chapter: give None for random ones, or imagenet")
if faces_count < 32:
    raise ValueError(f"faces_count {faces_count}: give at least 32 faces")
backend = keras.backend.backend()

# %% [markdown]
# ## Two networks to look into
#
# We need networks whose answer we can explain. The faces are drawn, and a coloured patch in the corner shows the label of nine
# training faces in ten: the easy way to the answer. Two copies of one small network, `compact`, start from the same weights. One
# is trained with cross-entropy alone, the other with PAL added. The first comes to rely on the patch. How much
# of that its attribution says is seen below.

# %% tags=["hide-input"]
keras.utils.set_random_seed(seed)
faces = load("synthetic", split="train", seed=seed, image_size=image_size, count=faces_count)
tests = load("synthetic", split="test", seed=seed, image_size=image_size, count=210)
random_patch = load("synthetic", split="test", seed=seed, image_size=image_size, count=210, shortcut=0.0)
plain = build_classifier("compact", image_size, units=128, dropout=0.0)
guided = keras.models.clone_model(plain)
guided.set_weights(plain.get_weights())
guided_model = with_attribution(guided)

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
jit = backend == "jax"  # why not on TensorFlow: the next chapter
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


# %% tags=["hide-input"]
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
pd.DataFrame(rows).T.rename_axis(columns="network").round(3)

# %% [markdown]
# Where each of them looks, and how it came to look there. Move the slider; each map is stretched from its least to its
# greatest value.

# %% tags=["hide-input"]
heatmaps = ops.convert_to_numpy(gaussian_heatmap(tests.landmarks[:4], snapshots["0"]["with PAL"].shape[1:3]))
columns = [EMOTIONS[label] for label in tests.labels[:4]]
pictures = {}
for step, maps in snapshots.items():
    rows = {name: dict(zip(columns, values, strict=True)) for name, values in {**maps, "heatmap": heatmaps}.items()}
    pictures[step] = to_png(draw_grid(rows, dict(zip(columns, shown, strict=True))), dpi=60, colours=64)
slider = frame_slider(
    pictures,
    label="training steps",
    alt="Four faces in columns. Upper row: the attribution without PAL. Middle row: with PAL. Lower row: the heatmap.",
    start=list(pictures)[-1],
)
assert len(slider.data) < 2**20
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
# values, [Eq. score](../book/method.md).

# %% tags=["hide-input"]
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

# %% mystnb={"figure": {"caption": "One feature turned up, all others held: the score, its slope, and slope times feature.", "name": "fig-attribution-1"}, "image": {"alt": "Three curves against one feature's value: the score, which is a line with kinks; its slope, a flight of steps; and slope times feature, which rises on every step."}} tags=["hide-input"]
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
# the method `grad`, [Eq. grad](../book/method.md):
#
# $$ a_{ijc} = \left| \frac{\partial S}{\partial f_{ijc}} \right| $$
#
# Right: slope times feature. How much does the feature contribute, at the value it has? That is `grad_input`,
# [Eq. grad-input](../book/method.md):
#
# $$ a_{ijc} = \left| \frac{\partial S}{\partial f_{ijc}} \right| f_{ijc} $$
#
# The slope is computed by [`palcore.attribution.logits_and_gradient`](../palcore/attribution.py), without nudging anything. It
# agrees with the curve on the left: between kinks it is the difference of neighbouring scores, and its integral is the whole
# climb.

# %% tags=["hide-input"]
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
# has a value for each channel; shown is their mean, the strategy `mean` of [Eq. strategies](../book/method.md).


# %% tags=["hide-input"]
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


# %% mystnb={"figure": {"caption": "One face asked at four layers of two networks, by two methods.", "name": "fig-attribution-2"}, "image": {"alt": "One face in the compact network. Four rows, grad and grad_input without and with PAL; four columns, from the first to the last convolution. The maps get coarser from left to right; most of the attribution is on the mouth, and a little, without PAL, on the patch in the corner."}} tags=["hide-input"]
layers = ["block1_conv1", "block2_conv1", "block3_conv2", "block4_conv2"]
rows = {}
for name, network in networks.items():
    for method, maps in maps_by_layer(network, shown[3:], layers).items():
        rows[f"{method}\n{name}"] = {layer: values[0] for layer, values in maps.items()}
figure = draw_grid(rows, dict.fromkeys(rows, shown[3]))

# %% tags=["hide-input"]
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

# %% tags=["hide-input"]
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
# not explain what was learned [adebayo2018sanity](../book/references.bib). With a network connection, `-p weights imagenet` draws
# the pretrained ones.

# %% tags=["hide-input"]
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

# %% mystnb={"figure": {"caption": "VGG16 with random weights asked at five layers: what the architecture alone does.", "name": "fig-attribution-3"}, "image": {"alt": "Grad and grad_input at five layers of VGG16: noisy over the face at first, coarse at last."}} tags=["hide-input"]
rows = {f"{method}\nVGG16": {layer: maps[0] for layer, maps in found.items()} for method, found in deep_maps["vgg16"].items()}
figure = draw_grid(rows, dict.fromkeys(rows, large_face[0]))

# %% mystnb={"figure": {"caption": "ResNet50 with random weights asked at five layers.", "name": "fig-attribution-4"}, "image": {"alt": "Grad and grad_input at five layers of ResNet50, from 32 by 32 cells down to 2 by 2."}} tags=["hide-input"]
rows = {f"{method}\nResNet50": {layer: m[0] for layer, m in found.items()} for method, found in deep_maps["resnet50"].items()}
figure = draw_grid(rows, dict.fromkeys(rows, large_face[0]))

# %% [markdown]
# The checkerboards are real. Max-pooling hands its derivative to one cell of four. The blocks of ResNet50 begin with a stride of
# 2, on both their paths: three cells of four in front of it do not touch the answer at all. PAL at such a layer could not guide
# them.

# %% tags=["hide-input"]
untouched = {}
for name, maps in deep_maps["resnet50"]["grad"].items():
    strided = np.zeros(maps.shape, bool)
    strided[:, ::2, ::2] = True
    untouched[name.split("\n")[0]] = np.mean(maps == 0)
    assert not np.any(maps[~strided]) or name.startswith(("conv1_relu", "conv5_block3_out"))
Markdown("Cells with a derivative of exactly 0: " + ", ".join(f"{layer} {100 * part:.0f} %" for layer, part in untouched.items()))

# %% tags=["hide-input"]
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

# %% mystnb={"figure": {"caption": "All features turned up: the probabilities share out a whole that stays one; the score of the logits moves.", "name": "fig-attribution-5"}, "image": {"alt": "Left: seven probabilities stacked; their shares change but the top stays at one. Right: the score of the logits, which changes."}} tags=["hide-input"]
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
# [`palcore.attribution.attribution_score`](../palcore/attribution.py) therefore takes logits.

# %% tags=["hide-input"]
softmax_gradient = value_and_gradient(lambda f: ops.sum(ops.softmax(head(f))), values)[1]
largest = {"softmax": float(ops.max(ops.abs(softmax_gradient))), "logits": float(ops.max(ops.abs(gradient)))}
assert np.allclose(probabilities.sum(axis=-1), 1, atol=1e-5)
assert largest["softmax"] < 1e-5 * largest["logits"]
Markdown(
    f"Largest derivative of the sum of logits: {largest['logits']:.3g}. Of the sum of probabilities: {largest['softmax']:.1g}."
)

# %% [markdown]
#

# %% [markdown]
# ## Attribution moved is not reliance moved
#
# PAL asks for a map that lies on the face, and gets one. Does the answer then depend on the face? A map cannot say: it is what
# was trained. So ask the network another way, without any derivative. **Cover the patch** in each test face with the picture's
# mean colour, and measure what that does to the logit of the right expression. If the answer had come to depend on the face
# alone, covering the patch would change nothing. As a measure of how much is much, a spot of the same size off the face is
# covered as well.

# %% tags=["hide-input"]
left, top, right, bottom = PATCH_BOX
places = {"patch": PATCH_BOX, "opposite corner": (1 - right, top, 1 - left, bottom)}
rows, drops = {}, {}
of_each = np.arange(len(tests.labels))
boxes = np.repeat(np.array(PATCH_BOX, float)[None], len(tests.labels), axis=0)
for name, network in networks.items():
    maps = ops.convert_to_numpy(watched[name].predict(tests.images[:], verbose=0)["attribution"])
    before = network.predict(tests.images[:], verbose=0)
    row = {"attribution on the patch (%)": 100 * share_in_boxes(maps, boxes).mean()}
    for place, box in places.items():
        after = network.predict(covered(tests, boxes_of(tests, box)).images[:], verbose=0)
        drop = before[of_each, tests.labels] - after[of_each, tests.labels]
        still = np.mean(np.argmax(after, axis=-1) == tests.labels)
        row[f"logit lost, {place} covered"] = drop.mean()
        row[f"accuracy, {place} covered (%)"] = 100 * still
        drops[name, place] = drop
    row["accuracy, nothing covered (%)"] = 100 * np.mean(np.argmax(before, axis=-1) == tests.labels)
    rows[name] = row
moved = pd.DataFrame(rows)
moved.round(1)

# %% mystnb={"figure": {"caption": "Where the attribution lies, and what the answer relies on. Left: the share of the attribution on the patch; the dotted line is the patch's share of the picture. Right: how much the logit of the right expression falls when a place is covered, each test face a dot, the bar their mean.", "name": "fig-reliance"}, "image": {"alt": "Left, two bars: the share of the attribution on the patch without and with PAL, beside the patch's area. Right, four columns of dots: the logit lost when the patch is covered and when the opposite corner is covered, without and with PAL."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9.4, 3.4), width_ratios=(1, 2), layout="constrained")
axes[0].bar(list(rows), [row["attribution on the patch (%)"] for row in rows.values()], color=plots.COLOURS[:2], width=0.6)
axes[0].axhline(100 * (right - left) * (bottom - top), color="0.3", linestyle=":")
axes[0].set(ylabel="attribution on the patch (%)")
for at, ((name, _), drop) in enumerate(drops.items()):
    colour = plots.COLOURS[list(networks).index(name)]
    axes[1].plot(at + np.linspace(-0.25, 0.25, len(drop)), drop, ".", color=colour, alpha=0.35, markersize=4)
    axes[1].plot([at - 0.35, at + 0.35], [drop.mean()] * 2, color="black", linewidth=2)
axes[1].axhline(0, color="0.3", linewidth=1)
axes[1].set_xticks(range(len(drops)), [f"{name},\n{place}" for name, place in drops], fontsize=8)
labels = axes[1].set(ylabel="logit lost when covered")

# %% tags=["hide-input"]
share = {name: rows[name]["attribution on the patch (%)"] for name in rows}
lost = {name: drops[name, "patch"].mean() for name in rows}
area = 100 * (right - left) * (bottom - top)
assert all(np.isfinite(value) and 0 <= value <= 100 for value in share.values())
error = {name: drops[name, "patch"].std(ddof=1) / np.sqrt(len(tests.labels)) for name in rows}
kept = {(name, place): row[f"accuracy, {place} covered (%)"] for name, row in rows.items() for place in ("nothing", "patch")}
relies = lost["with PAL"] > 2 * error["with PAL"]
Markdown(
    f"With PAL, {share['with PAL']:.0f} % of the attribution lies on the patch, which covers {area:.0f} % of the picture; without it, "
    f"{share['without PAL']:.0f} %. Covering the patch takes {lost['with PAL']:.1f} off the right expression's logit with PAL, and "
    f"{lost['without PAL']:.1f} without it (standard errors {error['with PAL']:.1f} and {error['without PAL']:.1f}). "
    + (
        f"The accuracy falls from {kept['with PAL', 'nothing']:.0f} to {kept['with PAL', 'patch']:.0f} % with PAL, and from "
        f"{kept['without PAL', 'nothing']:.0f} to {kept['without PAL', 'patch']:.0f} % without. **So the network with PAL still relies on "
        "the patch, at a place where its attribution shows next to nothing.**"
        if relies and share["with PAL"] < 2 * area
        else "Here the network with PAL no longer relies on the patch beyond doubt: train for longer or shorter, and see it change."
    )
)

# %% [markdown]
# How can that be? The attribution is asked of the last features, and each of their cells sees nearly the whole picture. The patch
# can be *carried* to a cell that lies on the mouth, and is then counted as mouth. PAL says where the evidence must be when it is
# asked for, not where it comes from. [The results](results_shortcut.ipynb) show both for every arm: the share of the attribution
# on the patch, and what covering it costs.
#
# ## Related maps
#
# Two other ways to ask what an answer depends on, on the same faces. Both explain one class $k$, and both were made to look at,
# not to train on. Grad-CAM [selvaraju2017gradcam](../book/references.bib) asks the last map: each channel is weighted by its mean
# derivative. Integrated gradients [sundararajan2017axiomatic](../book/references.bib) ask the pixels: the derivative is averaged
# on the way from a black picture to the face.

# %% tags=["hide-input"]
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

# %% mystnb={"figure": {"caption": "Two faces in two networks, asked in four ways.", "name": "fig-attribution-7"}, "image": {"alt": "Two faces in the networks without and with PAL; beside each face its maps by grad, grad_input, Grad-CAM and integrated gradients. With PAL grad_input keeps closer to the face; the other maps, which PAL does not compare with the heatmap, change less."}} tags=["hide-input"]
figure = draw_grid(rows, {row: maps["face"] for row, maps in rows.items()})

# %% [markdown]
# As formulas, with the class's logit $z_k$, the positive part $(\cdot)_+$ and a black picture $x_0$:
#
# $$ a_{ij} = \left( \sum_{c=1}^{C} f_{ijc} \, \frac{1}{mn} \sum_{i'j'} \frac{\partial z_k}{\partial f_{i'j'c}} \right)_+ $$ (grad-cam)
#
# $$ a_{ijc} = (x - x_0)_{ijc} \int_0^1 \left. \frac{\partial z_k}{\partial x_{ijc}} \right|_{x_0 + t (x - x_0)} dt $$ (integrated-gradients)
#
# Implemented by [`palcore.related_maps.grad_cam`](../palcore/related_maps.py) and
# [`palcore.related_maps.integrated_gradients`](../palcore/related_maps.py).
#
# Grad-CAM and `grad_input` are kin: both weight features by derivatives. Behind global pooling, where a derivative is the same at
# every place and so equals its mean, Grad-CAM is derivative times feature to the last digit, for one class and with its sign.

# %%
image, features, _ = split_at(plain)
pooled = keras.Model(image, keras.layers.Dense(7, name="last")(keras.layers.GlobalAveragePooling2D(name="average")(features)))
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
# Work it out on paper, then check with [`palcore.attribution.AttributionHead`](../palcore/attribution.py).

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
# **2. Loud logits.** Multiply all logits by ten. What happens to the attribution, to PAL and to the cross-entropy? Think first,
# then do it to the last layer of a copy of the network.

# %% tags=["hide-cell"]
# The attribution is ten times as large. PAL is a correlation and stays. The cross-entropy changes: PAL does not care how
# sure the network is.
measured = tests.images[:16]
pal = lambda outputs: float(PrivilegedAttributionLoss()(tests.landmarks[:16], outputs["attribution"]))  # noqa: E731
answer = lambda outputs: float(cross_entropy(tests.labels[:16], outputs["expression"]))  # noqa: E731
loud = keras.models.clone_model(plain)
loud.set_weights(plain.get_weights())
last = loud.get_layer("logits")
last.kernel.assign(10 * last.kernel)
last.bias.assign(10 * last.bias)
quiet_outputs, loud_outputs = with_attribution(plain)(measured), with_attribution(loud)(measured)
np.testing.assert_allclose(loud_outputs["attribution"], 10 * quiet_outputs["attribution"], rtol=1e-3, atol=1e-6)
assert abs(float(pal(loud_outputs)) - float(pal(quiet_outputs))) < 1e-4
assert abs(float(answer(loud_outputs)) - float(answer(quiet_outputs))) > 0.01

# %% [markdown]
# ## In three lines
#
# - An attribution is a derivative of the logits with respect to a layer's features, alone (`grad`) or times the feature
#   (`grad_input`).
# - Of the probabilities it would be zero, always, and no error would say so.
# - PAL moves it onto the face. What the answer relies on is another question, and covering the patch answers it.
