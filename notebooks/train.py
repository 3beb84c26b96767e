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
# # One training run
#
# At the end of this page you will know how to train a network with PAL or without it, and what a run leaves behind: its curves,
# its mistakes, and where it looks. As it stands the page takes the drawn faces, whose patch in the corner gives nine labels in
# ten away, and the strategy `mean`.
#
# ```sh
# papermill notebooks/train.ipynb OUT.ipynb -p strategy mean
# papermill notebooks/train.ipynb OUT.ipynb -p strategy none
# papermill notebooks/train.ipynb OUT.ipynb -p dataset fer2013 -p data_dir DIR
# papermill notebooks/train.ipynb OUT.ipynb \
#   -p dataset rafdb -p data_dir DIR -p image_size 100
# papermill notebooks/train.ipynb OUT.ipynb \
#   -p dataset affectnet -p data_dir DIR -p image_size 112
# ```
#
# The folded cell below lists every option. An invalid value stops the run and says why. The run's folder is in `runs/`.

# %% tags=["parameters", "hide-input"]
dataset = "synthetic"  # synthetic, fer2013, rafdb or affectnet
data_dir = None  # folder of the data set; the synthetic faces need none
landmarks = None  # landmark table, or folder of rafdb's landmark files, where it is not in data_dir
labels = "own"  # of fer2013: own, or ferplus, on which most of ten voters agree
landmark_order = "row_column"  # of rafdb's landmark files: row_column or x_y
backbone = "compact"  # compact, plain, vgg16, resnet50 or face_resnet
width_multiplier = None  # share of compact's and plain's channels; None: a half, which trains twice as fast as all of them
normalisation = "block"  # compact and plain: batch normalisation after each block or each convolution
layer = None  # layer to attribute; None: the last convolutional map
weights = None  # None, "imagenet", "hed" (for vgg16), "dlib" (for face_resnet), or a file with the backbone's weights
strategy = "mean"  # none (cross-entropy only), all, mean or half
attribution = "grad_input"  # grad or grad_input
score = "abs_logits"  # what is differentiated: abs_logits or logits
loss = "pal"  # of the attribution: pal, or a rival (energy, rrr or cosine)
pal_weight = 1.0  # of PAL, or its rival, beside the cross-entropy
pal_share = 1.0  # share of the epochs, from the first, in which that loss counts
sigma = 3 / 112  # width of a landmark's Gaussian, as a fraction of the image side
jaw = 1.0  # weight of the 17 jaw landmarks in the heatmap; 0 leaves them out
landmark_source = "own"  # landmarks that training aims at: own, or as a control shuffled, template, box, upside_down or centre
landmark_jitter = 0.0  # deviation of noise on them, as a fraction of the image side
placed = False  # put faces at a random place and scale on a textured ground
crop = None  # crop faces to their landmarks' box with this margin; None: no crop
image_size = 48  # side of the input in pixels; None: that of the data set
epochs = 8
batch_size = 32
optimizer = "adam"  # adam, or sgd with Nesterov momentum
learning_rate = 1e-3
weight_decay = 0.0  # of kernels: each step takes learning_rate times this of them
schedule = "cosine"  # cosine or constant
warmup = 0.0  # epochs in which the rate rises from 0, before the cosine
label_smoothing = 0.0  # share of each label spread over all classes
units = 512  # width of each of the two dense layers
dropout = 0.5  # before each of them
augment = True  # flip, small shift, rotation and scale
augment_strength = 1.0  # factor of the greatest shift, rotation and scale
warp = "host"  # where faces are augmented: host, or device (a GPU, with JAX)
distribute = "none"  # none, or data: each batch divided among all devices
precision = "float32"  # float32 or mixed_bfloat16
class_weight = "none"  # none or balanced: each class weighs the same in the cross-entropy
sampling = "natural"  # natural or balanced: each class is drawn equally often
train_share = 1.0  # share of the training faces used
label_noise = 0.0  # share of the training labels made wrong
shortcut = 0.9  # synthetic faces: how often the patch shows the label; None: no patch
robustness = False  # test also under patches, shifts and blur
seed = 0
out_dir = None  # folder of the run; None: runs/<dataset>-<backbone>-<strategy>-<seed>

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["remove-input"]
from palcore.training import options_of

options = options_of(globals())

# %% [markdown]
# ## The faces
#
# Each face comes with 68 landmarks. They become a heatmap, drawn here at the size of the attributed layer, and they are used as
# a target during training only.

