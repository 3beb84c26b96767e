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
# # Results: the shortcut
#
# Does PAL make a network read the face where a shortcut is in the picture? Drawn faces carry a coloured patch that shows the
# label in most training pictures. Each test face is seen twice: with the patch as in training, and at random (`shortcut_free` in
# the records). A network that reads the face loses nothing then.

# %% tags=["parameters", "remove-input"]
seed = 0  # nothing is drawn at random on this page
results_dir = None  # folder that holds runs/; None: the study's own results/

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from study.results.arms import settings_sentence
from study.results.pages import Page

page = Page(In, results_dir)

# %% [markdown]
# ## PAL, wrong landmarks, and none
#
# PAL with own landmarks, another face's, and the mean of all (a template). If wrong landmarks gain as much, the gain does not come
# from knowing where this face's features are.

# %% tags=["hide-input"]
page.answer("shortcut")

# %% mystnb={"figure": {"caption": "Drawn faces, patch at random. Left: mean over seeds and 95 % interval, blue without PAL, orange with it. Right: differences, grey each seed; shaded is what counts as none. So all such figures of this page."}, "image": {"alt": "Accuracy with the patch at random without PAL, with PAL and with wrong landmarks, and the differences."}} tags=["hide-input"]
page.figure("shortcut")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch: mean over seeds, band from the least to the greatest."}, "image": {"alt": "Validation accuracy against the epoch for each arm, one line and band each."}} tags=["hide-input"]
page.curves("shortcut")

# %% mystnb={"figure": {"caption": "Attributions of one network an arm on six test faces, patch at random, own landmarks in white, and the mean over all. Yellow is most; the patch is in the lower left corner."}, "image": {"alt": "Maps of the attribution for networks trained without PAL, with own landmarks and with wrong ones, on the same faces."}} tags=["hide-input"]
page.maps("shortcut")

# %% tags=["hide-input"]
page.tables("shortcut")

# %% [markdown]
# ### Attribution moved is not reliance moved
#
# Where the attribution lies is what PAL trains. What the answer depends on shows when a place is covered:

# %% tags=["hide-input"]
page.looks("shortcut")

# %% [markdown]
# ## Strategies and attributions
#
# Four strategies, those of PAL with two attributions each.

# %% tags=["hide-input"]
page.answer("shortcut-strategies")

# %% mystnb={"figure": {"caption": "Strategies and attributions, patch at random."}, "image": {"alt": "Accuracy of each strategy with the patch at random, and the differences from training without PAL."}} tags=["hide-input"]
page.figure("shortcut-strategies")

# %% tags=["hide-input"]
page.tables("shortcut-strategies")

# %% [markdown]
# ## All channels, for longer
#
# The same with all of compact's channels, half as many epochs again, and larger batches.

# %% tags=["hide-input"]
page.answer("shortcut-full")

# %% mystnb={"figure": {"caption": "All channels, for longer, patch at random."}, "image": {"alt": "Accuracy with the patch at random without and with PAL, and the difference."}} tags=["hide-input"]
page.figure("shortcut-full")

# %% tags=["hide-input"]
page.tables("shortcut-full")

# %% [markdown]
# ## How strong the shortcut is
#
# The share of training faces whose patch shows the label goes from a half to all of them. Each share has its own baseline.

# %% tags=["hide-input"]
page.answer("shortcut-strength")

# %% mystnb={"figure": {"caption": "Three strengths of the shortcut, patch at random."}, "image": {"alt": "Accuracy with and without PAL for each strength of the shortcut, and the differences."}} tags=["hide-input"]
page.figure("shortcut-strength")

# %% tags=["hide-input"]
page.tables("shortcut-strength")

# %% [markdown]
# ## How heavy PAL is
#
# At which weight does PAL begin to cost accuracy where the patch behaves as in training?

# %% tags=["hide-input"]
page.answer("shortcut-weight")

# %% mystnb={"figure": {"caption": "Three weights of PAL, patch as in training."}, "image": {"alt": "Accuracy with the patch as in training for each weight of PAL, and the differences from training without it."}} tags=["hide-input"]
page.figure("shortcut-weight")

# %% tags=["hide-input"]
page.tables("shortcut-weight")

# %% [markdown]
# ## Landmarks moved at random
#
# PAL with the right landmarks moved by 5 and 10 % of the image side, and with another face's.

# %% tags=["hide-input"]
page.answer("shortcut-landmarks")

# %% mystnb={"figure": {"caption": "Wrong landmarks against the right ones, patch at random."}, "image": {"alt": "Accuracy without PAL, with the right landmarks and with wrong ones, and the differences."}} tags=["hide-input"]
page.figure("shortcut-landmarks")

# %% tags=["hide-input"]
page.tables("shortcut-landmarks")

# %% [markdown]
# ## Settings

# %% tags=["hide-input"]
display(Markdown(settings_sentence("synthetic")))
