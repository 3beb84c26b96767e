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
# # The heatmap: from 68 points to a map
#
# At the end of this chapter you will know how 68 points become a map as coarse as a network's features, why each cell holds an
# average, and where the usual way of drawing goes wrong.
#
# The landmarks of a face are points. What a layer of a network contributes to the answer is a map. To compare the two, the
# points have to become a map as well: the *heatmap*.
#
# Every claim on this page is computed on this page and asserted in the cell that makes it. The symbols are those of
# [the method page](../book/method.md).

# %% tags=["parameters"]
seed = 0
image_size = 112  # side of the faces, in pixels
faces_count = 64  # how many faces the numbers are taken from

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["hide-input", "remove-stderr"]
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from palcore.data import geometry, load
from palcore.data.changes import DRAWS, augmented, crop_faces
from palcore.heatmaps import SIGMA, gaussian_heatmap, region_weights
from palcore.landmarks import REGIONS
from study.book import figures as plots
from study.book.blurred import blurred_heatmap
from study.book.figures import draw_grid, draw_landmarks
from study.book.slider import frame_slider, to_png

plots.use_style()


# %% tags=["hide-input"]
def draw(landmarks, size, sigma=SIGMA, weights=None):
    """The exact heatmap as a NumPy array."""
    return keras.ops.convert_to_numpy(gaussian_heatmap(landmarks, size, sigma, weights))


def correlate(first, second):
    """Correlation of two maps over their cells."""
    return float(np.corrcoef(np.ravel(first), np.ravel(second))[0, 1])


faces = load("synthetic", split="test", seed=seed, shortcut=None, image_size=image_size, count=faces_count)
landmarks = faces.landmarks
face, points = faces.images[0], landmarks[0]
assert points.shape == (68, 2)

# %% [markdown]
# ## A bump for each landmark
#
# Put one round bump on each landmark and add them up.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "From points to a map: 68 landmarks, the bump of one of them, those of the mouth, and all of them added up.", "name": "fig-heatmaps-1"}, "image": {"alt": "A drawn face with 68 landmarks marked by region, then one bump at the tip of the nose, the bumps of the mouth, and all bumps added up."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 4, figsize=(9.2, 3.0), layout="constrained")
axes[0].imshow(face, extent=(0, 1, 1, 0))
draw_landmarks(axes[0], points)
axes[0].set_title("68 landmarks")
steps = {"one bump": [30], "the mouth's 20": REGIONS["mouth"], "all 68": range(68)}
for axis, (title, indices) in zip(axes[1:], steps.items(), strict=True):
    plots.show_map(axis, draw(points[None, list(indices)], image_size)[0], face)
    axis.set_title(title)
legend = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, markerscale=1.6)

# %% [markdown]
# A bump is a Gaussian with a peak of 1. Its width $\sigma$ is given as a fraction of the image side, so that it means the same at
# every resolution. The heatmap at a point $p$ of the image is the sum over the landmarks $p_l$, [Eq. heatmap](../book/method.md):
#
# $$ h(p) = \sum_{l=1}^{68} w_l \exp\left(-\frac{\lVert p - p_l \rVert^2}{2 \sigma^2}\right) $$
#
# The weights $w_l$ are 1 for now. Written out in NumPy for the centre of each pixel, this is what
# [`palcore.heatmaps.gaussian_heatmap`](../palcore/heatmaps.py) draws. The function averages over the pixel instead of looking at
# its centre; at this resolution the two are nearly the same.

# %% tags=["hide-input"]
centres = (np.arange(image_size) + 0.5) / image_size
across = (centres[None, None, :] - points[:, 0, None, None]) ** 2
down = (centres[None, :, None] - points[:, 1, None, None]) ** 2
by_hand = np.exp(-(across + down) / (2 * SIGMA**2)).sum(axis=0)
exact = draw(points[None], image_size)[0]

error = np.abs(by_hand - exact).max() / exact.max()
assert error < 0.01
Markdown(
    f"The two differ by at most {100 * error:.2f} % of the largest value, which is {exact.max():.1f}: "
    "where landmarks stand close, their bumps add up."
)

