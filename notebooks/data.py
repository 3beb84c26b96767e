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
# # The data
#
# The study reads four data sets. One is drawn by the study itself and is always there. Three hold photographs of real people, and
# their owners decide who may have them, so this page shows drawn faces only. What it says about the real ones is computed from
# the constants that their loaders use, and from records in `results/`, which hold numbers and no pictures.
#
# | name | faces | where from |
# |---|---|---|
# | `synthetic` | drawn, 68 exact landmarks each | {py:mod}`palcore.data.synthetic` |
# | `rafdb` | from the web, 100 by 100 pixels, cut out and aligned | RAF-DB {cite}`li2017reliable` |
# | `affectnet` | from the web, in all sizes, with landmarks | AffectNet {cite}`mollahosseini2019affectnet` |
# | `fer2013` | from the web, 48 by 48 grey pixels | FER2013 {cite}`goodfellow2013challenges` |
#
# Whatever the owner ships, {py:func}`palcore.data.load` turns it into one form: a table of names, labels and landmarks in memory,
# and images that are read when they are asked for.

# %% tags=["parameters"]
seed = 0
faces_drawn = 350  # drawn faces whose landmarks are shown

# %%
import json
from importlib import import_module

import numpy as np
import pandas as pd
from IPython.display import Markdown

from palcore import EMOTIONS, plots
from palcore.data import DATASETS, affectnet, fer2013, figures, load, rafdb, synthetic
from palcore.records import repository_root

plots.use_style()
results = repository_root() / "results"
landmark_record = json.loads((results / "landmarks" / "fer2013.json").read_text())
check_record = json.loads((results / "check" / "fer2013.json").read_text())

# %% [markdown]
# ## The faces
#
# A drawn face has a skin, brows, eyes, a nose and lips, and eight numbers that move them after the action units of FACS
# {cite}`ekman1978facial`. Identity, pose, light, background and noise are random. The 68 landmarks are the points that the parts
# are drawn from, so they are exact. The coloured patch in the corner is the shortcut of the experiment in
# {doc}`shortcut`. Below each face is the heatmap that PAL compares the attribution with ({eq}`cell-average`).

# %% mystnb={"image": {"alt": "Seven drawn faces, one of each expression, with 68 landmark dots each, and below each its heatmap."}}
import keras

from palcore.heatmaps import gaussian_heatmap

faces = load("synthetic", split="test", seed=seed, count=faces_drawn)
heatmaps = keras.ops.convert_to_numpy(gaussian_heatmap(faces.landmarks[:7], 14))
figure = plots.draw_faces(faces.images[:7], faces.landmarks[:7], heatmaps, faces.labels[:7])

# %% [markdown]
# ## How many faces of each expression
#
# People who put pictures on the web smile. Happiness is the largest class of every real data set, fear and disgust are small, and
# the bars are far from equal. A network that always answers with the largest class is right more often than by chance. That
# is why the study reports the *mean-class accuracy* beside the accuracy: the average of seven recalls, in which
# every expression counts the same.

# %% mystnb={"image": {"alt": "Share of each of seven expressions in four data sets, as bars for training and marks for test faces."}}
names = {"synthetic": "drawn faces", "rafdb": "RAF-DB", "affectnet": "AffectNet", "fer2013": "FER2013"}
published = {name: import_module(DATASETS[name]).PUBLISHED for name in ("rafdb", "affectnet", "fer2013")}
drawn = {split: load("synthetic", split=split).counts() for split in ("train", "validation", "test")}
counts = {names["synthetic"]: drawn} | {names[name]: published[name] for name in published}
figure = figures.draw_class_shares(counts)

# %%
table = pd.DataFrame({(name, split): counts[name][split] for name in counts for split in counts[name]}).loc[list(EMOTIONS)]
table.loc["all"] = table.sum()
table.style.format("{:,}")

# %% [markdown]
# The numbers of the real data sets are those that their owners publish. RAF-DB and AffectNet have no test set besides the one
# shown, and no validation set: a tenth of their training faces, with the same mixture of expressions, becomes the validation split
# ({py:func}`palcore.data.splits.stratified_split`). AffectNet's validation set, which is public while its test set is not, serves as
# the test split, as in other work.

# %%
largest = {name: max(splits["train"], key=splits["train"].get) for name, splits in counts.items()}
rows = {
    name: {
        "largest class": largest[name],
        "faces per face of the smallest": max(splits["train"].values()) / min(splits["train"].values()),
        "accuracy of always answering it (test)": splits["test"][largest[name]] / sum(splits["test"].values()),
        "mean-class accuracy of it": 1 / len(EMOTIONS),
    }
    for name, splits in counts.items()
}
pd.DataFrame(rows).T.style.format(
    {
        "faces per face of the smallest": "{:.1f}",
        "accuracy of always answering it (test)": "{:.1%}",
        "mean-class accuracy of it": "{:.1%}",
    }
)
