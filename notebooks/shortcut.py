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
# # The controlled experiment: a shortcut
#
# At the end of this page you will have seen two networks lose a clue that misled them, one trained with PAL and one without.
#
# A network takes the easiest way to the label. Here we know the easiest way, because we drew it: a coloured patch in the
# corner that shows the label of nine training faces in ten. What makes the expression lies on the face, at its landmarks.
#
# If PAL does what it claims, a network trained with it should look at the face instead of the patch, and should lose less when
# the patch stops telling the truth. This page trains both networks while the book is built, one seed each, with just the options of
# the committed experiment (question `shortcut` of `study/grid.yml`), which has five seeds and the verdict.

# %% [markdown]
# ## Try it
#
# Here are two such networks, one of each kind; the picture shows where such networks look on average. In the book a button below it
# loads them: give the patch the colour of another expression, drag it over the face, take it away. Without PAL the answer follows
# the colour more often. With PAL the map stays on the face, and still some colours change the answer: the last rows of the table
# show both, how little of the attribution lies on the patch, and what the patch does to the right answer.
#
# ![A drawn face with its patch, and where networks look on average without PAL and with it.](../book/figures/two_networks.png)

# %% tags=["parameters"]
seed = 0
epochs = 8
learning_rate = 1e-3
pal_weight = 1.0
out_dir = None  # folder of the runs; None: a temporary one

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% mystnb={"figure": {"caption": "Seven drawn faces with the patch, their landmarks and heatmaps.", "name": "fig-shortcut-1"}, "image": {"alt": "Seven drawn faces with a coloured patch in the lower left corner, their landmarks and heatmaps."}} tags=["hide-input"]
import tempfile
from pathlib import Path

import keras
import numpy as np

from palcore.data import load
from palcore.heatmaps import gaussian_heatmap
from palcore.models import with_attribution
from palcore.runs.records import read_record
from palcore.training import check_options, train
from study.book import figures as plots

plots.use_style()
place = Path(out_dir or tempfile.mkdtemp())
faces = load("synthetic", split="test", seed=seed, shortcut=0.0, image_size=48)
heatmaps = keras.ops.convert_to_numpy(gaussian_heatmap(faces.landmarks[:7], 6))
figure = plots.draw_faces(faces.images[:7], faces.landmarks[:7], heatmaps, faces.labels[:7])

# %% [markdown]
# ## Two networks
#
# They differ in one option: cross-entropy alone (`none`), or with PAL on the mean of the channels (`mean`).

# %% tags=["remove-output"]
runs = {}
for strategy, guidance in (("none", {}), ("mean", {"pal_weight": pal_weight})):
    options = check_options(
        **guidance,
        strategy=strategy,
        epochs=epochs,
        learning_rate=learning_rate,
        batch_size=32,
        image_size=48,
        seed=seed,
        out_dir=str(place / strategy),
    )
    runs[strategy] = train(options)

# %% tags=["hide-input"]
import pandas as pd

records = {strategy: read_record(folder) for strategy, folder in runs.items()}
rows = {
    strategy: {
        "accuracy, patch as in training": record["metrics"]["test"]["accuracy"],
        "accuracy, patch at random": record["metrics"]["shortcut_free"]["accuracy"],
        "correlation with the heatmap": record["metrics"]["shortcut_free"]["attribution"]["correlation"],
    }
    for strategy, record in records.items()
}
pd.DataFrame(rows).T.rename_axis(columns="strategy").round(3)

# %% [markdown]
# ## Where each of them looks
#
# The same test faces, with the patch at random.

# %% mystnb={"figure": {"caption": "The same faces in two networks: where each looks, and where the landmarks are.", "name": "fig-shortcut-2"}, "image": {"alt": "Seven faces, the baseline's attribution over them, the attribution with PAL, and the heatmap."}} tags=["hide-input"]
maps = {}
for strategy, folder in runs.items():
    classifier = keras.models.load_model(folder / "classifier.keras")
    watched = with_attribution(classifier)
    maps[{"none": "without PAL", "mean": "with PAL"}[strategy]] = watched.predict(faces.images[:7], verbose=0)["attribution"]
figure = plots.draw_attributions(faces.images[:7], {**maps, "heatmap": heatmaps})

# %% tags=["hide-input"]
from IPython.display import Markdown

gap = {s: r["metrics"]["test"]["accuracy"] - r["metrics"]["shortcut_free"]["accuracy"] for s, r in records.items()}
assert all(np.isfinite(value) for value in gap.values())
Markdown(
    f"When the patch stops telling the label, the baseline loses {100 * gap['none']:.1f} points and the network with PAL "
    f"{100 * gap['mean']:.1f}. This is one seed; the results chapter has the spread."
)

# %% [markdown]
# ## In three lines
#
# - Both networks take the patch while it helps.
# - With PAL the map leaves the patch, and less accuracy is lost when the patch misleads; some still is.
# - One seed shows how; [five seeds](results_shortcut.ipynb) show how much.
