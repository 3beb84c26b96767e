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
# landmarks, a *template*, is nearly right for each of them. If a template does as well, PAL is a spatial prior there, and no
# privileged information about this face.

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
# shape upside down, points around the middle of the picture. The attribution is always compared with the right ones.

# %% tags=["remove-input"]
page.answer("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces, whatever the landmarks are. On the left the mean over seeds with its 95 % interval, blue without PAL and orange with it. On the right the differences: orange their mean and interval, grey each seed, the line zero, shaded what counts as no difference. Each is compared with PAL with the face's own landmarks."}, "image": {"alt": "Accuracy without PAL, with own landmarks and with wrong ones, and the differences from own landmarks."}} tags=["remove-input"]
page.figure("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch: mean over seeds, band from the least to the greatest."}, "image": {"alt": "Validation accuracy against the epoch for own and wrong landmarks."}} tags=["remove-input"]
page.curves("aligned-landmarks")

# %% mystnb={"figure": {"caption": "Attributions of one network an arm on the same six test faces, with each face's own landmarks in white, and their mean over all test faces. Yellow is most, blue least; the pictures themselves are not ours to show."}, "image": {"alt": "Maps of the attribution for networks trained with own landmarks, a template and an upside-down shape, on the same faces."}} tags=["remove-input"]
page.maps("aligned-landmarks")

# %% tags=["remove-input"]
page.tables("aligned-landmarks")

# %% [markdown]
# ## A weight of its own for the template
#
# PAL's weight was chosen with each face's own landmarks, and wrong landmarks took it over. Would another weight suit a template
# better? It got the four tries that PAL's weight had, with the same seed (PAL had four more, of learning rate and dropout, which were
# the baseline's); the accuracy on the validation faces chose one, which got other seeds:

# %% tags=["remove-input"]
page.answer("template-weight", single=True)

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces with PAL and own landmarks, and with a template at four weights. On the left the mean over seeds with its 95 % interval, where there is more than one seed; on the right the differences from PAL: orange their mean and interval, grey each seed, the line zero, shaded what counts as no difference."}, "image": {"alt": "Accuracy of PAL with own landmarks and with a template at four weights, and the differences."}} tags=["remove-input"]
page.figure("template-weight", single=True)

# %% tags=["remove-input"]
page.tables("template-weight", single=True)

# %% [markdown]
# ## Faces placed at random
#
# The same faces at a random place and scale on a larger textured ground, in training and in test, the same for every arm: there a
# template can't help, and own landmarks can. A template that moves with the face was no arm, so that where a face is and what its
# landmarks say are not told apart.

# %% tags=["remove-input"]
page.answer("placed")

# %% mystnb={"figure": {"caption": "Accuracy on faces placed at random. Read as the first figure of this page. Each is compared with PAL with the face's own landmarks."}, "image": {"alt": "Accuracy on placed faces without PAL, with own landmarks and with a template, and the differences."}} tags=["remove-input"]
page.figure("placed")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch, faces placed at random: mean over seeds, band from the least to the greatest."}, "image": {"alt": "Validation accuracy against the epoch on placed faces for each arm."}} tags=["remove-input"]
page.curves("placed")

# %% mystnb={"figure": {"caption": "Attributions of one network an arm on the same six faces placed at random, with each face's own landmarks in white, and their mean over all test faces."}, "image": {"alt": "Maps of the attribution on placed faces for networks trained without PAL, with own landmarks and with a template."}} tags=["remove-input"]
page.maps("placed")

# %% tags=["remove-input"]
page.tables("placed")

# %% [markdown]
# ## Layer, width, jaw, and landmarks moved
#
# Each arm changes one thing of PAL. All were trained short; of them all together, the one that did best and the one that did worst on
# the validation faces were trained at full length, too.

# %% tags=["remove-input"]
page.answer("landmarks")

# %% mystnb={"figure": {"caption": "One thing of PAL changed. Read as the first figure of this page. Each is compared with PAL as it is."}, "image": {"alt": "Accuracy without PAL, with PAL, and with each change of PAL, and the differences from PAL."}} tags=["remove-input"]
page.figure("landmarks")

# %% tags=["remove-input"]
page.tables("landmarks")

# %% [markdown]
# ## Rivals
#
# Other losses on the same output, and face crops. Each loss was tried with four weights and one seed in short trainings; the accuracy
# on the validation faces chose one of them, which got the other seeds, and which the runs at full length took over. So PAL's weight
# here is not that of the other pages, which was chosen at full length. Where it chose the smallest of them, the loss may gain
# nothing at any weight. Face crops need no weight. The last tables have all weights.

# %% tags=["remove-input"]
page.answer("rivals")

# %% mystnb={"figure": {"caption": "PAL, its rivals at the chosen weights, and face crops. Read as the first figure of this page."}, "image": {"alt": "Accuracy of the baseline, PAL, its rivals and face crops, and the differences from the baseline."}} tags=["remove-input"]
page.figure("rivals")

# %% tags=["remove-input"]
page.tables("rivals")

# %% [markdown]
# ### All weights that were tried

# %% tags=["remove-input"]
page.tables("rivals", single=True)

# %% [markdown]
# ## Settings and limits

# %% tags=["remove-input"]
display(Markdown(settings_sentence("fer2013")))
display(Markdown(caveats(results_dir)))
