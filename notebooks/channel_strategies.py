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
# # PAL as a correlation, and three ways with the channels
#
# At the end of this chapter you will know why PAL is minus a correlation, what the three strategies do with the channels, and which
# of them leaves the network free to look elsewhere.
#
# Two maps are on the table: the attribution, which says where the network looks, and the heatmap, which says where the landmarks
# are. They are compared first by eye, then by a number, and the number becomes a loss.
#
# All networks on this page are trained while the page is built. They are small and trained briefly, on drawn faces with a
# *shortcut*: a coloured patch in the lower left corner that shows the label of nine training faces in ten. They show how PAL
# works. What it is worth is measured elsewhere, in the [results](results.ipynb).

# %% tags=["parameters"]
seed = 0
image_size = 48  # side of the faces, in pixels; the attributed layer has an eighth as many cells
faces_count = 1400  # training faces
epochs = 3  # of the network that all strategies start from
steps = 30  # batches of 32 faces that each strategy is given
learning_rate = 1e-3

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["hide-input", "remove-stderr"]
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from keras import ops

from palcore.attribution import attribution_map, logits_and_gradient
from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.heatmaps import SIGMA, gaussian_heatmap
from palcore.losses import PrivilegedAttributionLoss, attribution_correlation

# %% tags=["hide-input"]
from palcore.models import with_attribution
from palcore.training import build, check_options
from study.book import figures as plots
from study.book.figures import draw_grid
from study.book.slider import frame_slider, to_png

plots.use_style()
train_faces = load("synthetic", split="train", seed=seed, image_size=image_size, count=faces_count)
test_faces = load("synthetic", split="test", seed=seed, image_size=image_size, count=280, shortcut=0.0)  # the patch says nothing
as_trained = load("synthetic", split="test", seed=seed, image_size=image_size, count=280)  # the same faces, patch as in training
images, landmarks = test_faces.images[:], test_faces.landmarks

# %% [markdown]
# ## A network that takes the shortcut
#
# The first network is trained with the cross-entropy alone. All the others start from its weights. Two helpers do it:
# [`palcore.runs.training.build`](../palcore/runs/training.py) makes and compiles a network from a run's options, and
# [`palcore.models.with_attribution`](../palcore/models.py) adds the attribution.


# %% tags=["hide-input"]
def fresh(strategy, steps, start=None, **changes):
    """A classifier and its compiled training model, with given weights if any, and its batches."""
    options = check_options(
        strategy=strategy, image_size=image_size, units=128, dropout=0.0, batch_size=32, learning_rate=learning_rate, **changes
    )
    classifier, model = build(options, image_size, steps)
    if start is not None:
        classifier.set_weights(start)
    return classifier, model, FaceBatches(train_faces, 32, shuffle=True, seed=seed, attribution=strategy != "none")


def look(classifier, pictures):
    """Logits, and the attribution of every channel: (N, 7) and (N, h, w, C)."""
    outputs = with_attribution(classifier, strategy="all").predict(pictures, verbose=0)
    return outputs["expression"], outputs["attribution"]


