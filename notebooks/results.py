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
# # Results at a glance
#
# The Privileged Attribution Loss (PAL) is a second loss in training: it pulls a network's attribution, the places that its answer
# depends on, towards the face's landmarks. Once trained, the network needs none. Does it then recognise expressions better, and
# must the landmarks be each face's own? Real faces are FER2013's. Drawn faces carry a coloured patch that gives the expression
# away in training, and misleads in the test.

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from study.book.front_page import SUMMARY
from study.results.glance import Glance
from study.results.primary import answers

page = Glance(In, results_dir)
display(Markdown(f"**{SUMMARY}**\n\n{answers(results_dir)}"))

# %% [markdown]
# Only comparisons that were named before their runs get a verdict, each family of them corrected by itself
# ([how, and the others](results_tests.ipynb)). The networks are small; RAF-DB and
# AffectNet were [not at hand](results_licensed.ipynb).
#
# ## Better, or only faster?

# %% mystnb={"figure": {"caption": "Above, accuracy on validation faces after each epoch: means, and bands from the least seed to the greatest. Below, PAL's lead. Dots: where a training ends, its learning rate at zero."}, "image": {"alt": "Validation accuracy against the epoch without PAL and with it, a column for each baseline, and below it PAL's lead in points.", "classes": "fits"}} tags=["hide-input"]
page.learning({"faces": "a weak baseline", "end": "a good baseline", "tenth": "a good baseline, a tenth of the faces"})

# %% tags=["hide-input"]
page.pace()

# %% [markdown]
# More: [tests, circumstances, limits](results_tests.ipynb), [a good baseline](results_end.ipynb), [real faces](results_faces.ipynb),
# [right places and rivals](results_controls.ipynb), [the shortcut](results_shortcut.ipynb).
#
# ## Whose landmarks?
#
# Points that PAL gains or loses with other landmarks, and 95 % intervals over seeds:

# %% tags=["hide-input"]
page.landmarks()

# %% [markdown]
# ## What does it rely on?
#
# Attribution that moved is not reliance that moved:

# %% tags=["hide-input"]
page.looks("faces", "shortcut")
