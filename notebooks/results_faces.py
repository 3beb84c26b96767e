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
# Does PAL raise the accuracy on real faces? FER2013, tested once a run on its 3,589 test faces, with the owner's labels. For
# 2,720 of them most of FER+'s ten voters agree on another kind of label: 34 % of those faces are neutral by FER+, 19 % by
# FER2013. A network learns the shares of the labels that it is trained on, so that by the other kind it is scored with that
# kind's shares put in: its probabilities are multiplied by the ratio of both kinds' shares among the training faces
# [saerens2002adjusting](../book/references.bib). Without that the score would count how often a network answers "neutral".
#
# What others reach: 73.28 % by FER2013's labels, one network without other data [khaireddin2021facial](../book/references.bib),
# and 85.0 % by FER+'s, over eight expressions [barsoum2016training](../book/references.bib). The networks here are small and
# trained for a few minutes.

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

# %% tags=["remove-input"]
page.answer("faces")

# %% mystnb={"figure": {"caption": "Accuracy on FER2013's test faces. On the left the mean over seeds with its 95 % interval, blue without PAL and orange with it. On the right the differences: orange their mean and interval, grey each seed, the line zero, shaded what counts as no difference."}, "image": {"alt": "Accuracy without and with PAL, and the difference."}} tags=["remove-input"]
page.figure("faces")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch: mean over seeds, band from the least to the greatest. Every curve is flat at its end, since the learning rate falls to zero there: that does not show that longer training would change nothing."}, "image": {"alt": "Validation accuracy against the epoch without and with PAL, one line and band each."}} tags=["remove-input"]
page.curves("faces")

# %% mystnb={"figure": {"caption": "Recall of each expression on the test faces, mean over seeds."}, "image": {"alt": "Recall of each expression on the test faces, without and with PAL, as paired bars."}} tags=["remove-input"]
page.recalls("faces")

# %% tags=["remove-input"]
page.tables("faces")

# %% tags=["remove-input"]
page.conditions("faces")

# %% [markdown]
# ## Noisy labels, real ones
#
# FER2013's own labels agree with most of FER+'s voters in 72 % of the faces: real label noise. Does PAL help more where the
# training labels are noisy? The two trainings differ in more than that: FER+ has a label for 21,733 of the 28,709 training faces,
# so that training on it makes a quarter fewer steps, on other faces. By the labels that it was not trained on, a network is
# scored with their shares put in.

# %% tags=["remove-input"]
page.answer("labels")

# %% mystnb={"figure": {"caption": "Accuracy by FER+'s labels, with their shares put in where the network was trained on FER2013's. Read as the first figure of this page."}, "image": {"alt": "Accuracy by FER+'s labels without and with PAL, trained on FER2013's and on FER+'s labels, and the differences."}} tags=["remove-input"]
page.figure("labels")

# %% mystnb={"figure": {"caption": "Accuracy on validation faces after each epoch, by the labels that the network was trained on: mean over seeds, band from the least to the greatest."}, "image": {"alt": "Validation accuracy against the epoch for both label sets, without and with PAL."}} tags=["remove-input"]
page.curves("labels")

# %% tags=["remove-input"]
page.tables("labels")

# %% [markdown]
# ## Width
#
# One pair with all of compact's channels: does the width change the answer?

# %% tags=["remove-input"]
page.answer("width")

# %% tags=["remove-input"]
page.adds_more("width", "with all channels", "faces", "with half of them")

# %% mystnb={"figure": {"caption": "All channels. Read as the first figure of this page."}, "image": {"alt": "Accuracy without and with PAL with all channels, and the difference."}} tags=["remove-input"]
page.figure("width")

# %% tags=["remove-input"]
page.tables("width")

# %% [markdown]
# ## Strategies
#
# Which channels the attribution is taken of: their mean, all one by one, or half of them.

# %% tags=["remove-input"]
page.answer("faces-strategies")

# %% mystnb={"figure": {"caption": "Strategies on FER2013's test faces. Read as the first figure of this page."}, "image": {"alt": "Accuracy of each strategy, and the differences from training without PAL."}} tags=["remove-input"]
page.figure("faces-strategies")

# %% tags=["remove-input"]
page.tables("faces-strategies")

