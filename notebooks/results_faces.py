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
# # Results: real faces
#
# Does PAL raise the accuracy on real faces? The data is FER2013. Each run is tested once, on all 3,589 test faces by FER2013's labels,
# and on the 2,720 on whose label most of FER+'s ten voters agree. By FER+ 34 % of those are neutral, by FER2013 19 %. A network learns
# the shares of the labels that it is trained on, so by the other kind its probabilities are first multiplied by the ratio of both
# kinds' shares among the training faces [saerens2002adjusting](../book/references.bib).
#
# Others reach 73.28 % by FER2013's labels, with one network without other data [khaireddin2021facial](../book/references.bib), and
# 85.0 % by FER+'s, over eight expressions [barsoum2016training](../book/references.bib). The networks here are small.

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
# ## Aligned faces
#
# PAL is the strategy `mean`, on the mean of the channels; the baseline is trained without it, with the same settings.

# %% tags=["hide-input"]
page.answer("faces")

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces. Left: mean over seeds and 95 % interval, blue without PAL, orange with it. Right: differences, grey each seed; shaded is what counts as none. So all such figures of this page."}, "image": {"alt": "Accuracy without and with PAL, and the difference."}} tags=["hide-input"]
page.figure("faces")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch: mean over seeds, band from the least to the greatest. The learning rate falls to zero, so all curves end flat."}, "image": {"alt": "Validation accuracy against the epoch without and with PAL, one line and band each."}} tags=["hide-input"]
page.curves("faces")

# %% mystnb={"figure": {"caption": "Recall of each expression on the test faces, mean over seeds."}, "image": {"alt": "Recall of each expression on the test faces, without and with PAL, as paired bars."}} tags=["hide-input"]
page.recalls("faces")

# %% tags=["hide-input"]
page.tables("faces")

# %% tags=["hide-input"]
page.conditions("faces")

# %% [markdown]
# ## Noisy labels, real ones
#
# FER2013's own labels agree with most of FER+'s voters in 72 % of the faces. Does PAL help more where the training labels are noisy?
# The trainings differ in more than that: FER+ has a label for 21,733 of the 28,709 training faces, so that training on it makes a
# quarter fewer steps, on other faces.

# %% tags=["hide-input"]
page.answer("labels")

# %% mystnb={"figure": {"caption": "Accuracy by FER+'s labels, with their shares put in where the network was trained on FER2013's."}, "image": {"alt": "Accuracy by FER+'s labels without and with PAL, trained on FER2013's and on FER+'s labels, and the differences."}} tags=["hide-input"]
page.figure("labels")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces, by the labels that the network was trained on."}, "image": {"alt": "Validation accuracy against the epoch for both label sets, without and with PAL."}} tags=["hide-input"]
page.curves("labels")

# %% tags=["hide-input"]
page.tables("labels")

# %% [markdown]
# ## Width
#
# One pair with all of compact's channels: does the width change the answer?

# %% tags=["hide-input"]
page.answer("width")

# %% tags=["hide-input"]
page.adds_more("width", "with all channels", "faces", "with half of them")

# %% mystnb={"figure": {"caption": "All channels."}, "image": {"alt": "Accuracy without and with PAL with all channels, and the difference."}} tags=["hide-input"]
page.figure("width")

# %% tags=["hide-input"]
page.tables("width")

# %% [markdown]
# ## Strategies
#
# Which channels the attribution is taken of: their mean, all one by one, or half of them.

# %% tags=["hide-input"]
page.answer("faces-strategies")

# %% mystnb={"figure": {"caption": "Strategies on FER2013's test faces."}, "image": {"alt": "Accuracy of each strategy, and the differences from training without PAL."}} tags=["hide-input"]
page.figure("faces-strategies")

# %% tags=["hide-input"]
page.tables("faces-strategies")

