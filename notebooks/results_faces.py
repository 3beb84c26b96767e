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
# # Results: real faces
#
# FER2013, tested once a run on its 3,589 test faces. Means are over seeds, with 95 % intervals (Student's t), differences are
# paired by seed, and p values are corrected after Holm over each table. Two processor cores did all of it, so the networks are
# small and training is short.

# %% tags=["parameters"]
seed = 0  # of the bootstrap
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.book import figures as plots
from palcore.book.grid import settings_sentence
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.pages import draw_arms, draw_recalls, show_face_tests, show_question, show_runs
from palcore.book.tables import read_question, verdict

refuse_unknown_parameters(In)
plots.use_style()
SCORES = {
    "test_accuracy": "accuracy (%)",
    "test_mean_class_accuracy": "mean-class accuracy (%)",
    "test_correlation": "correlation with the heatmap (x 100)",
}
ACCURACY = {"test_accuracy": "accuracy (%)"}

display(Markdown(settings_sentence("fer2013")))

# %% [markdown]
# ## The baseline is tuned first
#
# Learning rate, batch size and dropout are chosen for the baseline alone, by its accuracy on the validation faces; the table has all
# that was tried. Every other arm takes the same, so that PAL gains nothing from better settings. PAL's own weight is 1 except
# [where it is compared with its rivals](results_controls.ipynb).

# %% tags=["hide-input"]
tuned = read_question("tuning", results_dir)
columns = {
    "train_share": "share of training faces",
    "width_multiplier": "share of channels",
    "epochs": "epochs",
    "batch_size": "batch size",
    "dropout": "dropout",
    "learning_rate": "learning rate",
}
if len(tuned):
    shown = tuned.sort_values(["train_share", "validation_accuracy"], ascending=[True, False])
    accuracy = [f"{100 * value:.1f}" for value in shown["validation_accuracy"]]
    shown = shown[list(columns)].rename(columns=columns).assign(**{"validation accuracy (%)": accuracy})
    display(shown.set_index(columns["train_share"]))

# %% [markdown]
# ## All training faces
#
# One pair of larger runs: all of compact's channels, all training faces, 16 epochs, a learning rate of 5e-4. It shows what the
# baseline reaches when it is given more; a single seed cannot tell an effect of PAL from chance.

# %% tags=["hide-input"]
both = {"none": {"strategy": "none"}, "mean": {"strategy": "mean"}}
full = show_question("faces-full", both, SCORES, results=results_dir)

# %% mystnb={"image": {"alt": "Recall of each expression on the test faces, without and with PAL, as paired bars."}} tags=["hide-input"]
if len(full):
    figure = draw_recalls(full, both, results_dir)

# %% tags=["hide-input"]
show_face_tests(full, both, results_dir)

# %% tags=["hide-cell"]
show_runs(full, ACCURACY)

# %% [markdown]
# ## Rare expressions
#
# Disgust is rare among the training faces ([the counts](data.ipynb)). Accuracy hardly notices it. The mean-class accuracy, the mean
# of the seven recalls, counts it as one seventh; RAF-DB and AffectNet are usually read by both numbers. Two options make the classes
# weigh the same in training: weights in the cross-entropy (`class_weight`), or drawing each class equally often (`sampling`). Shown
# without PAL.

# %% tags=["hide-input"]
balance = {
    "natural": {"strategy": "none", "class_weight": "none", "sampling": "natural"},
    "class weights": {"strategy": "none", "class_weight": "balanced"},
    "balanced sampling": {"strategy": "none", "sampling": "balanced"},
}
BOTH = dict(list(SCORES.items())[:2])
RARE = {"compare": "test_mean_class_accuracy", "what": "mean-class accuracy", "baseline": "natural"}
rare = show_question("imbalance", balance, BOTH, results=results_dir, **RARE)

# %% mystnb={"image": {"alt": "Recall of each expression with natural classes, class weights and balanced sampling, as bars side by side."}} tags=["hide-input"]
if len(rare):
    figure = draw_recalls(rare, balance, results_dir)

# %% tags=["hide-cell"]
show_runs(rare, BOTH)

# %% [markdown]
# ## Strategies
#
# These runs are short: with more epochs, faces and channels the same baseline gets much further, as the tables above show. So a
# difference may be one of speed: an arm that learns faster is ahead here, and need not be ahead after long training.

# %% tags=["hide-input"]
arms = {strategy: {"strategy": strategy} for strategy in ("none", "all", "mean", "half")}
strategies = show_question("faces-strategies", arms, SCORES, results=results_dir)

# %% mystnb={"image": {"alt": "Accuracy and mean-class accuracy of each strategy on the test faces, with intervals."}} tags=["hide-input"]
if len(strategies):
    figure = draw_arms(strategies, arms, dict(list(SCORES.items())[:2]), "on FER2013's test faces (%)")