# %% [markdown]
# ## One blur for all landmarks
#
# There is a shortcut that looks the same: set the pixel under each landmark to one, then blur the whole picture once with a
# Gaussian filter. It is one pass instead of 68. `blurred_heatmap` of `study/book/blurred.py` does it.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "The sum of bumps, the blur of a binary picture, and what the blur loses where landmarks share a pixel.", "name": "fig-heatmaps-2"}, "image": {"alt": "Three maps of one face: the sum of bumps, the one-pass blur, and their difference, which is not zero along brows, eyes and mouth."}} tags=["hide-input"]
blurred = blurred_heatmap(points[None], image_size)[0]
largest = np.abs(exact - blurred).max()
figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.9), layout="constrained")
views = {
    "sum of 68 bumps": (exact, "cividis", (0, exact.max())),
    "one blur": (blurred, "cividis", (0, exact.max())),
    "sum minus blur": (exact - blurred, "RdBu_r", (-largest, largest)),
}
for axis, (title, (values, colours, limits)) in zip(axes, views.items(), strict=True):
    plots.show_map(axis, values, cmap=colours, vmin=limits[0], vmax=limits[1])
    axis.set_title(title)
    figure.colorbar(axis.images[0], ax=axis, shrink=0.85)

# %% tags=["hide-input"]
share, likeness = largest / exact.max(), correlate(exact, blurred)
assert share > 0.01 and likeness > 0.9
Markdown(
    f"They differ by up to {largest:.2f}, which is {100 * share:.0f} % of the largest value. Their correlation is {likeness:.4f}: "
    "by eye, and for PAL on a face that is well inside its picture, the difference is small."
)

# %% [markdown]
# Small on average is not small always. There are four places where the blur goes wrong, each shown on one or two landmarks:
#
# coincide
# : Two landmarks in one pixel set the same pixel to one, and count once.
#
# leaves the image
# : A landmark just outside has no pixel to set. Its bump, of which nearly half lies inside, is lost.
#
# rounding
# : A landmark moves to the centre of its pixel.
#
# wraps round
# : In NumPy the index -3 is legal and means the third pixel from the end. A landmark that left the image on the left comes back
#   on the right.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Four accidents, sum above and blur below: landmarks on one another, one outside, one between pixels, one with a negative index.", "name": "fig-heatmaps-3"}, "image": {"alt": "Two rows of four maps, the sum above and the blur below. The blur halves coincident landmarks, drops one that left the image, shifts one, and shows one on the wrong side."}} tags=["hide-input"]
pixels, wide = 28, 0.09
corner = 14.98 / pixels  # just inside the lower right corner of pixel 14
cases = {
    "coincide": np.array([[0.505, 0.505], [0.505, 0.505]]),
    "leaves the image": np.array([[-0.02, 0.505]]),
    "rounding": np.array([[corner, corner]]),
    "wraps round": np.array([[-0.1, 0.505]]),
}
sums = {name: draw(place[None], pixels, wide)[0] for name, place in cases.items()}
blurs = {
    name: blurred_heatmap(place[None], pixels, wide, outside="wrap" if name == "wraps round" else "drop")[0]
    for name, place in cases.items()
}
figure = draw_grid({"sum": sums, "one blur": blurs}, limits=(0, 2), unit="heatmap", side=1.9)

# %% tags=["hide-input"]
from scipy.ndimage import center_of_mass