# %% tags=["hide-input"]
keras.utils.set_random_seed(seed)
baseline, model, batches = fresh("none", steps=epochs * -(-faces_count // 32))
model.fit(batches, epochs=epochs, verbose=0)
start = baseline.get_weights()
logits, channels = look(baseline, images)
attribution = channels.mean(axis=-1)
cells = attribution.shape[1:]
heatmaps = ops.convert_to_numpy(gaussian_heatmap(landmarks, cells))
accuracies = {
    "patch as in training": np.mean(look(baseline, as_trained.images[:])[0].argmax(-1) == as_trained.labels),
    "patch at random": np.mean(logits.argmax(-1) == test_faces.labels),
}
assert accuracies["patch as in training"] > accuracies["patch at random"] + 0.2
pd.Series(accuracies, name="accuracy").to_frame().round(3)

# %% [markdown]
# It has learned the patch, and little else. Where does it look? Here is a face, the attribution with all channels averaged, and
# the heatmap. On the right, each point is one cell of the map: how much attribution it has, and how much heatmap. Both are
# standardised, which means that their mean is taken away and that they are divided by their standard deviation.


# %%
def standard(values):
    """A map with mean 0 and standard deviation 1."""
    return (values - values.mean()) / values.std()


corner = (-1, 0)  # the patch fills this cell: last row, first column

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Attribution and heatmap of one face, and their cells against each other. The patch is the dot at the lower right.", "name": "fig-channel-strategies-1"}, "image": {"alt": "A face with a patch in the corner, the network's attribution, the heatmap, and a scatter of their cells. The cell of the patch has much attribution and no heatmap."}} tags=["hide-input"]
number = int(np.argmax(attribution[(..., *corner)] / attribution.max(axis=(1, 2))))
figure, axes = plt.subplots(1, 4, figsize=(10.2, 2.9), layout="constrained", width_ratios=(1, 1, 1, 1.35))
axes[0].imshow(images[number], extent=(0, 1, 1, 0))
axes[0].axis("off")
plots.show_map(axes[1], attribution[number])
plots.show_map(axes[2], heatmaps[number])
for axis, title in zip(axes, ("face", "attribution", "heatmap", ""), strict=True):
    axis.set_title(title)
across, up = standard(heatmaps[number]), standard(attribution[number])
slope = float(np.mean(across * up))
axes[3].scatter(across, up, s=22)
axes[3].scatter(across[corner], up[corner], s=60, color=plots.COLOURS[1], marker="s", label="the patch's cell")
axes[3].plot(across.ravel(), slope * across.ravel(), color="black", linewidth=1, label=f"slope r = {slope:.2f}")
axes[3].set(xlabel="heatmap (standardised)", ylabel="attribution (standardised)")
axes[3].yaxis.label.set_size(10)
legend = axes[3].legend(frameon=False, fontsize=9)

# %% [markdown]
# If the two maps agreed, the points would lie on a rising line. The slope of the line through them is the number we want: the
# average product of the two standardised maps, [Eq. correlation](../book/method.md), which is Pearson's correlation.
#
# $$ r(a, h) = \frac{1}{mn} \sum_{i=1}^{m} \sum_{j=1}^{n} \frac{a_{ij} - \bar a}{s_a} \cdot \frac{h_{ij} - \bar h}{s_h} $$
#
# PAL is minus this number, [Eq. pal](../book/method.md). [`palcore.losses.attribution_correlation`](../palcore/losses.py)
# computes it, and [`palcore.losses.PrivilegedAttributionLoss`](../palcore/losses.py) is the loss.


# %% tags=["hide-input"]
def correlation(maps, targets, **options):
    """One number per face, as a NumPy array."""
    return ops.convert_to_numpy(attribution_correlation(maps, targets, **options))


r = correlation(attribution, heatmaps)
pearson = [np.corrcoef(a.ravel(), h.ravel())[0, 1] for a, h in zip(attribution, heatmaps, strict=True)]
np.testing.assert_allclose(r, pearson, atol=1e-4)
assert np.isclose(r[number], slope, atol=1e-4)
pal = PrivilegedAttributionLoss()(landmarks, attribution)
assert np.isclose(float(pal), -np.mean(r), atol=1e-5)
Markdown(f"On {len(r)} test faces the correlation is {r.mean():.2f} on average, so PAL is {float(pal):.2f}.")

# %% [markdown]
# It lies between -1 and 1 at any resolution. Neither the scale of the attribution nor a constant added to it counts: only *where*
# there is more and where there is less.

# %% tags=["hide-input"]
rng = np.random.default_rng(seed)
for size in (2, 7, 14, 56):
    random_maps = rng.exponential(1, (200, size, size)).astype(np.float32) ** 3
    targets = rng.exponential(1, (200, size, size)).astype(np.float32)
    assert np.abs(correlation(random_maps, targets)).max() <= 1 + 1e-5
    np.testing.assert_allclose(correlation(targets, targets), 1, atol=1e-4)
    np.testing.assert_allclose(correlation(-targets, targets), -1, atol=1e-4)
np.testing.assert_allclose(correlation(1e-6 * attribution, heatmaps), r, atol=1e-4)
np.testing.assert_allclose(correlation(attribution + attribution.max(), heatmaps), r, atol=1e-3)

# %% [markdown]
# One case needs care. A map that is the same everywhere has a deviation of zero, and its correlation is zero divided by zero. It
# happens: a face for which all the head's ReLUs are off has an attribution of zero. There the loss is 0 *and its gradient is 0*,
# so that the face teaches nothing, and does no harm.


# %% tags=["hide-input"]
def correlation_and_gradient(maps, targets, combine=lambda maps: maps):
    """The correlation of each face, and its gradient with respect to the maps. Runs on either backend of Keras."""
    layer = keras.layers.Lambda(lambda inputs: attribution_correlation(combine(inputs), targets)[:, None])
    layer.build(maps.shape)
    values, gradient = logits_and_gradient(layer, ops.convert_to_tensor(maps, "float32"), score="logits")
    return ops.convert_to_numpy(values)[:, 0], ops.convert_to_numpy(gradient)


flat, dead = np.full((1, *cells), 0.3, np.float32), np.zeros((1, *cells), np.float32)
for maps in (flat, dead, flat * np.nan):
    value, gradient = correlation_and_gradient(maps, heatmaps[:1])
    assert value == 0 and np.all(gradient == 0)
value, gradient = correlation_and_gradient(attribution[:1], heatmaps[:1])
assert np.abs(gradient).max() > 0

# %% [markdown]
# ## The equations as they were printed
#
# Our source is a report on rebuilding PAL [alozaibi2022implementation](../book/references.bib). It prints the loss as
#
# $$ \mathrm{PAL} = - \sum_{i,j,c} \frac{a_{ijc} - \mu}{\sigma_a} \, h_{ij}, \qquad \mu = \sum_{i,j} a_{ijc}, \qquad
#    \sigma_a^2 = \sum_{i,j} (a_{ijc} - \mu)^2 . $$
#
# It calls $\mu$ and $\sigma_a^2$ the mean and the variance, but they are sums. Does it matter? Go from an attribution that equals
# the heatmap, the best there is, to one that lies on the patch alone, and watch the loss.

# %%
h = heatmaps[0].astype(np.float64)
patch_only = np.zeros_like(h)
patch_only[corner] = h.sum()
share = np.linspace(0, 1, 41)
between = (1 - share)[:, None, None] * h + share[:, None, None] * patch_only
same = np.repeat(h[None], len(share), axis=0)


# %% tags=["hide-input"]


def as_printed(a, h):
    """Equation 4 of the source, to the letter."""
    mu = a.sum()
    return -np.sum((a - mu) / np.sqrt(np.sum((a - mu) ** 2)) * h)


printed = np.array([as_printed(a, h) for a in between])
meant = -correlation(between, same, scaled=False)
ours = -correlation(between, same)

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "The loss on the way from a perfect map to one that lies on the patch: as printed in our source, with mean and deviation, and as it is here.", "name": "fig-channel-strategies-2"}, "image": {"alt": "The heatmap, a map that lies on the patch alone, and the loss on the way from the one to the other. As printed it is almost flat. With mean and deviation it rises; ours rises from -1 to above 0."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 4, figsize=(10.2, 2.9), layout="constrained", width_ratios=(0.8, 0.8, 1.3, 1.3))
plots.show_map(axes[0], h)
plots.show_map(axes[1], patch_only)
axes[0].set_title("the heatmap")
axes[1].set_title("the patch")
axes[2].plot(share, printed, label="as printed")
axes[2].plot(share, meant, "--", label="mean, deviation")
axes[2].set(xlabel="share of the patch", ylabel="PAL (sum over cells)")
axes[2].legend(frameon=False, fontsize=9)
axes[3].plot(share, ours, color=plots.COLOURS[2])
drawn = axes[3].set(xlabel="share of the patch", ylabel="PAL (ours)", ylim=(-1.05, 0.35))

# %% tags=["hide-input"]
assert np.ptp(printed) < 0.1 * np.ptp(meant)
assert np.isclose(ours[0], -1, atol=1e-4) and ours[-1] > 0 and np.all(np.diff(ours) > 0)
Markdown(
    f"From the heatmap to the patch, the loss as printed changes by {np.ptp(printed):.2f}, and with a mean and a deviation by "
    f"{np.ptp(meant):.2f}. The sum $\\mu$ is larger than any cell, so what is left of the attribution after subtracting it is nearly "
    "the same number everywhere."
)

# %% [markdown]
# So we read mean and standard deviation, as the words say. Three more changes are ours.
#
# Divide by the number of cells and by the heatmap's deviation
# : Without them the loss is the correlation times $mn \, s_h$. It grows with the resolution, and faces whose landmarks stand close
#   weigh more than others. That form is there as `scaled=False`.
#
# Subtract the heatmap's mean, or don't
# : It changes nothing, because the standardised attribution sums to zero.
#
# Guard the flat map
# : See above.

# %% tags=["hide-input"]
rows = {}
for size in (7, 14, 28, 56):
    blunt = ops.convert_to_numpy(gaussian_heatmap(landmarks[:50], size, 3 * SIGMA))
    target = ops.convert_to_numpy(gaussian_heatmap(landmarks[:50], size))
    sums = correlation(blunt, target, scaled=False)
    np.testing.assert_allclose(sums, correlation(blunt, target) * size**2 * target.std(axis=(1, 2)), rtol=1e-3)
    centred = correlation(blunt, target - target.mean(axis=(1, 2), keepdims=True), scaled=False)
    np.testing.assert_allclose(sums, centred, rtol=1e-3)
    rows[f"{size} x {size}"] = {"sum over cells": sums.mean(), "correlation": correlation(blunt, target).mean()}
forms = pd.DataFrame(rows).T
assert forms["sum over cells"].is_monotonic_increasing
forms.round(2)

# %% [markdown]
# The table compares the same two maps at four resolutions: a heatmap three times as wide as the target. A weight of PAL that is
# right for one layer would be wrong for the next, if the loss were the sum.
#
# ## Sum or mean over the channels
#
# The source has three strategies. Its equations for them are
#
# $$ a_{ij} = \sum_{c=1}^{C} a_{ijc} \quad (\text{all}), \qquad a_{ij} = \frac{1}{C} \sum_{c=1}^{C} a_{ijc} \quad (\text{mean}),
#    \qquad a_{ij} = \frac{1}{C_1} \sum_{c=1}^{C_1} a_{ijc}, \ C_1 = \frac{C}{2} \quad (\text{half}), $$
#
# and it says that the factor $1/C$ makes the loss smaller. It cannot: the map is divided by its own deviation next, and the
# factor cancels.

# %%
total, mean = channels.sum(axis=-1), channels.mean(axis=-1)
np.testing.assert_allclose(correlation(total, heatmaps), correlation(mean, heatmaps), atol=1e-4)
_, by_sum = correlation_and_gradient(channels[:8], heatmaps[:8], lambda maps: ops.sum(maps, axis=-1))
_, by_mean = correlation_and_gradient(channels[:8], heatmaps[:8], lambda maps: ops.mean(maps, axis=-1))
np.testing.assert_allclose(by_sum, by_mean, rtol=1e-2, atol=1e-4 * np.abs(by_mean).max())

# %% [markdown]
# The same loss and the same gradient: as printed, `all` and `mean` are one strategy. The source's words for `all` say that PAL is
# computed "across all its channels", and its loss has a sum over $c$. We take the words: with `all` each channel is standardised
# and compared with the heatmap by itself, and PAL is the average over the channels, [Eq. strategies](../book/method.md) and
# [Eq. pal](../book/method.md). An odd number of channels has no half; we round $C_1$ down.
#
# ## Three strategies on the same network
#
# Now the three losses of one network, the one that looks at the patch.


# %% tags=["hide-input"]
def combine(strategy):
    """Attributions of all channels to the map, or the maps, that the strategy compares with the heatmap."""
    return lambda maps: attribution_map(maps, ops.ones_like(maps), "grad_input", strategy)


some, targets = channels[:32], heatmaps[:32]
values, gradients = {}, {}
for strategy in ("all", "mean", "half"):
    values[strategy], gradients[strategy] = correlation_and_gradient(some, targets, combine(strategy))
each = np.stack([correlation(some[..., channel], targets) for channel in range(some.shape[-1])], axis=-1)  # (32, C)
np.testing.assert_allclose(values["all"], each.mean(axis=-1), atol=1e-4)
strength = {strategy: np.sqrt(np.mean(gradient**2, axis=(0, 1, 2))) for strategy, gradient in gradients.items()}
half = some.shape[-1] // 2
assert np.all(strength["half"][half:] == 0) and strength["half"][:half].max() > 0
np.testing.assert_allclose(strength["mean"], strength["mean"][0], rtol=1e-4)

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Single channels: how they correlate with the heatmap, and how strongly each is pulled by each strategy.", "name": "fig-channel-strategies-3"}, "image": {"alt": "Left: histogram of the correlation of single channels with the heatmap, and lines at the value of each strategy. Right: strength of the gradient that each channel gets from PAL: even with mean, zero for the second half with half, uneven with all."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.5), layout="constrained")
live = some.max(axis=(1, 2)) > 0
axes[0].hist(each[live], bins=40, color="0.75")
for index, (strategy, dashes) in enumerate((("all", "-"), ("mean", "--"), ("half", ":"))):
    level = values[strategy].mean()
    axes[0].axvline(level, color=plots.COLOURS[index], linestyle=dashes, linewidth=2.5, label=f"{strategy}: {level:.2f}")
    relative = strength[strategy] / strength["mean"].mean()
    order = np.arange(len(relative))
    style = {"marker": ".", "linestyle": "none"} if strategy == "all" else {"linestyle": dashes, "linewidth": 2.5}
    axes[1].plot(order, relative, color=plots.COLOURS[index], label=strategy, **style)
axes[0].set(xlabel="correlation with the heatmap", ylabel="channels of 32 faces", xlim=(-1, 1), xticks=(-1, -0.5, 0, 0.5, 1))
axes[1].set(xlabel="channel", ylabel="gradient (mean = 1)", yscale="symlog", ylim=(0, None))
for axis in axes:
    axis.legend(frameon=False, fontsize=10)

# %% tags=["hide-input"]
Markdown(
    f"Of the channels {100 * (1 - live.mean()):.0f} % are silent on a face; the histogram leaves them out, and in `all` they count as "
    f"0. PAL of this network is {-values['all'].mean():.2f} with `all`, {-values['mean'].mean():.2f} with `mean` and "
    f"{-values['half'].mean():.2f} with `half`."
)

# %% [markdown]
# With `mean` each channel's attribution is pulled equally, and channels may share the work: one covers the eyes, another the mouth.
# With `all` each has to look like the whole heatmap, and a weak channel gets a large gradient because it is divided by its own
# small deviation. With `half` the second half of the channels gets no gradient from PAL at all.
#
# ## Where the strategies lead
#
# Each strategy now trains that same network for a few steps more, on the same batches.


# %% tags=["hide-input"]
marks = sorted({round(steps * share) for share in (0, 0.04, 0.07, 0.1, 0.17, 0.25, 0.33, 0.5, 0.67, 0.83, 1)})


def teach(strategy, **changes):
    """Train on from the common start. Returns the classifier, and the channels of some faces at some of the steps."""
    classifier, model, batches = fresh(strategy, steps, start, schedule="constant", **changes)
    watched, seen = with_attribution(classifier, strategy="all"), {}
    for step in range(steps + 1):
        if step in marks:
            seen[step] = watched.predict_on_batch(images[:4])["attribution"]
        if step < steps:
            model.train_on_batch(*batches[step % len(batches)])
    return classifier, seen


# %%
taught = {strategy: teach(strategy) for strategy in ("none", "all", "mean", "half")}
films = {strategy: seen for strategy, (_, seen) in taught.items()}
after = {"at the start": baseline} | {strategy: classifier for strategy, (classifier, _) in taught.items()}
outcomes = {name: look(classifier, images) for name, classifier in after.items()}


# %% tags=["hide-input"]
def describe(logits, channels):
    """What a network looks at: correlations with the heatmap, share of the attribution in the patch's cell, accuracy."""
    parts = {"all channels": channels, "first half": channels[..., :half], "second half": channels[..., half:]}
    maps = {part: values.mean(axis=-1) for part, values in parts.items()}
    row = {f"r, {part}": correlation(values, heatmaps).mean() for part, values in maps.items()}
    row |= {f"patch, {part}": np.mean(values[(..., *corner)]) / values.mean() / np.prod(cells) for part, values in maps.items()}
    return row | {"accuracy": np.mean(logits.argmax(-1) == test_faces.labels)}


table = pd.DataFrame({name: describe(*outcome) for name, outcome in outcomes.items()}).T
table.round(3)

# %% tags=["hide-input"]
channelwise = {name: correlation(maps[:64], heatmaps[:64]).mean() for name, (_, maps) in outcomes.items()}
assert table.loc["mean", "r, all channels"] > table.loc["none", "r, all channels"] + 0.2
assert table.loc["half", "r, first half"] > table.loc["half", "r, second half"] + 0.2
assert table.loc["half", "patch, second half"] > table.loc["half", "patch, first half"]
assert channelwise["all"] > max(channelwise["at the start"], channelwise["none"])
Markdown(
    f"By itself, an average channel correlates with the heatmap at {channelwise['at the start']:.2f} at the start, and at "
    f"{channelwise['all']:.2f} after `all`, {channelwise['mean']:.2f} after `mean`, {channelwise['half']:.2f} after `half` and "
    f"{channelwise['none']:.2f} after as many steps without PAL."
)

# %% [markdown]
# In the table, `r` is the correlation with the heatmap, and `patch` the share of the attribution in the cell of the patch. If the
# attribution were spread evenly, that share would be one over the number of cells. The accuracy is that on faces whose patch
# says nothing; so few steps do not make a good network of one that only knew the patch.
#
# The interesting row is `half`. The half that PAL constrains looks at the landmarks. The other half is free, and it stays with
# what it was: it follows the patch.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Two faces after each strategy, the two halves of the channels apart.", "name": "fig-channel-strategies-4"}, "image": {"alt": "Maps of two faces, split into the first and the second half of the channels, at the start and after as many steps without PAL and with each strategy. After half, the first half lies on the face; the second still reaches down to the lower left corner, where the patch is."}} tags=["hide-input"]
columns = [f"face {face}, {part} half" for face in (1, 2) for part in ("1st", "2nd")]
underlay = dict(zip(columns, images[[0, 0, 1, 1]], strict=True))
rows = {}
for name in ("at the start", "none", "all", "mean", "half"):
    parts = [outcomes[name][1][face][..., part].mean(-1) for face in (0, 1) for part in (slice(half), slice(half, None))]
    rows[name] = dict(zip(columns, parts, strict=True))
figure = draw_grid(rows, images=underlay, side=1.6)
for axis in figure.axes:
    axis.title.set_fontsize(10)

# %% [markdown]
# Move the slider to see it happen, step by step.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Three faces after the last training step of each strategy.", "name": "fig-channel-strategies-5"}, "image": {"alt": "Three faces, their attributions for all, mean and both halves of half after the last training step, and their heatmaps."}} tags=["hide-input"]
frames = {}
for step in marks:
    views = {"all": films["all"][step], "mean": films["mean"][step]}
    views |= {"half: first": films["half"][step][..., :half], "half: second": films["half"][step][..., half:]}
    rows = {
        f"face {face + 1}": {"face": images[face]}
        | {name: maps[face].mean(-1) for name, maps in views.items()}
        | {"heatmap": heatmaps[face]}
        for face in range(3)
    }
    frames[str(step)] = to_png(draw_grid(rows, side=1.45), dpi=90, colours=128)
frame_slider(
    frames, "training step", "Three faces and their attributions for all, mean and both halves of half.", start=str(marks[-1])
)

# %% [markdown]
# ## The weight and the width
#
# Two numbers are left to choose: the weight $\lambda$ of PAL in the total loss, [Eq. total-loss](../book/method.md), and the
# width $\sigma$ of the landmarks' Gaussians. The same start, the same steps, strategy `mean`:

# %% tags=["hide-input"]
middle = "λ = 1,\nσ = 3/112"
choices = {
    "λ = 0.1": {"pal_weight": 0.1},
    "λ = 10": {"pal_weight": 10.0},
    "σ = 16/112": {"sigma": 16 / 112},
}
found = {"λ = 0": outcomes["none"][1], middle: outcomes["mean"][1]}
for name, changes in choices.items():
    found[name] = look(teach("mean", **changes)[0], images)[1]
low, high, blunt = choices
maps = {name: found[name].mean(axis=-1) for name in ("λ = 0", low, middle, high, blunt)}
wide = ops.convert_to_numpy(gaussian_heatmap(landmarks, cells, 16 / 112))

# %% mystnb={"figure": {"caption": "Three faces for several weights of PAL, and for a wide heatmap.", "name": "fig-channel-strategies-6"}, "image": {"alt": "Attributions of three faces for the weights 0, 0.1, 1 and 10 and for a wide sigma, beside the two heatmaps. They come closer to the heatmap with the weight, and turn into one hill with the wide sigma."}} tags=["hide-input"]
rows = {
    f"face {face + 1}": {"face": images[face]}
    | {name: values[face] for name, values in maps.items()}
    | {"heatmap\n3/112": heatmaps[face], "heatmap\n16/112": wide[face]}
    for face in range(3)
}
figure = draw_grid(rows, side=1.4)

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        name.replace("\n", " "): {
            "r, heatmap of 3/112": correlation(values, heatmaps).mean(),
            "r, of 16/112": correlation(values, wide).mean(),
        }
        for name, values in maps.items()
    }
).T
column = table["r, heatmap of 3/112"].to_numpy()
assert column[0] < column[1] < column[3] and column[0] < column[2] <= column[3] + 0.02
gain = (table["r, of 16/112"] - table["r, heatmap of 3/112"]).to_numpy()
assert gain[4] > gain[2]  # taught with the wide heatmap, it takes after the wide one
table.round(2)

