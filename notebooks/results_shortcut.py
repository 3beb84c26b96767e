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
# # Results: the shortcut
#
# Drawn faces carry a patch that shows the label. Each test face is seen twice: with the patch as in training, and with the patch at
# random. A network that reads the face loses nothing when the patch stops telling the truth. Every number here is computed from
# the records in `results/runs/`; means are over seeds, with 95 % intervals (Student's t), differences are paired by seed, and p values
# are corrected after Holm over each table.

# %% tags=["parameters"]
seed = 0  # of the bootstrap
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.book import figures as plots
from palcore.book.grid import settings_sentence
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.pages import draw_arms, show_question, show_runs

refuse_unknown_parameters(In)
plots.use_style()
SCORES = {
    "test_accuracy": "accuracy, patch as in training (%)",
    "shortcut_free_accuracy": "accuracy, patch at random (%)",
    "shortcut_free_correlation": "correlation with the heatmap (x 100)",
}
PAIR = dict(list(SCORES.items())[:2])
FREE = {"compare": "shortcut_free_accuracy", "what": "accuracy with the patch at random", "results": results_dir}
display(Markdown(settings_sentence("synthetic")))

# %% [markdown]
# ## Strategies and attributions
#
# Four strategies, those of PAL with two attributions each. The correlation is that of the attribution which the arm trains with;
# `none` is measured by `grad_input`.

# %% tags=["hide-input"]
arms = {"none": {"strategy": "none"}}
arms |= {
    strategy if method == "grad_input" else f"{strategy}, grad": {"strategy": strategy, "attribution": method}
    for method in ("grad_input", "grad")
    for strategy in ("all", "mean", "half")
}
strategies = show_question("shortcut-strategies", arms, SCORES, **FREE)

# %% mystnb={"image": {"alt": "Accuracy of each strategy with the patch as in training and at random, with intervals."}} tags=["hide-input"]
if len(strategies):
    figure = draw_arms(strategies, arms, PAIR, "accuracy on test faces (%)")

# %% tags=["hide-cell"]
show_runs(strategies, PAIR)

# %% [markdown]
# ## All channels, for longer
#
# The same with all of compact's channels and 12 epochs in batches of 64: what the notebook `train` does unless it is told otherwise.

# %% tags=["hide-input"]
both = {"none": {"strategy": "none"}, "mean": {"strategy": "mean"}}
full = show_question("shortcut-full", both, SCORES, **FREE)

# %% tags=["hide-cell"]
show_runs(full, PAIR)

# %% [markdown]
# ## How strong the shortcut is
#
# The share of training faces whose patch shows the label goes from a half to all of them. Each share has its own baseline.

# %% tags=["hide-input"]
SHARES = (0.5, 0.9, 1.0)
strengths = {
    f"{name}, {share:g}": {"strategy": strategy, "shortcut": share}
    for share in SHARES
    for name, strategy in (("none", "none"), ("PAL", "mean"))
}
pairs = {f"PAL, {share:g}": f"none, {share:g}" for share in SHARES}
strength = show_question("shortcut-strength", strengths, SCORES, baseline=pairs, **FREE)

# %% mystnb={"image": {"alt": "Accuracy with and without PAL for each strength of the shortcut, with intervals."}} tags=["hide-input"]
if len(strength):
    figure = draw_arms(strength, strengths, PAIR, "accuracy on test faces (%)")

# %% tags=["hide-cell"]
show_runs(strength, PAIR)

# %% [markdown]
# ## How heavy PAL is
#
# At which weight does PAL begin to cost accuracy where the patch behaves as in training?

# %% tags=["hide-input"]
weights = {"none": {"strategy": "none"}}
weights |= {f"weight {weight:g}": {"strategy": "mean", "pal_weight": weight} for weight in (1.0, 10.0, 30.0)}
weighted = show_question("shortcut-weight", weights, SCORES, results=results_dir, what="accuracy with the patch as in training")

# %% mystnb={"image": {"alt": "Accuracy for each weight of PAL, with the patch as in training and at random, with intervals."}} tags=["hide-input"]
if len(weighted):
    figure = draw_arms(weighted, weights, PAIR, "accuracy on test faces (%)")

# %% tags=["hide-cell"]
show_runs(weighted, PAIR)

# %% [markdown]
# ## The right place, or any place?
#
# The same training with wrong landmarks: those of another face, or the right ones moved at random by 5 and 10 % of the image side.
# What wrong landmarks gain as well is not owed to looking at this face's features.

# %% tags=["hide-input"]
places = {
    "none": {"strategy": "none"},
    "own landmarks": {"strategy": "mean", "landmark_source": "own", "landmark_jitter": 0.0},
    "another face's": {"strategy": "mean", "landmark_source": "shuffled"},
    "moved by 5 %": {"strategy": "mean", "landmark_jitter": 0.05},
    "moved by 10 %": {"strategy": "mean", "landmark_jitter": 0.1},
}
placed = show_question("shortcut-landmarks", places, SCORES, **FREE)
if len(placed):
    guided = {label: arm for label, arm in places.items() if label != "none"}
    show_question("shortcut-landmarks", guided, PAIR, baseline="own landmarks", **FREE)

# %% mystnb={"image": {"alt": "Accuracy without PAL, with the right landmarks and with wrong ones, with intervals."}} tags=["hide-input"]
if len(placed):
    figure = draw_arms(placed, places, PAIR, "accuracy on test faces (%)")

# %% tags=["hide-cell"]
show_runs(placed, PAIR)
