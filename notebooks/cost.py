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
# # What it costs
#
# What does PAL add to a training step, and is the step a good one to begin with? Up to the sections on JAX and on a
# GPU, which name their own records, the numbers come from one run of `make bench`, `results/benchmark/cost.json`. Most are ratios: the two
# things that are compared took turns in that run, so a slow machine, or a busy one, slows down both.

# %% tags=["parameters"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds benchmark/cost.json; None: the study's own results/

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["hide-input"]
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from palcore.runs.records import repository_root
from study.book import figures as plots
from study.results.tables import read_question, to_markdown

plots.use_style()
results = Path(results_dir) if results_dir else repository_root() / "results"
record = json.loads((results / "benchmark" / "cost.json").read_text())
figures = record["figures"]


def measured(*names):
    """Figures of these names, or of names that start so, which were measured."""
    return {name: found for name, found in figures.items() if name.startswith(names) and "not_measured" not in found}


def show_tables(shown):
    """A table for each kind of figure, ``{name: found}``: median and spread, target."""
    kinds = {}
    for found in shown.values():
        kind, _, of = found["what"].rpartition(": ")
        kinds.setdefault(kind, {})[of] = {
            "median": f"{found['median']:.3g}",
            "spread": f"{found['low']:.3g} to {found['high']:.3g}",
            "target": f"{found['target']}: {'met' if found['met'] else 'missed'}" if "target" in found else "",
        }
    for kind, rows in kinds.items():
        table = pd.DataFrame(rows).T
        display(Markdown(to_markdown(table.loc[:, (table != "").any()], kind[:1].upper() + kind[1:])))


# %% tags=["remove-input"]
last = [figures[name] for name in ("pal_vgg16", "pal_resnet50", "pal_compact_48", "pal_compact_112") if name in figures]
added = {found["what"].partition(": ")[2].partition(",")[0]: 100 * (found["median"] - 1) for found in last}
steps = ", ".join(f"{round(percent):+d} % ({network})" for network, percent in added.items())


def longer(name, what):
    """A sentence: how much longer than our step another takes."""
    found = figures.get(name, {"not_measured": "no part of this record"})
    if "not_measured" in found:
        return f"{what} was not measured: {found['not_measured']}."
    percent = 100 * (found["median"] - 1)
    return f"{what} takes {abs(percent):.0f} % {'longer' if percent >= 0 else 'less long'} than our step."


targeted = [found for found in figures.values() if "target" in found]
missed = [f"{found['what']}, {found['median']:.3f} for {found['target']}" for found in targeted if not found["met"]]
Markdown(
    f"**Answer.** PAL at the last map adds at most {max(added.values()):.0f} % to the time of a training step: {steps}. "
    + longer("torch", "On VGG16, a hand-written PyTorch loop")
    + f"\n\nOf {len(targeted)} targets that were set before, {len(targeted) - len(missed)} are met"
    + ("; missed:\n\n" + "\n".join(f"- {case}" for case in missed) if missed else ".")
    + f"\n\nMeasured on {record['device']}, in {record['seconds'] / 60:.0f} minutes; load average before it began: {record['load_before']:g}."
)

# %% [markdown]
# ## A step with PAL
#
# The head runs once, for the logits and for the gradient; a test counts its operations. What PAL adds is arithmetic in the layers *behind* the attributed map
# only: a pass back to the map for the attribution, and two more when that pass is differentiated in turn. So the last map is
# cheap, whatever the network, and `block4_conv3` of VGG16, with three convolutions behind it, is dearer. The bars are medians,
# the lines reach from the lowest to the highest round, and each mark is a target.

# %% mystnb={"figure": {"caption": "Time (blue) and memory (green) of a step with PAL over the same step without. Bars: medians; lines: from the lowest to the highest round; orange: the target.", "name": "fig-cost-1"}, "image": {"alt": "Bars of the time and memory of a step with PAL over one without, for five networks and layers, each with its target."}} tags=["remove-input"]
shown = measured("pal_", "memory_")
names = [found["what"].partition(": ")[2].replace(" px, batches of ", " px,\nbatches of ") for found in shown.values()]
figure, axes = plt.subplots(figsize=(6.4, 0.8 + 0.5 * len(shown)), layout="constrained")
for place, (name, found) in enumerate(shown.items()):
    colour = plots.COLOURS[2 if name.startswith("memory") else 0]
    reach = [[found["median"] - found["low"]], [found["high"] - found["median"]]]
    axes.barh(place, found["median"] - 1, left=1, height=0.6, color=colour, xerr=reach, capsize=3)
    if "target" in found:
        axes.plot([float(found["target"].split()[-1])] * 2, [place - 0.42, place + 0.42], color=plots.COLOURS[1], linewidth=3)
axes.axvline(1, color="black", linewidth=1)
axes.set_yticks(range(len(names)), names)
axes.invert_yaxis()
label = axes.set_xlabel("with PAL, over the same without")
# %% tags=["remove-input"]
show_tables(shown)