single = blurred_heatmap(cases["coincide"][None, :1], pixels, wide)[0]
assert np.array_equal(blurs["coincide"], single)
np.testing.assert_allclose(sums["coincide"], 2 * draw(cases["coincide"][None, :1], pixels, wide)[0], rtol=1e-5)
assert blurs["leaves the image"].max() == 0 and sums["leaves the image"].max() > 0.5
shift = np.subtract(center_of_mass(sums["rounding"]), center_of_mass(blurs["rounding"]))
np.testing.assert_allclose(shift, 0.48, atol=0.01)
wrong_side = blurs["wraps round"][:, pixels // 2 :].max(), sums["wraps round"][:, pixels // 2 :].max()
assert wrong_side[0] > 0.9 and wrong_side[1] < 1e-3
Markdown(
    f"Rounding moves the bump by {shift[0]:.2f} pixels along each axis, nearly the half pixel that is possible. The landmark that "
    f"wraps round peaks at {wrong_side[0]:.2f} on the far side of the face, where the sum holds {wrong_side[1]:.4f}."
)

# %% [markdown]
# How often does it happen? Landmarks share a pixel more often the coarser the picture is, and they leave the image when a face
# is shifted and rotated, as training does to every face, or cropped.

# %% tags=["hide-input"]
rng = np.random.default_rng(seed)
moved = augmented(faces, rng.random((faces_count, DRAWS)))
rows = {}
for size in (image_size, 48, 28, 14):
    cells = np.floor(landmarks * size)
    lost = [68 - len(np.unique(places, axis=0)) for places in cells]
    rows[f"{size} px"] = {"landmarks merged, per face": np.mean(lost), "at most": max(lost)}
merged = pd.DataFrame(rows).T.astype({"at most": int})
assert merged.iloc[:, 0].is_monotonic_increasing and merged.iloc[-1, 0] > 5
merged.round(2)

# %% tags=["hide-input"]
sides = rng.uniform(0.6, 1, (faces_count, 1))
cropped = crop_faces(moved, np.hstack([rng.random((faces_count, 2)) * (1 - sides), sides]))
outside = [np.any((some.landmarks < 0) | (some.landmarks >= 1), axis=-1).mean() for some in (faces, moved, cropped)]
assert outside[0] <= outside[1] < outside[2]
Markdown(
    f"Of the landmarks of these faces {100 * outside[0]:.1f} % lie outside the image, {100 * outside[1]:.1f} % after one random "
    f"flip, shift, rotation and scaling, and {100 * outside[2]:.1f} % where up to 40 % of the picture is cropped away as well."
)

# %% [markdown]
# The factor in front of a Gaussian is sometimes written as one over $\sqrt{2 \pi \sigma^2}$, as in one dimension, and sometimes
# as one over $2 \pi \sigma^2$. It makes no difference to PAL, which compares the maps by their correlation,
# [Eq. correlation](../book/method.md). We give each bump a peak of 1.

# %%
factor = 1 / np.sqrt(2 * np.pi * SIGMA**2)
assert np.isclose(correlate(exact, blurred), correlate(factor * exact, blurred), atol=1e-6)

# %% [markdown]
# ## What sigma does
#
# A network does not see the heatmap at the resolution of the image. It is compared with a layer's attribution, which for a
# picture of 112 or 224 pixels has 28 by 28, 14 by 14 or 7 by 7 cells. Move the slider: on the fine map the width is what you see,
# on the coarse map it hardly matters until a bump is as wide as a cell.

# %%
resolutions = (image_size, 28, 14, 7)


def maps_of_width(width):
    """Maps of the first face at each resolution, the width in 112ths of the side."""
    return {f"{size} x {size}": draw(points[None], size, width / 112)[0] for size in resolutions}


# %% mystnb={"figure": {"caption": "One face's heatmap at four resolutions.", "name": "fig-heatmaps-4"}, "image": {"alt": "The heatmap of one face at 112, 28, 14 and 7 cells along the side, with sigma 3/112."}} tags=["hide-input"]
widths = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24)
frames = {f"{width}/112": to_png(draw_grid({"": maps_of_width(width)}, side=2.1), dpi=100, colours=64) for width in widths}
frame_slider(frames, "sigma", "The heatmap of one face at 112, 28, 14 and 7 cells along the side.", start="3/112")

# %% [markdown]
# The same for print, three widths at once:

# %% mystnb={"figure": {"caption": "What the width of the Gaussian does at each resolution: on a coarse map, little.", "name": "fig-heatmaps-5"}, "image": {"alt": "Grid of heatmaps: three widths of the Gaussian in rows, four resolutions in columns. The rows differ at 112 cells and look alike at 7, but for the widest."}} tags=["hide-input"]
rows = {rf"$\sigma$ = {width}/112": maps_of_width(width) for width in (1, 3, 12)}
figure = draw_grid(rows, images=dict.fromkeys(rows, face))

# %% [markdown]
# The numbers say the same. Each is the correlation between the heatmap with the width of its column and the one with our default,
# [`palcore.heatmaps.SIGMA`](../palcore/heatmaps.py), 3/112, averaged over the faces.

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        f"{width}/112": {
            f"{size} x {size}": np.mean(
                [correlate(*pair) for pair in zip(draw(landmarks, size, width / 112), draw(landmarks, size), strict=True)]
            )
            for size in resolutions
        }
        for width in (1, 2, 3, 6, 12, 24)
    }
)
narrow = table["1/112"]
assert narrow.is_monotonic_increasing and narrow["7 x 7"] > 0.98
assert (table["24/112"] < table["6/112"]).all()
table.round(3)

# %% [markdown]
# A cell of the 7 by 7 map is 16/112 wide. Averaging over it is a blur of its own, next to which a Gaussian of 3/112 is narrow.
# So for the last layers of a network the choice of $\sigma$ matters only when it is wide, and then it says less: a wide heatmap
# is a single hill in the middle of the face.
#
# ## A coarse map must not be sampled
#
# How does one get a value for each of 7 by 7 cells? The easy way is to evaluate [Eq. heatmap](../book/method.md) at the centre of
# each cell. Take one landmark and push it to the right, through two cells:

