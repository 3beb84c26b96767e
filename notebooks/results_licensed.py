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
# # Results: RAF-DB and AffectNet
#
# Their images are licensed and are not part of this study. This page says what to run on a copy of your own; the tables below
# then fill themselves from the records.

# %% tags=["parameters"]
seed = 0  # of the bootstrap
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.book import figures as plots
from palcore.book.grid import grid_module
from palcore.book.notebook import refuse_unknown_parameters
from palcore.book.pages import show_question, show_runs

refuse_unknown_parameters(In)
plots.use_style()
SCORES = {
    "test_accuracy": "accuracy (%)",
    "test_mean_class_accuracy": "mean-class accuracy (%)",
    "test_correlation": "correlation with the heatmap (x 100)",
}
BACKBONES = ("vgg16", "resnet50")
STRATEGIES = ("none", "all", "mean", "half")
arms = {f"{backbone}, {name}": {"backbone": backbone, "strategy": name} for backbone in BACKBONES for name in STRATEGIES}
pairs = {label: f"{arm['backbone']}, none" for label, arm in arms.items() if arm["strategy"] != "none"}


def what_to_run(question, name):
    module, cells = grid_module()
    members = [cell for cell in cells if question in cell.questions]
    hours, rate = sum(cell.minutes for cell in members) / 60, module.FACES_PER_SECOND["vgg16"]
    return Markdown(
        f"""DIR is the folder of {name}:

```sh
make grid GRID="--config {question}=DIR questions={question} --resources gpu=1"
python workflow/grid.py publish {question}
```

{len(members)} runs, about {hours:.0f} hours on one GPU that trains {rate} faces a second (assumed, not measured). They fill the
table below."""
    )


# %% [markdown]
# ## RAF-DB

# %% tags=["hide-input"]
display(what_to_run("rafdb", "RAF-DB"))
rafdb = show_question("rafdb", arms, SCORES, baseline=pairs, results=results_dir)
show_runs(rafdb, {"test_accuracy": "accuracy"})

# %% [markdown]
# ## AffectNet

# %% tags=["hide-input"]
display(what_to_run("affectnet", "AffectNet"))
affectnet = show_question("affectnet", arms, SCORES, baseline=pairs, results=results_dir)
show_runs(affectnet, {"test_accuracy": "accuracy"})
