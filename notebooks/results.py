# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Results
#
# Every number on this page is read from the run records in `results/`, one small file a run, and every interval and test is
# computed here from those files. A row's `record` is the file that it comes from.

# %% tags=["parameters"]
results_dir = None  # folder of the records; None: the study's own results/

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

from palcore import EMOTIONS, plots
from palcore.notebook import refuse_unknown_parameters
from palcore.records import read_predictions, read_record, read_results, repository_root
from palcore.statistics import bootstrap_difference, mcnemar, mean_interval, paired_by_seed

refuse_unknown_parameters(In)
plots.use_style()
results = Path(results_dir) if results_dir else repository_root() / "results"
shortcut, fer2013 = read_results(results / "shortcut"), read_results(results / "fer2013")


def points(value):
    """A difference of accuracies in points, with its sign."""
    return f"{100 * value:+.1f}"


def listing(table, scores):
    """The runs of an experiment, one a row, with the record they come from."""
    shown = table[["strategy", "seed", *scores, "minutes", "device", "commit", "name"]].rename(columns={"name": "record"})
    return shown.sort_values(["strategy", "seed"]).round({**dict.fromkeys(scores, 3), "minutes": 1}).set_index("record")


# %% [markdown]
# (results-shortcut)=
# ## A shortcut on drawn faces
#
# A patch in the corner shows the label of most training faces. The table has the accuracy on test faces whose patch behaves as in
# training, and on the same faces with a patch at random; the means are over seeds, with 95 % intervals (Student's t).

# %%
scores = {
    "test_accuracy": "accuracy, patch as in training",
    "shortcut_free_accuracy": "accuracy, patch at random",
    "shortcut_free_correlation": "correlation with the heatmap",
}


def with_interval(values):
    mean, low, high = mean_interval(values)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


summary = shortcut.groupby("strategy")[list(scores)].agg(with_interval).rename(columns=scores)
summary.insert(0, "seeds", shortcut.groupby("strategy")["seed"].nunique())
summary.loc[["none", "mean"]]

# %% mystnb={"image": {"alt": "Accuracy of each run with the patch as in training and at random, without and with PAL."}}
figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for place, column in enumerate(list(scores)[:2]):
    for offset, (strategy, name) in enumerate((("none", "without PAL"), ("mean", "with PAL"))):
        values = shortcut.loc[shortcut["strategy"] == strategy, column]
        x = place + 0.24 * (offset - 0.5)
        axes.plot([x] * len(values), 100 * values, "os"[offset], color=plots.COLOURS[offset], label=None if place else name)
        axes.plot([x - 0.08, x + 0.08], [100 * values.mean()] * 2, color=plots.COLOURS[offset], linewidth=2)
axes.axhline(100 / len(EMOTIONS), color="0.5", linestyle=":", label="chance")
axes.set_xticks(range(2), ["patch as in training", "patch at random"])
axes.set(ylabel="accuracy on test faces (%)", ylim=(0, 100), xlim=(-0.5, 1.5))
axes.legend(frameon=False, loc="lower left")

# %%
with_patch = paired_by_seed(shortcut, "test_accuracy")
without = paired_by_seed(shortcut, "shortcut_free_accuracy")
settings = shortcut.iloc[0]
Markdown(
    f"**Verdict.** Over {without['seeds']} seeds, PAL changed the accuracy on faces whose patch is random by "
    f"{points(without['difference'])} points (95 % interval {points(without['low'])} to {points(without['high'])}, paired t test "
    f"p = {without['p']:.2g}), and where the patch behaves as in training by {points(with_patch['difference'])} points "
    f"({points(with_patch['low'])} to {points(with_patch['high'])}, p = {with_patch['p']:.2g}). "
    f"(`compact` at {settings['image_size']} px, {settings['epochs']} epochs, weight of PAL {settings['pal_weight']:g}; the patch "
    f"shows the label with probability {settings['shortcut']:g}.)"
)

# %%
listing(shortcut, list(scores))