# %%
cells = 7
track = np.linspace(3 / cells, 5 / cells, 121)
runners = np.stack([track, np.full_like(track, 3.5 / cells)], axis=-1)[:, None]
middles = (np.arange(cells) + 0.5) / cells
apart = (runners[..., 0, None] - middles) ** 2  # (121, 1, 7)
above = (runners[..., 1, None] - middles) ** 2
sampled = np.exp(-(apart[:, 0, None, :] + above[:, 0, :, None]) / (2 * SIGMA**2))
averaged = draw(runners, cells)

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Why cells are averaged. While a landmark moves, a value taken at cell centres swings; the average is steady.", "name": "fig-heatmaps-6"}, "image": {"alt": "Left: one bump among 7 by 7 cells with their centres. Middle and right: the value of a cell and the total of all cells while the landmark moves. The sampled curves swing between 0 and 1, the averaged total is constant."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
plots.show_map(axes[0], draw(runners[:1], 224)[0])
axes[0].scatter(*np.meshgrid(middles, middles), s=14, marker="+", color="white")
for edge in np.arange(1, cells) / cells:
    axes[0].axhline(edge, color="white", linewidth=0.6)
    axes[0].axvline(edge, color="white", linewidth=0.6)
axes[0].annotate("", (5 / cells, 0.5), (3 / cells, 0.5), arrowprops={"arrowstyle": "->", "color": "white", "linewidth": 2})
axes[0].set_title("cells and their centres")
for axis, total, title in ((axes[1], False, "value of the middle cell"), (axes[2], True, "total of all cells")):
    for maps, name, dashes in ((sampled, "at the centre", "-"), (averaged, "average", "--")):
        values = maps.sum(axis=(1, 2)) if total else maps[:, 3, 3]
        axis.plot(track * cells, values, dashes, linewidth=2.2, label=name)
    axis.set(xlabel="landmark's place (in cells)", title=title, ylim=(-0.03, 1.08))
legend = axes[1].legend(frameon=False, loc="upper right")

# %% tags=["hide-input"]
sampled_total, averaged_total = sampled.sum(axis=(1, 2)), averaged.sum(axis=(1, 2))
assert sampled_total.max() / sampled_total.min() > 10
assert np.ptp(averaged_total) < 1e-3 * averaged_total.mean()
Markdown(
    f"Sampled at the centres, the same landmark has a total between {sampled_total.min():.3f} and {sampled_total.max():.3f}, "
    "depending on nothing but where in its cell it stands. Averaged over the cells it has "
    f"{averaged_total.mean():.3f}, wherever it stands."
)

# %% [markdown]
# That is aliasing. The bump is narrower than the grid it is sampled on, so most of the time it falls between the samples. The
# cure is to give each cell the average of [Eq. heatmap](../book/method.md) over its area. It need not be approximated: a Gaussian
# is a factor in $u$ times a factor in $v$, and the average of each over an interval is a difference of two values of the error
# function, [Eq. cell-average](../book/method.md):
#
# $$ G_n(t, j) = n \sigma \sqrt{\frac{\pi}{2}} \left[ \operatorname{erf}\left(\frac{(j + 1)/n - t}{\sqrt 2\, \sigma}\right)
#  - \operatorname{erf}\left(\frac{j/n - t}{\sqrt 2\, \sigma}\right) \right] $$
#
# The heatmap is then one product of two small matrices, with a column for each landmark:


# %% tags=["hide-input"]
from scipy.special import erf


def averages(t, n):
    """G_n(t, j) for each landmark and cell: (68, n)."""
    edges = np.arange(n + 1) / n
    steps = erf((edges - t[:, None]) / (np.sqrt(2) * SIGMA))
    return n * SIGMA * np.sqrt(np.pi / 2) * np.diff(steps, axis=1)


written_out = averages(points[:, 1], 7).T @ averages(points[:, 0], 7)
np.testing.assert_allclose(written_out, draw(points[None], 7)[0], atol=1e-4)

# %% [markdown]
# Is that the right average? Brute force: draw the same bumps on a grid 64 times finer and average each block of 64 by 64. The
# faces are moved about first, so that some of their landmarks lie outside.

# %% tags=["hide-input"]
fine = 64
centres = (np.arange(7 * fine) + 0.5) / (7 * fine)
exact_maps = draw(moved.landmarks[:4], 7)
brute_maps = []
for places in moved.landmarks[:4].astype(np.float64):
    columns, rows = (np.exp(-((centres - places[:, axis, None]) ** 2) / (2 * SIGMA**2)) for axis in (0, 1))
    brute_maps.append((rows.T @ columns).reshape(7, fine, 7, fine).mean(axis=(1, 3)))
