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
# # Results: the right place, and rivals
#
# Is it the *right* place that helps, or any regulariser? And do other losses on the same output do as well? FER2013, the settings of
# [the page on real faces](results_faces.ipynb). Means are over seeds, with 95 % intervals (Student's t), differences are paired by
# seed, and p values are corrected after Holm over each table.

# %% tags=["parameters"]
seed = 0  # of the bootstrap
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.book import figures as plots
from palcore.book.grid import settings_sentence
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.pages import draw_arms, show_question, show_runs
from palcore.book.tables import best_on_validation, read_question

refuse_unknown_parameters(In)
plots.use_style()
SCORES = {
    "validation_accuracy": "accuracy on validation faces (%)",
    "test_accuracy": "accuracy on test faces (%)",
    "test_correlation": "correlation with the heatmap (x 100)",
}
ACCURACY = {"test_accuracy": "accuracy on test faces (%)"}
display(Markdown(settings_sentence("fer2013")))

# %% [markdown]
# ## Layer, width, jaw, and wrong landmarks
#
# Each arm changes one thing of PAL. Wrong landmarks are those of another face, or the right ones moved at random by 5 and 10 % of
# the image side. The attribution is always compared with the right ones.

# %% tags=["hide-input"]
SIGMA = 3 / 112
plain = {"strategy": "mean", "landmark_source": "own", "landmark_jitter": 0.0, "jaw": 1.0, "sigma": SIGMA, "layer": None}
arms = {
    "none": {"strategy": "none"},
    "PAL": plain,
    "another face's landmarks": plain | {"landmark_source": "shuffled"},
    "landmarks moved by 5 %": plain | {"landmark_jitter": 0.05},
    "landmarks moved by 10 %": plain | {"landmark_jitter": 0.1},
    "without the jaw": plain | {"jaw": 0},
    "half the width": plain | {"sigma": 0.0134},
    "twice the width": plain | {"sigma": 0.0536},
    "an earlier layer": plain | {"layer": "block3_conv2"},
}
landmarks = show_question("landmarks", arms, SCORES, results=results_dir)

# %% [markdown]
# The control that decides what can be claimed: the same arms against PAL with the right landmarks.

# %% tags=["hide-input"]
if len(landmarks):
    guided = {label: arm for label, arm in arms.items() if label != "none"}
    show_question("landmarks", guided, ACCURACY, baseline="PAL", results=results_dir)

# %% mystnb={"image": {"alt": "Accuracy on test faces without PAL, with PAL, and with each change of PAL, with intervals."}} tags=["hide-input"]
if len(landmarks):
    figure = draw_arms(landmarks, arms, ACCURACY, "accuracy on FER2013's test faces (%)")

# %% tags=["hide-cell"]
show_runs(landmarks, ACCURACY)

# %% [markdown]
# ## Rivals
#
# Each loss was tried with three weights and seed 0, and with smaller ones for as long as the smallest was best. The accuracy on the
# validation faces chose one of them; that one got the other seeds. Face crops need no weight.

# %% tags=["hide-input"]
WEIGHTS = {
    "pal": (0.3, 1.0, 3.0),
    "energy": (0.1, 0.3, 1.0, 3.0),
    "rrr": (1.0, 10.0, 100.0, 1000.0, 10000.0),
    "cosine": (0.3, 1.0, 3.0),
}
NAMES = {"pal": "PAL", "energy": "energy outside", "rrr": "right for the right reasons", "cosine": "feature cosine"}
everything = read_question("rivals", results_dir)
chosen = {"none": {"strategy": "none", "crop": None}}
for loss, weights in WEIGHTS.items():
    tried = {f"{weight:g}": {"strategy": "mean", "loss": loss, "pal_weight": weight} for weight in weights}
    if len(everything) and everything["loss"].isin([loss]).any() and everything["strategy"].isin(["mean"]).any():
        try:
            best = best_on_validation(everything, tried)
        except ValueError:
            continue  # no run of this loss yet
        chosen[f"{NAMES[loss]}, weight {best}"] = tried[best]
chosen["face crops"] = {"strategy": "none", "crop": 0.1}
rivals = show_question("rivals", chosen, SCORES, results=results_dir)

# %% mystnb={"image": {"alt": "Accuracy on test faces of the baseline, PAL, its rivals and face crops, with intervals."}} tags=["hide-input"]
if len(rivals):
    figure = draw_arms(rivals, chosen, ACCURACY, "accuracy on FER2013's test faces (%)")

# %% [markdown]
# All weights that were tried:

# %% tags=["hide-input"]
tried = {
    f"{NAMES[loss]}, weight {weight:g}": {"strategy": "mean", "loss": loss, "pal_weight": weight}
    for loss, weights in WEIGHTS.items()
    for weight in weights
}
if len(rivals):
    from palcore.book.tables import summary, with_intervals

    display(with_intervals(summary(rivals, tried, SCORES)))

# %% tags=["hide-cell"]
show_runs(rivals, ACCURACY)