# %% [markdown]
# (results-fer2013)=
# ## Real faces: FER2013
#
# The whole training set, the public split; the validation split chose the learning rate and the number of epochs of the baseline,
# and the test split was used once per run.

# %%
listing(fer2013, ["test_accuracy", "test_mean_class_accuracy", "test_macro_f1", "test_correlation", "test_pointing", "test_energy"])

# %%
rows = []
for seed in sorted(
    set(fer2013.loc[fer2013["strategy"] == "none", "seed"]) & set(fer2013.loc[fer2013["strategy"] == "mean", "seed"])
):
    names = {strategy: fer2013.query("strategy == @strategy and seed == @seed")["name"].item() for strategy in ("none", "mean")}
    baseline, guided = (read_predictions(results / "fer2013", names[strategy]) for strategy in ("none", "mean"))
    assert np.array_equal(baseline["labels"], guided["labels"])
    difference, low, high = bootstrap_difference(baseline["labels"], baseline["probabilities"], guided["probabilities"])
    test = mcnemar(baseline["labels"], baseline["probabilities"], guided["probabilities"])
    rows.append(
        {
            "seed": seed,
            "difference (points)": points(difference),
            "95 % interval over faces": f"{points(low)} to {points(high)}",
            "only the baseline right": test["only_first"],
            "only PAL right": test["only_second"],
            "McNemar p": round(test["p"], 4),
        }
    )
pairs = pd.DataFrame(rows).set_index("seed")
pairs

# %% mystnb={"image": {"alt": "Recall of each expression on FER2013's test faces, without and with PAL, as paired bars."}}
figure, axes = plt.subplots(figsize=(7.4, 3.8), layout="constrained")
for offset, (strategy, name) in enumerate((("none", "without PAL"), ("mean", "with PAL"))):
    names = fer2013.loc[fer2013["strategy"] == strategy, "name"]
    recalls = [list(read_record(results / "fer2013" / f"{run}.json")["metrics"]["test"]["recall"].values()) for run in names]
    places = np.arange(len(EMOTIONS)) + 0.4 * (offset - 0.5)
    axes.bar(places, 100 * np.mean(recalls, axis=0), 0.38, color=plots.COLOURS[offset], hatch=("", "//")[offset], label=name)
axes.set_xticks(range(len(EMOTIONS)), EMOTIONS, rotation=25, ha="right")
axes.set(ylabel="recall (%), mean over seeds", ylim=(0, 100))
axes.legend(frameon=False, ncols=2, loc="upper left")

# %%
change = paired_by_seed(fer2013, "test_accuracy")
looks = fer2013.groupby("strategy")["test_correlation"].mean()
single = "" if change["seeds"] > 1 else " One seed cannot tell PAL's effect from that of the seed."
interval = "" if change["seeds"] == 1 else f" (95 % interval over seeds {points(change['low'])} to {points(change['high'])})"
Markdown(
    f"**Verdict.** With PAL the accuracy on FER2013's test faces changed by {points(change['difference'])} points over "
    f"{change['seeds']} paired seed{'s' if change['seeds'] > 1 else ''}{interval}, while the attribution's correlation with the "
    f"heatmap went from {looks['none']:.2f} to {looks['mean']:.2f}.{single}"
)

# %% [markdown]
# ## How to make these records
#
# Each run is one call of the notebook `train`, and its record is `record.json` in the run's folder.


# %%
def command(row):
    """The papermill line that repeats a run."""
    words = ["papermill notebooks/train.ipynb OUT.ipynb"]
    if row["dataset"] != "synthetic":
        words.append(f"-p dataset {row['dataset']} -p data_dir DIR")
    names = ["strategy", "epochs", "learning_rate", "image_size", "precision", "seed"]
    return " ".join([*words, *(f"-p {name} {row[name]}" for name in names)])


commands = pd.concat([shortcut, fer2013]).assign(command=lambda table: table.apply(command, axis=1))
commands.set_index("name")[["command"]].style.set_properties(**{"text-align": "left", "white-space": "normal"})