worst = np.abs(exact_maps - brute_maps).max() / exact_maps.max()
assert worst < 1e-3
Markdown(f"The largest deviation from brute force is {100 * worst:.4f} % of the largest value.")

# %% [markdown]
# And what does sampling do to a whole face? With 68 landmarks some bumps hit a centre and others miss it, and where many stand
# close, part of the error averages out. What is left is noise in the target that comes from the grid, not from the face.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "Four heatmaps at 7 by 7 cells, sampled (above) and averaged (below).", "name": "fig-heatmaps-7"}, "image": {"alt": "Four faces at 7 by 7 cells: heatmaps sampled at cell centres above, exact cell averages below. The sampled ones are spotty."}} tags=["hide-input"]
grid = (np.arange(7) + 0.5) / 7
columns, rows = (np.exp(-((grid - landmarks[..., axis, None]) ** 2) / (2 * SIGMA**2)) for axis in (0, 1))
spotty, smooth = np.einsum("nlh,nlw->nhw", rows, columns), draw(landmarks, 7)
names = [f"face {number}" for number in range(1, 5)]
maps = {
    "sampled": dict(zip(names, spotty, strict=False)),
    "averaged": dict(zip(names, smooth, strict=False)),
}
figure = draw_grid(maps, images=dict(zip(names, faces.images[:4], strict=True)))

# %% tags=["hide-input"]
agreement = [correlate(*pair) for pair in zip(spotty, smooth, strict=True)]
assert min(agreement) < np.mean(agreement) < 0.98
Markdown(
    f"The correlation between the sampled and the averaged map is {np.mean(agreement):.2f} on average over {faces_count} faces, "
    f"and {min(agreement):.2f} for the worst."
)

# %% [markdown]
# ## What it costs
#
# Seven ways to get a heatmap for the same faces. Five draw it at the resolution of the image, as a picture that is then stored,
# augmented and shrunk with the image. The last two draw it at the layer's resolution, inside the loss, from 136 numbers.


# %% tags=["hide-input"]
import cv2


def bumps_by_filter(places):
    """The sum of 68 pictures, each blurred by itself."""
    return sum(blurred_heatmap(places[:, [landmark]], image_size) for landmark in range(68))


def single_pixels(places):
    """Pictures that are zero but for the pixels under the landmarks, so high that a blurred one peaks at 1."""
    deviation, binary = SIGMA * image_size, np.zeros((len(places), image_size, image_size), np.float32)
    face, landmark = np.nonzero(np.all((places >= 0) & (places < 1), axis=-1))
    column, row = (places[face, landmark] * image_size).astype(int).T
    binary[face, row, column] = 2 * np.pi * deviation**2
    return binary, deviation


# %% tags=["hide-input"]
from skimage.filters import gaussian


def blur_opencv(places):
    """The one-pass blur with OpenCV's filter."""
    binary, deviation = single_pixels(places)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT) for picture in binary])


def blur_skimage(places):
    """The one-pass blur with scikit-image's filter."""
    binary, deviation = single_pixels(places)
    return np.stack([gaussian(picture, deviation, mode="constant", preserve_range=True) for picture in binary])


# %% tags=["hide-input"]
import time


def milliseconds_per_face(way, places, repeats):
    """The fastest of some runs, after one that warms up."""
    way(places)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        way(places)
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds) / len(places)


