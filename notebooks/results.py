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
# # Results at a glance
#
# What has been asked, how far each answer is, and what it says so far. The pages below this one have the tables, the figures and
# every run. All numbers are computed here from the records in `results/runs/`, one small file a run: change a record, and the page
# changes.

# %% tags=["parameters"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.book.grid import grid_module
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.tables import comparisons, progress, read_question, verdict

refuse_unknown_parameters(In)
PAGES = {
    "rafdb": "results_licensed",
    "affectnet": "results_licensed",
    "landmarks": "results_controls",
    "rivals": "results_controls",
}


def page_of(question):
    """The page that shows a question."""
    return PAGES.get(question, "results_shortcut" if question.startswith("shortcut") else "results_faces")


# %% [markdown]
# ## Does PAL help?
#
# The comparisons that stand for the rest. PAL is `mean`, on the mean of the channels, and the baseline is training without it.
# Differences are paired by seed, and the p values of all sentences here are corrected together, after Holm. With three to five seeds
# only large effects can show: what an interval includes is not ruled out.

# %% tags=["hide-input"]
import pandas as pd

from palcore.book.statistics import holm

NONE, PAL = {"strategy": "none"}, {"strategy": "mean"}
OWN, OTHER = (PAL | {"landmark_source": source, "landmark_jitter": 0.0} for source in ("own", "shuffled"))
OWN |= {"sigma": 3 / 112, "jaw": 1.0, "layer": None}
DRAWN, FACES = "on drawn faces", "on FER2013's test faces"
instead = "taking another face's landmarks in place of the right ones"
asked = {
    "Does the network look where it is told to?": [
        (
            "shortcut-strategies",
            NONE,
            PAL | {"attribution": "grad_input"},
            "shortcut_free_correlation",
            f"correlation with the heatmap (x 100) {DRAWN}",
            "PAL",
        ),
        ("faces-strategies", NONE, PAL, "test_correlation", f"correlation with the heatmap (x 100) {FACES}", "PAL"),
    ],
    "Does it recognise expressions better?": [
        (
            "shortcut-strategies",
            NONE,
            PAL | {"attribution": "grad_input"},
            "test_accuracy",
            f"accuracy {DRAWN}, patch as in training",
            "PAL",
        ),
        (
            "shortcut-strategies",
            NONE,
            PAL | {"attribution": "grad_input"},
            "shortcut_free_accuracy",
            f"accuracy {DRAWN}, patch at random",
            "PAL",
        ),
        ("faces-strategies", NONE, PAL, "test_accuracy", f"accuracy {FACES}", "PAL"),
        ("faces-strategies", NONE, PAL, "test_mean_class_accuracy", f"mean-class accuracy {FACES}", "PAL"),
    ],
    "Is it the right place that matters?": [
        ("shortcut-landmarks", OWN, OTHER, "shortcut_free_accuracy", f"accuracy {DRAWN}, patch at random", instead),
        ("landmarks", OWN, OTHER, "test_accuracy", f"accuracy {FACES}", instead),
    ],
    "Does it help where training is harder?": [
        (
            "little-data",
            NONE | {"train_share": 0.05},
            PAL | {"train_share": 0.05},
            "test_accuracy",
            f"accuracy {FACES}, 5 % of the faces",
            "PAL",
        ),
        (
            "noisy-labels",
            NONE | {"label_noise": 0.4},
            PAL | {"label_noise": 0.4},
            "test_accuracy",
            f"accuracy {FACES}, 40 % wrong labels",
            "PAL",
        ),
    ],
}
rows = []
for heading, lines in asked.items():
    for question, baseline, arm, score, what, cause in lines:
        table = read_question(question, results_dir)
        found = comparisons(table, {"baseline": baseline, "arm": arm}, score, "baseline") if score in table else []
        if len(found):
            rows.append(found.assign(heading=heading, what=what, cause=cause))
text = "No run is in yet."
if rows:
    rows = pd.concat(rows)
    rows["p_holm"] = holm(rows["p"].to_numpy(float))
    parts = []
    for heading, group in rows.groupby("heading", sort=False):
        sentences = [f"- {verdict(row, row['what'], row['cause'])}" for _, row in group.iterrows()]
        parts += [f"**{heading}**", "", *sentences, ""]
    text = "\n".join(parts)
display(Markdown(text))

# %% [markdown]
# ## All questions

# %% tags=["hide-input"]
grid, lines = grid_module()[0].read_grid(), []
for question, described in grid["questions"].items():
    done = progress(question, results_dir)
    lines.append(f"| [{question}]({page_of(question)}.html) | {described['asks']} | {done['in']} of {done['runs']} |")
display(Markdown("\n".join(["| question | what it asks | runs that are in |", "|---|---|---|", *lines])))

# %% [markdown]
# The runs of all questions are listed in `workflow/grid.yml`. In a clone, `make grid` runs those that are missing, and
# `python workflow/grid.py publish` copies finished ones into `results/`.