# %% tags=["remove-input"]
sentence = ""
if "pal_vgg16" in figures:
    rate = 8 / figures["pal_vgg16"]["seconds"]["vgg16"]
    sentence = (
        f"VGG16 with PAL trains on {rate:.1f} faces of 112 pixels a second here, so that one epoch of AffectNet's 269,705 training faces "
        f"takes {269705 / rate / 3600:.0f} hours: that is work for a GPU."
    )
Markdown(sentence)

# %% [markdown]
# On `compact`, most of what PAL adds is the second pass through its dense layers, which hold most of its weights, while the step
# that it is added to is short; the heatmaps and the correlation are next to nothing. The spread shows how much of a short step is
# chance. At `block4_conv3`, the memory is that of three convolutions' gradients, which are kept until they are differentiated in
# turn.

# %% [markdown]
# ## The same step, written by hand
#
# The PyTorch loop does the double backward with `torch.autograd.grad(..., create_graph=True)`, with heatmaps that were drawn
# before. Both begin with the same weights and the same faces, and the first losses are compared.

# %% tags=["remove-input"]
show_tables(measured("same_loss", "torch", "normalisation"))

# %% tags=["remove-input"]
gaps = []
for precision in ("float32", "mixed_bfloat16"):
    names = [f"torch_compact_block_0.5_{precision}", *(f"normalisation_0.5_{precision}{way}" for way in ("", "_in_PyTorch"))]
    if len(there := measured(*names)) >= 3:
        rate, ours, theirs = (there[name]["median"] for name in names)
        gaps.append(
            f"in {precision.removeprefix('mixed_')} it reaches {rate:.2f} of PyTorch's rate; normalising after each convolution in place of "
            f"each block makes a step {ours:.2f} times as long, and {theirs:.2f} times in PyTorch"
        )
Markdown(f"`compact` with half its channels: {'; '.join(gaps)}." if gaps else "")

# %% tags=["remove-input"]
left_out = [f"- {found['what']}: {found['not_measured']}." for found in figures.values() if "not_measured" in found]
display(Markdown("Not measured:\n\n" + "\n".join(left_out))) if left_out else None

# %% [markdown]
# ## What this machine could do at best
#
# No step is faster than the machine multiplies. Two things tell how fast that is: a large matrix product, and a 3x3 convolution on
# maps like VGG16's. The step's arithmetic is counted from its layers, as
# written: where a library finds a way with fewer multiplications, a share can pass 1.

# %% tags=["remove-input"]
show_tables(measured("ceiling"))

# %% tags=["remove-input"]
rates = {}
for found in measured("ceiling").values():
    rates |= found["gigaflop_per_second"]
sentence = "In GFLOP a second: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()) + "." if rates else ""
if {"torch", "ceiling_matrix"} <= set(measured("torch", "ceiling")):
    needed = 1.2 * figures["ceiling_matrix"]["median"] / figures["torch"]["median"]
    sentence += (
        f" A step with 1.2 times PyTorch's faces a second would have to multiply at {needed:.2f} times the rate of the large matrix product"
        + (": faster than this machine multiplies." if needed > 1 else ".")
    )
Markdown(sentence)

# %% [markdown]
# ## Batches
#
# A batch holds pictures, labels and 136 numbers a face: the heatmaps are drawn in the graph, at the cells of the attribution map. So
# what the processor does beside the network is to read and to augment.

# %% tags=["remove-input"]
show_tables(measured("augmented", "threads", "fed", "freed"))

# %% [markdown]
# Threads share the faces of a batch, and each face is one thread's: OpenCV would share a single warp among threads of its own, and
# leave no core to a second one of ours. Where a card asks for more than they give, the warp runs on it ([on a GPU](../book/gpu.md)),
# and only reading is left to the threads.
#
# TensorFlow's generator dataset, which `fit` makes of our batches, tells the C library to hand freed memory back to the system at
# once, and every step fetches it again, page by page: the last table has what that costs.
# [`palcore.data.memory`](../palcore/data/memory.py) undoes it. glibc still hands back blocks above 32 MiB, which large batches of large
# images have; jemalloc, preloaded with `LD_PRELOAD`, keeps these too. That dataset also has a thread that tunes it, for which the end of
# an epoch may have to wait: on one core nearly always, and as long as the epoch took at worst. So a run gives `fit` one that is not tuned
# ([`given_to_fit`](../palcore/data/batches.py)).

# %% [markdown]
# ## JAX
#
# Whole trainings with the settings of question `shortcut`: one on JAX for each arm, beside the five seeds on TensorFlow.

# %% tags=["remove-input"]
scores = {"accuracy, patch as in training (%)": "test", "accuracy, patch at random (%)": "shortcut_free"}
arms, rows = {"without PAL": "none", "PAL": "mean"}, {}
runs = read_question("shortcut", results_dir)
for label, strategy in arms.items():
    path = results / "benchmark" / "jax" / f"{strategy}.json"
    same = runs[(runs["strategy"] == strategy) & (runs["landmark_source"] == "own")] if len(runs) else runs
    for words, condition in scores.items() if path.is_file() and len(same) else ():
        metrics, seen = json.loads(path.read_text())["metrics"], 100 * same[f"{condition}_accuracy"]
        rows[f"{label}: {words}"] = {
            "on JAX": f"{100 * metrics[condition]['accuracy']:.1f}",
            "on TensorFlow": f"{seen.min():.1f} to {seen.max():.1f}",
        }
