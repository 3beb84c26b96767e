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
# The Privileged Attribution Loss (PAL) is a second loss in training: it draws what a network looks at, its attribution, to the
# landmarks of the face, which are not needed afterwards. Does it make a network recognise expressions better, and does it need each
# face's own landmarks for that? Real faces are those of FER2013; on drawn faces a coloured patch gives the expression away in
# training, and no longer in the test. The answer, from the records of all runs that are in:

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from study.results.glance import Glance, questions_table
from study.results.measures import caveats
from study.results.primary import answers

page = Glance(In, results_dir)
display(Markdown(answers(results_dir)))

# %% mystnb={"figure": {"caption": "The primary effects. Orange: the mean difference over seeds and its 95 % interval; grey: each seed; in brackets the accuracy of each arm. The line is zero, and shaded is what was named beforehand as no difference, one point either way. Real and drawn faces have scales of their own."}, "image": {"alt": "Differences in accuracy of the primary comparisons, each below its name, with their intervals, a line at zero, and the margin of one point shaded.", "classes": "fits"}} tags=["remove-input"]
page.effects()

# %% [markdown]
# How to read it: an interval right of the line says that what is named first does better, one left of it that it does worse. An
# interval that crosses the line leaves open whether there is any difference; only one that lies wholly within the shaded band
# says that there is none worth a point. Only these comparisons get a verdict, and their tests are corrected together (Holm),
# since with several questions one of them would come out by chance. They were named in `study/grid.yml` before their runs. Of two
# the answer was known then: runs on another copy of FER2013, with the same test faces, had shown the sign of P1, and runs on
# drawn faces that of P5. Everything else in these pages is exploratory: intervals, no verdict.
#
# Two things decide. Would other seeds show the difference? The test over seeds says so, with one spread for all arms of a question.
# Would other test faces? A difference is called higher or lower only where an interval with seeds *and* faces at random leaves out
# zero as well.
#
# P4's arms differ in more than their labels: FER+ has a label for 21,733 of the 28,709 training faces, so that its arm makes a
# quarter fewer steps on other faces. P3 does not tell the place of a face from its landmarks: a template that moves with the face
# was no arm.

# %% tags=["remove-input"]
page.tests()

# %% [markdown]
# ## Better, or only faster?
#
# A network that has learnt more in the same epochs is also better on the faces that it was trained on. The tables of tests above
# have each difference on training faces, on validation faces, and on test faces whose landmarks the detector found or guessed:

# %% tags=["remove-input"]
page.pace()

# %% mystnb={"figure": {"caption": "Above, the accuracy on validation faces after each epoch: means over the seeds, bands from the least to the greatest. Below, PAL's lead. Dots: where a training ends. Left the first comparisons' network, right [a better baseline](results_end.ipynb), for as long as it takes."}, "image": {"alt": "Validation accuracy against the epoch, without PAL and with it, on a weak and on a better baseline, and below it PAL's lead in points."}} tags=["remove-input"]
page.learning({"faces": "all faces, a weak baseline", "tenth": "a tenth of the faces, a better one"})

# %% [markdown]
# So what is shown is a gain in pace. All runs had a number of epochs that was fixed beforehand, with a learning rate that falls
# to zero at its end, and no record shows what longer trainings give. The baseline is weak besides: it recognises 63 % of
# FER2013's test faces, where one network without other data reaches 73.28 % [khaireddin2021facial](../book/references.bib). By
# FER+'s labels 85 % were published, over eight expressions [barsoum2016training](../book/references.bib).
#
# ## What it is good for, and what not
#
# PAL against the same training without it, where no primary comparison was named: exploratory, so intervals and no verdict. Of so
# many intervals some leave out zero by chance. Above zero speaks for PAL, below zero against it; around zero leaves open whether
# there is any difference.

# %% tags=["remove-input"]
page.circumstances()

# %% [markdown]
# How each row was trained is on [the page of real faces](results_faces.ipynb).
#
# ## Is it PAL that helps, or the landmarks?
#
# The same landmarks can be used otherwise. The *feature cosine* compares the features themselves with the heatmap: it has no
# attribution, and needs no second derivatives. *Face crops* cut the picture to the landmarks. Where an interval holds zero, it is
# not shown that PAL does better than that:

# %% tags=["remove-input"]
page.instead()

# %% [markdown]
# Other losses, layers and heatmaps are on [the page of controls](results_controls.ipynb).
#
# ## Whose landmarks?
#
# If another face's landmarks, or one template for all faces, do as well as a face's own, PAL tells a network where faces are, and
# nothing about this face. P2 and P3 ask that of real faces, at the weight of PAL that was chosen with own landmarks; last stands a
# template at [a weight of its own](results_controls.ipynb). What the other wrong landmarks show:

# %% tags=["remove-input"]
page.wrong_landmarks("shortcut", "aligned-landmarks", "template-weight")

# %% [markdown]
# ## Does the network look where it is told to, and does it rely on it?
#
# PAL trains the correlation of the attribution with a heatmap of the landmarks, so a rise of this correlation proves nothing.
# What was not trained on: whether the largest attribution lies on a landmark (the *pointing game*), how much of the attribution
# lies near landmarks (*energy*), the same for another attribution, integrated gradients; and what the answer relies on, measured
# by covering a place and testing again. Attribution that has moved is not reliance that has moved: the tables of each page give
# both. Where integrated gradients stay behind, PAL has moved the measure that it trains more than where the network looks.

# %% tags=["remove-input"]
page.looks("faces", "shortcut")

# %% [markdown]
# ## Limits

# %% tags=["remove-input"]
display(Markdown(caveats(results_dir)))

# %% [markdown]
# Two processor cores did all of it, so the networks are small. What was trained for less than the settings say has "short" beside
# its name, in the tables and in the figures.

# %% [markdown]
# ## All questions

# %% tags=["remove-input"]
questions_table(results_dir)

# %% [markdown]
# The runs of all questions are listed in `study/grid.yml`. In a clone, `make grid` runs those that are missing, and `python
# study/grid.py publish` copies finished ones into `results/`.
