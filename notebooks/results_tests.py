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
# # Results: tests, circumstances, limits
#
# What each verdict rests on, where else PAL helps, whether another use of the landmarks does as well, and what nothing here shows.

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from study.results.glance import Glance, questions_table
from study.results.measures import caveats

page = Glance(In, results_dir)

# %% [markdown]
# ## The primary comparisons

# %% mystnb={"figure": {"caption": "The primary effects. Orange: the mean difference over seeds and its 95 % interval; grey: each seed; in brackets the accuracy of each arm. The line is zero, and shaded is what was named beforehand as no difference, one point either way. Real and drawn faces have scales of their own."}, "image": {"alt": "Differences in accuracy of the primary comparisons, each below its name, with their intervals, a line at zero, and the margin of one point shaded.", "classes": "fits"}} tags=["hide-input"]
page.effects()

# %% [markdown]
# Right of the line, what is named first does better; left of it, worse. An interval that crosses the line leaves it open. One that
# lies wholly in the shaded band says that there is no difference worth a point.
#
# The comparisons were named in `study/grid.yml` before their runs, in two families, each corrected by itself (Holm). Of two the answer was known
# then: runs on another copy of FER2013, with the same test faces, had shown the sign of P1, and runs on drawn faces that of P5. All
# else in these pages is exploratory: intervals, no verdict.
#
# Two things decide. Would other seeds show the difference? The test over seeds says so, with one spread for all arms of a question.
# Would other test faces? It is called higher or lower only where an interval with seeds *and* faces at random leaves out zero too.
#
# P4's arms differ in more than their labels: FER+ has a label for 21,733 of the 28,709 training faces, so that its arm makes a
# quarter fewer steps on other faces. P3 does not tell the place of a face from its landmarks: no template moved with the face.

# %% tags=["hide-input"]
page.tests()

# %% [markdown]
# The trainings of P1 to P4 were short, and their baseline is weak: 63 % of FER2013's test faces, where one network without other data
# reaches 73.28 % [khaireddin2021facial](../book/references.bib); by FER+'s labels, over eight expressions, 85 % were published
# [barsoum2016training](../book/references.bib). Nothing was trained for longer from it, so what they show may be a gain in pace.
# [A good baseline](results_end.ipynb) tells what remains of it.
#
# ## What it is good for, and what not
#
# PAL against the same training without it from the weak baseline, where no primary comparison was named. Of so many intervals some leave out zero by
# chance. [How each was trained](results_faces.ipynb).

# %% tags=["hide-input"]
page.circumstances()

# %% [markdown]
# ## Is it PAL that helps, or the landmarks?
#
# The *feature cosine* compares the features themselves with the heatmap: no attribution, no second derivatives. *Face crops* cut
# the picture to the landmarks. [Other losses, layers and heatmaps](results_controls.ipynb).

# %% tags=["hide-input"]
page.instead()

# %% [markdown]
# ## Limits

# %% tags=["hide-input"]
display(Markdown(caveats()))

# %% [markdown]
# What was trained for less than the settings say has "short" beside its name.
#
# ## All questions
#
# `study/grid.yml` lists their runs. In a clone, `make grid` runs those that are missing.

# %% tags=["hide-input"]
questions_table(results_dir)
