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
# # Results: RAF-DB and AffectNet
#
# Their images are licensed and are not part of this study. This page says what to run on a copy of your own; the figures and
# tables below then fill themselves from the records.

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from study.results.pages import Page

page = Page(In, results_dir)

# %% [markdown]
# ## RAF-DB

# %% tags=["hide-input"]
page.what_to_run("rafdb", "RAF-DB")

# %% tags=["hide-input"]
page.answer("rafdb")

# %% mystnb={"figure": {"caption": "RAF-DB. Left: mean over seeds and 95 % interval, blue without PAL, orange with it. Right: differences, grey each seed; shaded is what counts as none."}, "image": {"alt": "Accuracy on RAF-DB of both backbones, and the differences."}} tags=["hide-input"]
page.figure("rafdb")

# %% tags=["hide-input"]
page.tables("rafdb")

# %% [markdown]
# ## AffectNet

# %% tags=["hide-input"]
page.what_to_run("affectnet", "AffectNet")

# %% tags=["hide-input"]
page.answer("affectnet")

# %% mystnb={"figure": {"caption": "AffectNet."}, "image": {"alt": "Accuracy on AffectNet of both backbones, and the differences."}} tags=["hide-input"]
page.figure("affectnet")

# %% tags=["hide-input"]
page.tables("affectnet")