# %% [markdown]
# More weight, more agreement. With the wide Gaussian the target is one hill over the face, and the attribution becomes one hill.
# Whether more agreement is better is another question: PAL says where to look, not what to see there. The
# [controlled experiment](shortcut.ipynb) takes it up.
#
# ## Exercises
#
# Open this page in JupyterLab (`make lab`) and write in the cells below. Each runs as it stands. The solutions are folded away.
#
# **Exercise 1.** Can PAL make the attribution larger? Derive the gradient of [Eq. correlation](../book/method.md) with respect to
# $a_{ij}$, compare it with the computed one, and show that it sums to zero and is at right angles to the attribution. *Hint:*
# write $\hat a$ and $\hat h$ for the standardised maps.

# %%
value, gradient = correlation_and_gradient(attribution[:1], heatmaps[:1])
mine = np.zeros_like(gradient)  # your formula
print("largest difference:", np.abs(gradient - mine).max())

# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
# dr/da = (h^ - r a^) / (mn s_a). Both h^ and a^ sum to zero, so the gradient does: no map gets more attribution in total. And
# its product with a^ is r - r = 0: to first order, the attribution is moved from cell to cell, never scaled.
a = attribution[0].astype(np.float64)
mine = (standard(heatmaps[0]) - value[0] * standard(a)) / (a.size * a.std())
np.testing.assert_allclose(gradient[0], mine, rtol=1e-2, atol=1e-3 * np.abs(mine).max())
assert abs(gradient.sum()) < 1e-3 * np.abs(gradient).sum()
assert abs(np.sum(gradient[0] * a)) < 1e-3 * np.sum(np.abs(gradient[0] * a))