# %% [markdown]
# ## Rare expressions
#
# Disgust is rare ([the counts](data.ipynb)). Accuracy hardly notices it; the mean-class accuracy, the mean of the seven recalls, counts
# it as one seventh. Two options make the classes weigh the same: weights in the cross-entropy (`class_weight`), or drawing each
# class equally often (`sampling`). Without PAL.

# %% tags=["hide-input"]
page.answer("imbalance")

# %% mystnb={"figure": {"caption": "Mean-class accuracy with classes as they come, weighted, and drawn equally often."}, "image": {"alt": "Mean-class accuracy for three ways to treat rare classes, and the differences."}} tags=["hide-input"]
page.figure("imbalance")

# %% mystnb={"figure": {"caption": "Recall of each expression, mean over seeds."}, "image": {"alt": "Recall of each expression with natural classes, class weights and balanced sampling, as bars side by side."}} tags=["hide-input"]
page.recalls("imbalance")

# %% tags=["hide-input"]
page.tables("imbalance")

# %% [markdown]
# ## Little data
#
# 5, 10, 30 and 100 % of the training faces; the fewer the faces, the more epochs, so that every share gets about as many steps.

# %% tags=["hide-input"]
page.answer("little-data")

# %% mystnb={"figure": {"caption": "Four shares of the training faces."}, "image": {"alt": "Accuracy without and with PAL for four shares of the training faces, and the differences."}} tags=["hide-input"]
page.figure("little-data")

# %% tags=["hide-input"]
page.tables("little-data")

# %% [markdown]
# ## Noisy labels, drawn ones
#
# A share of the training labels is replaced by another expression; the test labels stay.

# %% tags=["hide-input"]
page.answer("noisy-labels")

# %% mystnb={"figure": {"caption": "Three shares of wrong labels."}, "image": {"alt": "Accuracy without and with PAL for three shares of wrong labels, and the differences."}} tags=["hide-input"]
page.figure("noisy-labels")

# %% tags=["hide-input"]
page.tables("noisy-labels")

# %% [markdown]
# ## From a network that knows faces
#
# The paper starts from pretrained backbones. This one is dlib's face-recognition network
# ([`palcore.face_resnet`](../palcore/face_resnet.py)), at 112 pixels.

# %% tags=["hide-input"]
page.answer("knows-faces")

# %% mystnb={"figure": {"caption": "From a network that knows faces."}, "image": {"alt": "Accuracy without and with PAL from pretrained weights, and the differences."}} tags=["hide-input"]
page.figure("knows-faces")

# %% tags=["hide-input"]
page.tables("knows-faces")

# %% [markdown]
# ## A large network: VGG16
#
# VGG16 at 112 pixels on a GPU, from the convolutions of an edge detector that had begun as ImageNet's VGG16 ([`weights="hed"`](../book/use.md)).
# Eight epochs, and nothing tuned: short trainings, in which no network came to its end. PAL's lead on test faces is no larger than
# its lead on the faces that were trained on.

# %% tags=["hide-input"]
page.answer("vgg16-short")

# %% mystnb={"figure": {"caption": "VGG16 from pretrained convolutions, eight epochs."}, "image": {"alt": "Accuracy of VGG16 without PAL, with PAL and with a template, and the differences."}} tags=["hide-input"]
page.figure("vgg16-short")

# %% tags=["hide-input"]
page.tables("vgg16-short")

# %% [markdown]
# ## How the settings were chosen
#
# Learning rate and dropout are chosen for the baseline alone, by its accuracy on the validation faces; every other arm takes the
# same. PAL's weight is chosen likewise: four tries for the baseline, and four more for PAL, all with one seed at full length. The
# best dropout, 0.25, is the least that was tried, so that less may be better still; and that one seed, 0, has the largest
# difference of all in P1 and P2. Wrong landmarks take PAL's weight; [the page of controls](results_controls.ipynb) tries others
# for the template, and chooses those of PAL's rivals.

# %% tags=["hide-input"]
page.tried("tuning")

# %% [markdown]
# ## Settings and limits

# %% tags=["hide-input"]
display(Markdown(settings_sentence("fer2013")))
display(Markdown(caveats()))