# %% mystnb={"figure": {"caption": "A test face of each expression, its landmarks, and their heatmap at the size of the attributed layer.", "name": "fig-train-1"}, "image": {"alt": "Seven test faces, one an expression, with 68 landmark dots each, and below each its coarse heatmap."}} tags=["hide-input"]
import keras
import numpy as np
from IPython.display import Markdown

from palcore import EMOTIONS
from palcore.heatmaps import gaussian_heatmap
from palcore.models import build_classifier, with_attribution
from palcore.training import load_faces, run_folder, train
from study.book import figures as plots

plots.use_style()
faces = load_faces(options, "test", run_folder(options).parent / "index")
examples = [int(np.flatnonzero(faces.labels == label)[0]) for label in np.unique(faces.labels)]
probe = with_attribution(build_classifier(options.backbone, faces.images.size, normalisation=options.normalisation), options.layer)
cells = probe.output["attribution"].shape[1:3]
heatmaps = gaussian_heatmap(faces.landmarks[examples], cells, options.sigma)
figure = plots.draw_faces(
    faces.images[examples], faces.landmarks[examples], keras.ops.convert_to_numpy(heatmaps), faces.labels[examples]
)

# %% [markdown]
# ## Training
#
# The loss is the cross-entropy plus `pal_weight` times PAL. The run's folder receives the record, the predictions on the test
# faces, and the classifier as a plain Keras file. If it is stopped, the same command goes on from the last epoch, and on a
# processor ends with the same weights to the last bit.

# %% tags=["remove-output"]
folder = train(options)

# %% mystnb={"figure": {"caption": "How the terms of the loss and the accuracy went.", "name": "fig-train-2"}, "image": {"alt": "Curves of the loss terms and of the accuracy against the epoch, for training and validation."}} tags=["hide-input"]
from palcore.runs.records import read_record

record = read_record(folder)
terms = {"energy": "energy outside (share)", "rrr": "squared attribution outside", "cosine": "1 - cosine"}
figure = plots.draw_history(record["history"], terms.get(options.loss, "PAL (minus correlation)"))

# %% [markdown]
# ## What it recognises

# %% tags=["hide-input"]
import pandas as pd

table = pd.DataFrame(record["metrics"]).T[["faces", "accuracy", "mean_class_accuracy", "macro_f1"]]
table.columns.name = "test faces"
table.astype({"faces": int, "accuracy": float, "mean_class_accuracy": float, "macro_f1": float}).round(3)

# %% mystnb={"figure": {"caption": "What is taken for what, in per cent of each true class.", "name": "fig-train-3"}, "image": {"alt": "Confusion matrix of the seven expressions on the test faces, in per cent of each true class."}} tags=["hide-input"]
figure = plots.draw_confusion(record["metrics"]["test"]["confusion"])

# %% [markdown]
# ## Where it looks
#
# The attribution of test faces beside the heatmap of their landmarks. `pointing` and `energy` come with the value that chance
# would give.

# %% mystnb={"figure": {"caption": "Where the network looks, and where the landmarks are.", "name": "fig-train-4"}, "image": {"alt": "Seven test faces, the attribution over each face, and the heatmap over each face."}} tags=["hide-input"]
from palcore.data.changes import crop_faces

classifier = keras.models.load_model(folder / "classifier.keras")
if record["window"]:  # this network reads crops
    faces = crop_faces(faces, record["window"])
    heatmaps = gaussian_heatmap(faces.landmarks[examples], cells, options.sigma)
watched = with_attribution(classifier, options.layer, options.attribution, "mean", options.score)
maps = watched.predict(faces.images[examples], verbose=0)["attribution"]
figure = plots.draw_attributions(faces.images[examples], {"attribution": maps, "heatmap": keras.ops.convert_to_numpy(heatmaps)})

# %%
pd.DataFrame({name: scores["attribution"] for name, scores in record["metrics"].items()}).T.round(3)

# %% tags=["hide-input"]
scores = record["metrics"]["test"]
worst = min((value, name) for name, value in scores["recall"].items() if value is not None)
Markdown(
    f"Of {scores['faces']} test faces {100 * scores['accuracy']:.1f} % were named rightly; the hardest of the "
    f"{len(EMOTIONS)} expressions was {worst[1]} ({100 * worst[0]:.1f} %). The attribution correlates with the heatmap at "
    f"{scores['attribution']['correlation']:.2f}. The run took {record['seconds'] / 60:.1f} minutes on {record['device']}."
)

# %% [markdown]
# ## In three lines
#
# - One notebook is one run; its parameters are all there is to it.
# - A run leaves a record, its predictions, and a classifier that is plain Keras and needs no landmarks.
# - The attribution with PAL lies on the face. Whether the answer relies on it is [another question](attribution.ipynb).