# %% [markdown]
# **Exercise 2.** Why not the cosine of the two maps, which needs no means? Compute it for an attribution that is the same
# everywhere, and compare.


# %%
def cosine(a, h):
    return 0.0  # your formula


print("cosine of a flat map:", cosine(np.ones(cells), heatmaps[0]), " correlation:", correlation(flat, heatmaps[:1])[0])


# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
# Both maps are positive, so their cosine is positive whatever they show. Looking everywhere alike already scores high; only the
# correlation gives it nothing.
def cosine(a, h):
    return np.sum(a * h) / np.sqrt(np.sum(a**2) * np.sum(h**2))


everywhere = [cosine(np.ones(cells), h) for h in heatmaps]
assert min(everywhere) > 0.4 and correlation(flat, heatmaps[:1])[0] == 0
print(
    f"a flat map has a cosine of {np.mean(everywhere):.2f}, the network's {np.mean([cosine(*p) for p in zip(attribution, heatmaps, strict=True)]):.2f}"
)

# %% [markdown]
# **Exercise 3.** The source's loss sums over $i$, $j$ *and* $c$. Another reading than ours takes one mean and one deviation over
# all three. Show that this is the strategy `mean`, but for a factor for each face. What does the factor punish?

# %%
a = channels[0].astype(np.float64)  # (h, w, C)
joint = 0.0  # your formula
print("joint:", joint, " mean:", correlation(a.mean(axis=-1)[None], heatmaps[:1], scaled=False)[0])

# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
# The heatmap does not depend on c, so the sum over c acts on a alone: sum_c (a_ijc - mu) = C (a_ij - mean a_ij). What is left is the
# joint deviation in place of that of the mean map: a factor C s_mean / s_joint. It is small where single channels are strong
# in places of their own: this reading punishes channels that differ, `mean` does not.
joint = np.sum((a - a.mean()) / a.std() * heatmaps[0][..., None])
factor = a.shape[-1] * a.mean(axis=-1).std() / a.std()
np.testing.assert_allclose(joint, factor * correlation(a.mean(axis=-1)[None], heatmaps[:1], scaled=False)[0], rtol=1e-3)
print(f"factor {factor:.1f} of at most {a.shape[-1]}")

# %% [markdown]
# ## In three lines
#
# - With both maps standardised PAL is minus a correlation: between -1 and 1 at any size of map.
# - `all` pulls each channel by itself, `mean` their average, `half` leaves the second half free: here that half kept more on the patch than the first.
# - A heavier PAL brings the map closer to the heatmap. What that is worth is measured in the [results](results.ipynb).
