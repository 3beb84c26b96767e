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
# # Results: the right place, and rivals
#
# Is it this face's landmarks that help, or any map that looks like a face? FER2013's faces are cut alike, so that the mean of all
# landmarks, a *template*, is nearly right for each. If a template does as well, PAL is a spatial prior there.

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from study.results.arms import settings_sentence
from study.results.measures import caveats
from study.results.pages import Page

page = Page(In, results_dir)

# %% [markdown]
# ## Aligned faces: own landmarks or a template?
#
# PAL with each face's own landmarks, with a template, and with landmarks that are wrong on purpose: another face's, the same
# shape upside down, points around the middle of the picture.

# %% tags=["hide-input"]
page.answer("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces, whatever the landmarks are. Left: mean over seeds and 95 % interval, blue without PAL, orange with it. Right: differences, grey each seed; shaded is what counts as none. So all such figures of this page. Each is compared with PAL with the face's own landmarks."}, "image": {"alt": "Accuracy without PAL, with own landmarks and with wrong ones, and the differences from own landmarks."}} tags=["hide-input"]
page.figure("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch: mean over seeds, band from the least to the greatest."}, "image": {"alt": "Validation accuracy against the epoch for own and wrong landmarks."}} tags=["hide-input"]
page.curves("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Attributions of one network an arm on six test faces, own landmarks in white, and the mean over all. Yellow is most; the pictures are not ours to show."}, "image": {"alt": "Maps of the attribution for networks trained with own landmarks, without PAL, and with four kinds of wrong landmarks, on the same faces."}} tags=["hide-input"]
page.maps("aligned-landmarks")

# %% tags=["hide-input"]
page.against("aligned-landmarks", "without PAL")

# %% tags=["hide-input"]
page.tables("aligned-landmarks")

# %% [markdown]
# ## A weight of its own for the template
#
# PAL's weight was chosen with each face's own landmarks. Would another suit a template better? It got the four tries that PAL's weight
# had (PAL had four more, of learning rate and dropout, which were the baseline's); the validation faces chose one, which got other
# seeds:

# %% tags=["hide-input"]
page.answer("template-weight", single=True)

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces with PAL and own landmarks, and with a template at four weights. One seed makes no interval."}, "image": {"alt": "Accuracy of PAL with own landmarks and with a template at four weights, and the differences."}} tags=["hide-input"]
page.figure("template-weight", single=True)

# %% tags=["hide-input"]
page.tables("template-weight", single=True)

# %% [markdown]
# ## Faces placed at random
#
# The same faces at a random place and scale on a larger textured ground, in training and test, the same for every arm: a template
# can't help there. None moved with the face, so that where a face is and what its landmarks say are not told apart.

# %% tags=["hide-input"]
page.answer("placed")

# %% mystnb={"figure": {"caption": "Accuracy on faces placed at random. Each is compared with PAL with the face's own landmarks."}, "image": {"alt": "Accuracy on placed faces without PAL, with own landmarks and with a template, and the differences."}} tags=["hide-input"]
page.figure("placed")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces placed at random."}, "image": {"alt": "Validation accuracy against the epoch on placed faces for each arm."}} tags=["hide-input"]
page.curves("placed")

# %% mystnb={"figure": {"caption": "The same on faces placed at random."}, "image": {"alt": "Maps of the attribution on placed faces for networks trained without PAL, with own landmarks and with a template."}} tags=["hide-input"]
page.maps("placed")

# %% tags=["hide-input"]
page.tables("placed")

# %% [markdown]
# ## Layer, width, jaw, and landmarks moved
#
# Each arm changes one thing of PAL. All were trained short; the best and the worst on the validation faces at full length too.

# %% tags=["hide-input"]
page.answer("landmarks")

# %% mystnb={"figure": {"caption": "One thing of PAL changed. Each is compared with PAL as it is."}, "image": {"alt": "Accuracy without PAL, with PAL, and with each change of PAL, and the differences from PAL."}} tags=["hide-input"]
page.figure("landmarks")

# %% tags=["hide-input"]
page.tables("landmarks")

# %% [markdown]
# ## Rivals
#
# Other losses on the same output, and face crops. Each loss was tried with four weights and one seed in short trainings; the validation
# faces chose one, which got the other seeds and full length. So PAL's weight here is not that of the other pages. If validation chose
# the smallest weight, the loss may not help at any. The last tables have all weights.

# %% tags=["hide-input"]
page.answer("rivals")

# %% mystnb={"figure": {"caption": "PAL, its rivals at the chosen weights, and face crops."}, "image": {"alt": "Accuracy of the baseline, PAL, its rivals and face crops, and the differences from the baseline."}} tags=["hide-input"]
page.figure("rivals")

# %% tags=["hide-input"]
page.tables("rivals")

# %% [markdown]
# ### All weights that were tried

# %% tags=["hide-input"]
page.tables("rivals", single=True)

# %% [markdown]
# ## Settings and limits

# %% tags=["hide-input"]
display(Markdown(settings_sentence("fer2013")))
display(Markdown(caveats()))