# %% tags=["hide-input"]
few = landmarks[: max(faces_count // 16, 1)]
times = {
    f"68 blurs, SciPy, {image_size} px": milliseconds_per_face(bumps_by_filter, few, 1),
    f"one blur, SciPy, {image_size} px": milliseconds_per_face(lambda places: blurred_heatmap(places, image_size), landmarks, 3),
    f"one blur, scikit-image, {image_size} px": milliseconds_per_face(blur_skimage, landmarks, 3),
    f"one blur, OpenCV, {image_size} px": milliseconds_per_face(blur_opencv, landmarks, 5),
    f"exact, {image_size} px": milliseconds_per_face(lambda places: draw(places, image_size), landmarks, 5),
    "exact, 14 x 14": milliseconds_per_face(lambda places: draw(places, 14), landmarks, 10),
    "exact, 7 x 7": milliseconds_per_face(lambda places: draw(places, 7), landmarks, 10),
}

# %%
costs = pd.DataFrame({"milliseconds per face": times})
costs["times as fast as one SciPy blur"] = times[f"one blur, SciPy, {image_size} px"] / costs["milliseconds per face"]
for blur in (blur_opencv, blur_skimage):
    np.testing.assert_allclose(blur(landmarks), blurred_heatmap(landmarks, image_size), atol=0.02 * exact.max())
assert max(time for way, time in times.items() if not way.startswith("68")) < times[f"68 blurs, SciPy, {image_size} px"]
costs.round(4)

# %% [markdown]
# The times are those of the machine that built this page, and the small ones swing. What holds on any machine: 68 separate blurs
# are by far the dearest, and the exact map costs a fraction of that. There is no need to give up exactness for speed. What
# travels with a face counts too:

# %% tags=["hide-input"]
as_numbers, as_picture = points.astype(np.float32).nbytes, exact.astype(np.float32).nbytes
assert as_numbers == 136 * 4
Markdown(
    f"Landmarks take {as_numbers} bytes a face, a heatmap of {image_size} by {image_size} pixels in float32 takes {as_picture:,}: "
    f"{as_picture / as_numbers:.0f} times as many."
)

# %% [markdown]
# ## Move the points, not the picture
#
# A training face is flipped, shifted, rotated and scaled at random, and its heatmap has to follow. A change is a 3 by 3 matrix
# (see [`palcore.data.geometry`](../palcore/data/geometry.py)). For the landmarks that is 68 small products, and then the heatmap
# is drawn afresh. The other way is to turn the heatmap itself, as one turns the image, by interpolation.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "A face turned: its heatmap drawn from the moved points, the old heatmap turned by interpolation, and the difference.", "name": "fig-heatmaps-8"}, "image": {"alt": "Left: a rotated face with its moved landmarks. Then the 14 by 14 heatmap drawn from the moved points, the same heatmap turned by interpolation, and their difference."}} tags=["hide-input"]
turn = geometry.affine_matrix(angle=0.5, shift=(0.06, -0.04))
turned_face, turned_points = geometry.transform_image(face, turn), geometry.transform_landmarks(points, turn)
drawn = draw(turned_points[None], 14)[0]
interpolated = geometry.transform_image(draw(points[None], 14)[0], turn)
gap = np.abs(drawn - interpolated).max()
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
axes[0].imshow(turned_face, extent=(0, 1, 1, 0))
draw_landmarks(axes[0], turned_points)
for axis, values, title in ((axes[1], drawn, "points moved"), (axes[2], interpolated, "map turned")):
    plots.show_map(axis, values, vmin=0, vmax=drawn.max())
    axis.set_title(title)
plots.show_map(axes[3], drawn - interpolated, cmap="RdBu_r", vmin=-gap, vmax=gap)
axes[0].set_title("face turned")
axes[3].set_title("difference")
bar = figure.colorbar(axes[3].images[0], ax=axes[3], shrink=0.85)

# %%
agreement = {}
for size in (image_size, 28, 14, 7):
    turned_maps = [geometry.transform_image(values, turn) for values in draw(landmarks, size)]
    fresh_maps = draw(np.stack([geometry.transform_landmarks(places, turn) for places in landmarks]), size)
    agreement[f"{size} x {size}"] = np.mean([correlate(*pair) for pair in zip(turned_maps, fresh_maps, strict=True)])
assert agreement[f"{image_size} x {image_size}"] > 0.99 > agreement["14 x 14"] > agreement["7 x 7"]
pd.DataFrame({"correlation of the two": agreement}).round(3)

# %% [markdown]
# On the fine picture it does not matter: a Gaussian is round, and a turned one is still round. On the coarse map interpolation
# blurs, and it repeats the edge where the picture ends.
#
# A flip has a trap of its own. Landmark 36 is the outer corner of the eye on the *image's* left. After a flip that point is on
# the right, and the number 36 has to go to the other eye. [`palcore.data.geometry.FLIP_INDEX`](../palcore/data/geometry.py) says
# which number goes where. As long as all landmarks weigh the same, the heatmap does not notice; with weights it does.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "A face flipped: its landmarks exchange their numbers, or the left eye becomes a right one.", "name": "fig-heatmaps-9"}, "image": {"alt": "A face with its left eye marked; the flipped face with the mark on the left eye again, as it should be; and with the mark on the right eye, where the numbers were not exchanged."}} tags=["hide-input"]
flip = geometry.flip_matrix()
flipped = geometry.transform_landmarks(points, flip)
careless = (points @ flip[:2, :2].T + flip[:2, 2]).astype(np.float32)  # moved, but not renumbered
left_eye = np.isin(np.arange(68), range(36, 42)).astype(np.float32)
mirrored = geometry.transform_image(face, flip)
views = {"face": (face, points), "flipped, renumbered": (mirrored, flipped), "flipped, not renumbered": (mirrored, careless)}
figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.9), layout="constrained")
for axis, (title, (picture, places)) in zip(axes, views.items(), strict=True):
    plots.show_map(axis, draw(places[None], 56, weights=left_eye)[0], picture)
    axis.scatter(*places[36:42].T, s=10, color=plots.COLOURS[1])
    axis.set_title(title)

