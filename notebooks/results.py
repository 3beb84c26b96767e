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

from palcore.notebook import refuse_unknown_parameters
from palcore.tables import comparisons, grid_module, progress, read_question, verdict

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
# The two comparisons that stand for the rest: the baseline (`none`) and PAL on the mean of the channels (`mean`), on drawn faces
# with a shortcut and on the faces of FER2013. Differences are paired by seed. The p values of the four sentences are
# corrected together, after Holm.

# %% tags=["hide-input"]
import pandas as pd

from palcore.statistics import holm

ARMS = {"none": {"strategy": "none"}, "PAL": {"strategy": "mean"}}
drawn = {name: arm | {"attribution": "grad_input"} for name, arm in ARMS.items()}
asked = [
    ("shortcut-strategies", drawn, "test_accuracy", "accuracy on drawn faces, patch as in training"),
    ("shortcut-strategies", drawn, "shortcut_free_accuracy", "accuracy on drawn faces, patch at random"),
    ("faces-strategies", ARMS, "test_accuracy", "accuracy on FER2013's test faces"),
    ("faces-strategies", ARMS, "test_mean_class_accuracy", "mean-class accuracy on FER2013's test faces"),
]
rows = []
for question, arms, score, what in asked:
    table = read_question(question, results_dir)
    found = comparisons(table, arms, score) if len(table) else []
    if len(found):
        rows.append(found.assign(what=what))
if rows:
    rows = pd.concat(rows)
    rows["p_holm"] = holm(rows["p"].to_numpy(float))
    text = "\n".join(f"- {verdict(row, row['what'])}" for _, row in rows.iterrows())
else:
    text = "No run is in yet."
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