# %% [markdown]
# The same comparison face by face: which faces does only one of the two networks of a seed name rightly?

# %% tags=["hide-input"]
show_face_tests(strategies, arms, results_dir)

# %% tags=["hide-cell"]
show_runs(strategies, ACCURACY)

# %% [markdown]
# ## VGG16 and ResNet50
#
# Larger backbones at 112 pixels on all training faces need a GPU.

# %% tags=["hide-input"]
BACKBONES = ("vgg16", "resnet50")
large = {f"{backbone}, {name}": {"backbone": backbone, **arm} for backbone in BACKBONES for name, arm in arms.items()}
pairs = {label: f"{arm['backbone']}, none" for label, arm in large.items() if arm["strategy"] != "none"}
deep = show_question("faces-gpu", large, SCORES, baseline=pairs, results=results_dir)

# %% tags=["hide-cell"]
show_runs(deep, ACCURACY)

# %% [markdown]
# ## Little data
#
# 5, 10, 30 and 100 % of the training faces, for 24, 12, 4 and 1 epochs: every share gets the same number of steps, but for the
# largest, which gets a sixth fewer. So the table says what more different faces are worth, not what longer training is worth.

# %% tags=["hide-input"]
SHARES = (0.05, 0.1, 0.3, 1.0)
few = {
    f"{name}, {100 * share:g} %": {"strategy": strategy, "train_share": share}
    for share in SHARES
    for name, strategy in (("none", "none"), ("PAL", "mean"))
}
pairs = {f"PAL, {100 * share:g} %": f"none, {100 * share:g} %" for share in SHARES}
little = show_question("little-data", few, SCORES, baseline=pairs, results=results_dir)

# %% mystnb={"image": {"alt": "Accuracy without and with PAL for four shares of the training faces, with intervals."}} tags=["hide-input"]
if len(little):
    figure = draw_arms(little, few, ACCURACY, "accuracy on FER2013's test faces (%)")

# %% tags=["hide-cell"]
show_runs(little, ACCURACY)

# %% [markdown]
# ## Noisy labels
#
# A share of the training labels is replaced by another expression; the test labels stay.

# %% tags=["hide-input"]
RATES = (0.0, 0.2, 0.4)
wrong = {
    f"{name}, {100 * rate:g} %": {"strategy": strategy, "label_noise": rate}
    for rate in RATES
    for name, strategy in (("none", "none"), ("PAL", "mean"))
}
pairs = {f"PAL, {100 * rate:g} %": f"none, {100 * rate:g} %" for rate in RATES}
noisy = show_question("noisy-labels", wrong, SCORES, baseline=pairs, results=results_dir)

# %% mystnb={"image": {"alt": "Accuracy without and with PAL for three shares of wrong labels, with intervals."}} tags=["hide-input"]
if len(noisy):
    figure = draw_arms(noisy, wrong, ACCURACY, "accuracy on FER2013's test faces (%)")

# %% tags=["hide-cell"]
show_runs(noisy, ACCURACY)

# %% [markdown]
# ## Patches, shifts and blur
#
# The networks `none` and `mean` of the strategies above on harder test faces: a patch beside the face, on the eyes, or on the mouth; the face shifted; the
# picture blurred. Nothing was trained for it.

# %% tags=["hide-input"]
import pandas as pd

from palcore.book.pages import in_points
from palcore.book.statistics import holm
from palcore.book.tables import comparisons, summary, with_intervals
from palcore.data.changes import CONDITIONS

hard = {f"{condition}_accuracy": condition for condition in ("test", *CONDITIONS)}
if len(strategies):
    display(with_intervals(summary(strategies, both, hard)).T)
tested = []
if len(strategies):
    rows = [comparisons(strategies, both, column).assign(condition=name) for column, name in hard.items() if column in strategies]
    tested = pd.concat(rows).set_index("condition")
    tested["p_holm"] = holm(tested["p"].astype(float))  # over all conditions
if len(tested):
    display(in_points(tested))
    sentences = [f"- {verdict(row, f'accuracy under {condition}')}" for condition, row in tested.iterrows()]
    display(Markdown("\n".join([f"**Verdict.** {len(tested)} comparisons, corrected together:", "", *sentences])))

# %% mystnb={"image": {"alt": "Accuracy without and with PAL under patches, shifts and blur, with intervals."}} tags=["hide-input"]
if len(tested):
    shown = {column: name for column, name in hard.items() if name in ("test", "patch_off", "patch_eyes", "patch_mouth", "blur_4")}
    figure = draw_arms(strategies, both, shown, "accuracy on FER2013's test faces (%)")