# %%
assert np.allclose(draw(flipped[None], 14), draw(points[None], 14)[:, :, ::-1], atol=1e-4)
assert np.allclose(draw(flipped[None], 14), draw(careless[None], 14), atol=1e-4)
assert not np.allclose(draw(flipped[None], 14, weights=left_eye), draw(careless[None], 14, weights=left_eye), atol=0.1)
assert flipped[36:42, 0].mean() < flipped[42:48, 0].mean() and careless[36:42, 0].mean() > careless[42:48, 0].mean()
both_ways = geometry.transform_landmarks(geometry.transform_landmarks(points, turn), flip)
assert np.allclose(geometry.transform_landmarks(points, flip @ turn), both_ways, atol=1e-6)

# %% [markdown]
# The last line is why matrices are handy. Turn and flip are one matrix, so the image is interpolated once.
#
# ## Which landmarks matter
#
# The 68 points are not spread evenly over the face. Seventeen of them follow the jaw, which moves little between expressions and
# borders on the background. Here is what each region adds to the map.

# %% mystnb={"code_prompt_hide": "Hide the drawing code", "code_prompt_show": "Show the drawing code", "figure": {"caption": "What each region contributes, and the map without the jaw.", "name": "fig-heatmaps-10"}, "image": {"alt": "Eight maps over one face: jaw, brows, nose, eyes and mouth alone, then all of them, all without the jaw, and without the jaw with brows and mouth weighing double."}} tags=["hide-input"]
none = dict.fromkeys(REGIONS, 0)
singles = {region: region_weights(**(none | {region: 1})) for region in REGIONS}
mixtures = {
    "all": region_weights(),
    "jaw=0": region_weights(jaw=0),
    "jaw=0, brows=2,\nmouth=2": region_weights(jaw=0, brows=2, mouth=2),
}
figure, axes = plt.subplots(2, 4, figsize=(8.4, 4.9), layout="constrained")
for axis, (title, weights) in zip(axes.flat, (singles | mixtures).items(), strict=True):
    plots.show_map(axis, draw(points[None], 28, weights=weights)[0], face)
    axis.set_title(title)

# %% tags=["hide-input"]
parts = {region: draw(landmarks, 7, weights=weights) for region, weights in singles.items()}
whole, inner = draw(landmarks, 7), draw(landmarks, 7, weights=region_weights(jaw=0))
np.testing.assert_allclose(sum(parts.values()), whole, atol=1e-4)
np.testing.assert_allclose(inner, draw(landmarks[:, 17:], 7), atol=1e-4)
shares = {region: maps.sum() / whole.sum() for region, maps in parts.items()}
alike = {region: np.mean([correlate(*pair) for pair in zip(maps, whole, strict=True)]) for region, maps in parts.items()}
table = pd.DataFrame({"landmarks": {region: len(places) for region, places in REGIONS.items()}})
table["share of the heatmap"], table["correlation with the whole, 7 x 7"] = shares, alike
table.round(3)

# %% tags=["hide-input"]
likeness = np.mean([correlate(*pair) for pair in zip(inner, whole, strict=True)])
assert np.isclose(sum(shares.values()), 1, atol=1e-4) and 0.5 < likeness < 1
Markdown(f"Without the jaw, the 7 by 7 heatmap still correlates with the whole one at {likeness:.2f} on average.")

# %% [markdown]
# The weights $w_l$ of [Eq. heatmap](../book/method.md) make it a matter of choice:
# [`palcore.heatmaps.region_weights`](../palcore/heatmaps.py) gives them,
# [`palcore.losses.PrivilegedAttributionLoss`](../palcore/losses.py) takes them as `landmark_weights`, and a run takes the jaw's
# weight as an option:
#
# ```sh
# papermill notebooks/train.ipynb OUT.ipynb -p jaw 0
# ```
#
# ## Exercises
#
# Open this page in JupyterLab (`make lab`) and write in the cells below. Each runs as it stands. The solutions are folded away.
#
# **Exercise 1.** Make $\sigma$ much smaller than a cell. What does the exact heatmap of [Eq. cell-average](../book/method.md)
# become? Guess the formula, then check it on a face. *Hint:* count landmarks; the volume of a bump is $2 \pi \sigma^2$.