# %% [markdown]
# ## Rare expressions
#
# Disgust is rare among the training faces ([the counts](data.ipynb)). Accuracy hardly notices it. The mean-class accuracy, the
# mean of the seven recalls, counts it as one seventh; RAF-DB and AffectNet are usually read by both numbers. Two options make the
# classes weigh the same in training: weights in the cross-entropy (`class_weight`), or drawing each class equally often
# (`sampling`). Without PAL.

# %% tags=["remove-input"]
page.answer("imbalance")

# %% mystnb={"figure": {"caption": "Mean-class accuracy with classes as they come, weighted, and drawn equally often. On the left means over seeds with 95 % intervals, on the right the differences from classes as they come."}, "image": {"alt": "Mean-class accuracy for three ways to treat rare classes, and the differences."}} tags=["remove-input"]
page.figure("imbalance")

# %% mystnb={"figure": {"caption": "Recall of each expression, mean over seeds."}, "image": {"alt": "Recall of each expression with natural classes, class weights and balanced sampling, as bars side by side."}} tags=["remove-input"]
page.recalls("imbalance")

# %% tags=["remove-input"]
page.tables("imbalance")

# %% [markdown]
# ## Little data
#
# 5, 10, 30 and 100 % of the training faces; the fewer the faces, the more epochs, so that every share gets about as many steps,
# the short trainings among each other and those at full length likewise. So the table says what more different faces are worth,
# not what longer training is worth.

# %% tags=["remove-input"]
page.answer("little-data")

# %% mystnb={"figure": {"caption": "Four shares of the training faces. Read as the first figure of this page."}, "image": {"alt": "Accuracy without and with PAL for four shares of the training faces, and the differences."}} tags=["remove-input"]
page.figure("little-data")

# %% tags=["remove-input"]
page.tables("little-data")

# %% [markdown]
# ## Noisy labels, drawn ones
#
# A share of the training labels is replaced by another expression; the test labels stay.

# %% tags=["remove-input"]
page.answer("noisy-labels")

# %% mystnb={"figure": {"caption": "Three shares of wrong labels. Read as the first figure of this page."}, "image": {"alt": "Accuracy without and with PAL for three shares of wrong labels, and the differences."}} tags=["remove-input"]
page.figure("noisy-labels")

# %% tags=["remove-input"]
page.tables("noisy-labels")

# %% [markdown]
# ## From a network that knows faces
#
# The paper starts from pretrained backbones. This one is dlib's face-recognition network
# ([`palcore.face_resnet`](../palcore/face_resnet.py)), at 112 pixels: it had learnt to tell people apart before it saw an
# expression.

# %% tags=["remove-input"]
page.answer("knows-faces")

# %% mystnb={"figure": {"caption": "From a network that knows faces. Read as the first figure of this page."}, "image": {"alt": "Accuracy without and with PAL from pretrained weights, and the differences."}} tags=["remove-input"]
page.figure("knows-faces")

# %% tags=["remove-input"]
page.tables("knows-faces")

# %% [markdown]
# ## A large network: VGG16
#
# VGG16 at 112 pixels on a GPU, from the convolutions of an edge detector that had begun as ImageNet's VGG16 ([`weights="hed"`](../book/use.md)).
# Eight epochs, and nothing tuned: short trainings, in which no network came to its end. As with the small network, PAL's lead on
# test faces is no larger than its lead on the faces that were trained on.

# %% tags=["remove-input"]
page.answer("vgg16-short")

# %% mystnb={"figure": {"caption": "VGG16 from pretrained convolutions, eight epochs. Read as the first figure of this page."}, "image": {"alt": "Accuracy of VGG16 without PAL, with PAL and with a template, and the differences."}} tags=["remove-input"]
page.figure("vgg16-short")

# %% tags=["remove-input"]
page.tables("vgg16-short")

# %% [markdown]
# ## How the settings were chosen
#
# Learning rate and dropout are chosen for the baseline alone, by its accuracy on the validation faces; every other arm takes the
# same. PAL's weight is chosen likewise: four tries for the baseline, and four more for PAL, all with one seed at full length. The
# best dropout, 0.25, is the least that was tried, so that less may be better still; and that one seed, 0, has the largest
# difference of all in P1 and P2. Wrong landmarks take PAL's weight; [the page of controls](results_controls.ipynb) tries others
# for the template, and chooses those of PAL's rivals.

# %% tags=["remove-input"]
page.tried("tuning")

# %% [markdown]
# ## Settings and limits

# %% tags=["remove-input"]
display(Markdown(settings_sentence("fer2013")))
display(Markdown(caveats(results_dir)))