if rows:
    display(Markdown(to_markdown(pd.DataFrame(rows).T)))

# %% [markdown]
# ## On a GPU
#
# `make bench BENCH=gpu` measures a card of either backend: VGG16 and ResNet50, with PAL and without, at the last map and one earlier,
# through `fit`, beside a PyTorch loop as a person writes it, all in turn.

# %% tags=["remove-input"]
card = results / "benchmark" / "gpu"
card = card if card.is_dir() else repository_root() / "results" / "benchmark" / "gpu"
made = json.loads((card / "card.json").read_text()) if (card / "card.json").is_file() else None


def card_row(case):
    """A case of the card's record as a row of the table."""
    if "not_measured" in case:
        return {"PAL's step over the plain one": f"not measured: {case['not_measured']}"}
    over, rates, held = case["time_over_plain"], case["faces_per_second"], case["gigabytes"]
    return {
        "PAL's step over the plain one": f"{over['PAL']['median']:.2f}",
        "one map earlier": f"{over['PAL earlier']['median']:.2f} ({case['earlier']})",
        "faces a second, with PAL": f"{rates['PAL']['median']:,.0f}",
        "PyTorch": f"{rates['PyTorch']['median']:,.0f}" if "PyTorch" in rates else "not measured",
        "share of the rate of a bfloat16 matrix product": f"{case['share_of_ceiling']['matrix']['median']:.0%}",
        "of a convolution": f"{case['share_of_ceiling']['convolution']['median']:.0%}",
        "GB with PAL (without)": f"{held['PAL']:.1f} ({held['plain']:.1f})" if held["PAL"] else "not told",
    }


ours, theirs = (json.loads((card / f"step-{name}.json").read_text())["cases"] for name in ("jax", "torch"))
best = max(case["faces_per_second_fit_pal"] for case in ours.values())
if made:
    measured_cases = {name: case for name, case in made["cases"].items() if "not_measured" not in case}
    best = max(
        case["faces_per_second"]["PAL"]["median"] for name, case in measured_cases.items() if name.startswith("vgg16 at 224")
    )
    display(Markdown(to_markdown(pd.DataFrame({name: card_row(case) for name, case in made["cases"].items()}).T.fillna(""))))
    late, fed = "; ".join(made["not_reached"]) or "nothing", made["fed"]
    sentence = f"{made['device']}, {made['backend']}, {made['seconds']} s in all; not reached: {late}."
    reached = (
        f"reaches {fed['median']:.2f} of what it reaches on one fixed batch"
        if "median" in fed
        else f"failed: {fed['not_measured']}"
    )
    display(Markdown(f"{sentence} `fit` on files {reached}."))
else:
    rows = {
        f"VGG16, {'bfloat16' if 'bfloat16' in name else 'float32'}": {
            "PAL's step over the plain one": f"{case['fit_ratio']:.2f}",
            "faces a second, with PAL": f"{case['faces_per_second_fit_pal']:,}",
            "PyTorch: PAL over plain": f"{theirs[name]['ratio']:.2f}",
            "PyTorch: faces a second, with PAL": f"{theirs[name]['faces_per_second_pal']:,}",
        }
        for name, case in ours.items()
    }
    display(
        Markdown(
            "That command has not been run on a card yet. Measured by hand before it was there: one NVIDIA H200, Keras's JAX backend "
            "without TensorFlow, VGG16 at 224 pixels in batches of 64, through `fit`; and the PyTorch loop on the same card, minutes later. "
            "PAL adds one or two per cent to a step. ResNet50, the earlier map, memory and the card's ceiling were not measured."
        )
    )
    display(Markdown(to_markdown(pd.DataFrame(rows).T)))

# %% tags=["remove-input"]
many = json.loads((card / "side_by_side.json").read_text())
epochs, first = np.array(many["seconds_of_an_epoch"]), np.array(many["seconds_of_the_first_epoch"])
display(
    Markdown(
        f"Small networks share a card: {many['processes']} trainings of the study's `compact` network side by side, on all "
        f"{many['training_faces']:,} faces of FER2013, took {np.median(epochs):.0f} s for an epoch each, and "
        f"{np.median(first):.0f} s for the first one: **compiling costs more than a short training**. So runs on a card share what "
        "they have compiled, whatever their weight, rate and length (`study/side_by_side.py`).\n\n"
        f"At the measured rate an epoch of AffectNet's 269,705 training faces takes VGG16 at 224 pixels {269705 / best / 60:.1f} minutes, if "
        "the faces come as fast."
    )
)

# %% [markdown]
# [How to train on a GPU](../book/gpu.md) says how runs share what they have compiled.