# %%
tiny = draw(points[None], 7, sigma=0.002)[0]
guess = np.zeros_like(tiny)  # your formula
print("largest difference:", np.abs(tiny - guess).max())

# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
# A bump that is narrower than a cell lies in one cell, with its whole volume 2 pi sigma^2. The cell's area is 1/49 of the image, so
# the average is 49 times that, for each landmark in the cell: the heatmap becomes a count of landmarks.
sigma = 0.0005
counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=7, range=((0, 1), (0, 1)))
guess = 49 * 2 * np.pi * sigma**2 * counts
inside = np.abs(points * 7 - np.round(points * 7)).min(axis=1) > 7 * 4 * sigma  # no closer to an edge than four sigma
kept = points[inside]
counts, _, _ = np.histogram2d(kept[:, 1], kept[:, 0], bins=7, range=((0, 1), (0, 1)))
np.testing.assert_allclose(draw(kept[None], 7, sigma)[0], 49 * 2 * np.pi * sigma**2 * counts, rtol=1e-2, atol=1e-7)

# %% [markdown]
# **Exercise 2.** A landmark stands outside the image, a distance $d$ to the left of its edge. How large is the share of its bump
# that lies inside, and for which $d$ is it below one per cent? *Hint:* `scipy.stats.norm`.

# %%
distance = 2 * SIGMA
runaway = np.array([[[-distance, 0.5]]])
print("total of the map:", draw(runaway, 28).sum() / draw(np.array([[[0.5, 0.5]]]), 28).sum())

# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
# The bump is a product, and only its factor in u is cut: what is left is the tail of a normal distribution beyond d.
from scipy.stats import norm

full = draw(np.array([[[0.5, 0.5]]]), 28).sum()
for distance in (0, SIGMA, 2 * SIGMA):
    left_over = draw(np.array([[[-distance, 0.5]]]), 28).sum() / full
    np.testing.assert_allclose(left_over, norm.sf(distance / SIGMA), rtol=1e-3)
limit = norm.isf(0.01) * SIGMA  # 2.33 sigma
assert draw(np.array([[[-1.01 * limit, 0.5]]]), 28).sum() / full < 0.01 < draw(np.array([[[-0.99 * limit, 0.5]]]), 28).sum() / full

# %% [markdown]
# **Exercise 3.** Some draw the heatmap as the *largest* of the bumps at each place instead of their sum. Then crowded landmarks
# count no more than lonely ones. Draw it for one face on a fine grid, average it down to 7 by 7 cells, and compare it with the sum.
# Which region gains?

# %%
centres = (np.arange(224) + 0.5) / 224
one_bump = np.exp(-((centres[None, :] - points[30, 0]) ** 2 + (centres[:, None] - points[30, 1]) ** 2) / (2 * SIGMA**2))
print(one_bump.shape)  # the bump of one landmark; you need all 68

# %% jupyter={"source_hidden": true} mystnb={"code_prompt_hide": "Hide the solution", "code_prompt_show": "Show the solution"} tags=["hide-cell"]
across = (centres[None, None, :] - points[:, 0, None, None]) ** 2
down = (centres[None, :, None] - points[:, 1, None, None]) ** 2
bumps = np.exp(-(across + down) / (2 * SIGMA**2))  # (68, 224, 224)
largest_bump = bumps.max(axis=0).reshape(7, 32, 7, 32).mean(axis=(1, 3))
total = draw(points[None], 7)[0]
assert np.all(largest_bump <= total + 1e-3)
kept = {region: bumps[list(places)].max(axis=0).sum() / bumps[list(places)].sum() for region, places in REGIONS.items()}
assert max(kept, key=kept.get) == "jaw"  # the jaw's landmarks stand farthest apart, so its share grows
print(f"correlation with the sum: {correlate(largest_bump, total):.3f}")

# %% [markdown]
# ## In three lines
#
# - The heatmap is a sum of bumps, averaged exactly over each cell: one product of two small matrices a face.
# - A blurred binary picture merges landmarks, rounds them, and puts some on the wrong side.
# - On a coarse map the width of the bump hardly matters, and a landmark outside still counts for what reaches in.
