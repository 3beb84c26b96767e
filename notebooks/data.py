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
# # The data
#
# At the end of this chapter you will know which faces the study reads, how unequal their classes are, where their landmarks lie and
# who placed them, and what is wrong with FER2013.
#
# The study reads four data sets. One is drawn by the study itself and is always there. Three hold photographs of real people, and
# their owners decide who may have them, so this page shows drawn faces only. What it says about the real ones is computed from
# the constants that their loaders use, and from records in `results/`, which hold numbers and no pictures.
#
# | name | faces | where from |
# |---|---|---|
# | `synthetic` | drawn, 68 exact landmarks each | [`palcore.data.synthetic`](../palcore/data/synthetic.py) |
# | `rafdb` | from the web, 100 by 100 pixels, cut out and aligned | RAF-DB [li2017reliable](../book/references.bib) |
# | `affectnet` | from the web, in all sizes, with landmarks | AffectNet [mollahosseini2019affectnet](../book/references.bib) |
# | `fer2013` | from the web, 48 by 48 grey pixels | FER2013 [goodfellow2013challenges](../book/references.bib) |
#
# Whatever the owner ships, [`palcore.data.load`](../palcore/data/__init__.py) turns it into one form: a table of names, labels
# and landmarks in memory, and images that are read when they are asked for. It does so once: every picture is decoded and looked
# at, and what was there is kept in an index, from which later starts open it.

# %% tags=["parameters"]
seed = 0
faces_drawn = 350  # drawn faces whose landmarks are shown

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% tags=["hide-input"]
import json

import numpy as np
import pandas as pd
from IPython.display import Markdown

from palcore import EMOTIONS
from palcore.data import data_module, fer2013, load, rafdb
from palcore.data.affectnet import EXPRESSIONS
from palcore.runs.records import repository_root
from study.book import figures as plots

plots.use_style()
results = repository_root() / "results"
landmark_record = json.loads((results / "landmarks" / "fer2013.json").read_text())
check_record = json.loads((results / "check" / "fer2013.json").read_text())

# %% [markdown]
# ## The faces
#
# A drawn face has a skin, brows, eyes, a nose and lips, and eight numbers that move them after the action units of FACS
# [ekman1978facial](../book/references.bib). Identity, pose, light, background and noise are random. The 68 landmarks are the
# points that the parts are drawn from, so they are exact. The coloured patch in the corner is the shortcut of
# [the controlled experiment](shortcut.ipynb). Below each face is the heatmap that PAL compares the attribution with
# ([Eq. cell-average](../book/method.md)).

# %% mystnb={"figure": {"caption": "Seven drawn faces with their landmarks and heatmaps.", "name": "fig-data-1"}, "image": {"alt": "Seven drawn faces, one of each expression, with 68 landmark dots each, and below each its heatmap."}} tags=["hide-input"]
import keras

from palcore.heatmaps import gaussian_heatmap

faces = load("synthetic", split="test", seed=seed, count=faces_drawn)
heatmaps = keras.ops.convert_to_numpy(gaussian_heatmap(faces.landmarks[:7], 14))
figure = plots.draw_faces(faces.images[:7], faces.landmarks[:7], heatmaps, faces.labels[:7])

# %% [markdown]
# ## How many faces of each expression
#
# People who put pictures on the web smile. Happiness is the largest class of every real data set, fear and disgust are small, and
# the bars are far from equal. Where the test faces are mixed like the training faces, a network that always answers with the
# largest class is right more often than by chance. That is why the study reports the *mean-class accuracy* beside the accuracy:
# the average of seven recalls, in which every expression counts the same.

# %% mystnb={"figure": {"caption": "How often each expression occurs: bars for training faces, marks for test faces.", "name": "fig-data-2"}, "image": {"alt": "Share of each expression in four data sets, as bars for training and marks for test faces."}} tags=["hide-input"]
names = {"synthetic": "drawn faces", "rafdb": "RAF-DB", "affectnet": "AffectNet", "fer2013": "FER2013"}
published = {name: data_module(name).READER.PUBLISHED for name in ("rafdb", "affectnet", "fer2013")}
drawn = {split: load("synthetic", split=split).counts() for split in ("train", "validation", "test")}
counts = {names["synthetic"]: drawn} | {names[name]: published[name] for name in published}
figure = plots.draw_class_shares(counts)

# %%
table = pd.DataFrame({(name, split): counts[name][split] for name in counts for split in counts[name]}).loc[list(EMOTIONS)]
table.loc["all"] = table.sum()
table.style.format("{:,}")

# %% [markdown]
# The numbers of the real data sets are those that their owners publish, and `python -m palcore check` prints them beside those of
# a copy. RAF-DB and AffectNet come without a validation split of their own for us to use: a small part of their training faces,
# with the same mixture of expressions, becomes that ([`palcore.data.splits.with_validation`](../palcore/data/splits.py)).
# AffectNet's own validation set serves as the test split, as in other work, because its test set is not public.

# %% tags=["hide-input"]
rows = {}
for name, splits in counts.items():
    train, test = splits["train"], splits["test"]
    largest = max(train, key=train.get)
    rows[name] = {
        "largest class": largest if len(set(train.values())) > 1 else "all alike",
        "largest to smallest": f"{max(train.values()) / min(train.values()):.1f} : 1",
        "accuracy of always answering it": f"{test[largest] / sum(test.values()):.1%}",
        "mean-class accuracy of that": f"{1 / len(EMOTIONS):.1%}",
    }
pd.DataFrame(rows).T

# %% [markdown]
# ## Which number means which expression
#
# Every owner counts in another order, and a mistake here is silent: the network trains, and learns the wrong names. The loaders
# hold the orders as constants, and this table is made from them. The study's own order is RAF-DB's, counted from 0.

# %%
orders = {
    "this study": dict(enumerate(EMOTIONS)),
    "RAF-DB": dict(enumerate(rafdb.LABELS, start=1)),
    "AffectNet": dict(enumerate(EXPRESSIONS)),
    "FER2013, csv": dict(enumerate(fer2013.CSV_LABELS)),
}
pd.DataFrame(orders).sort_index().fillna("").rename_axis(columns="number")

# %% tags=["hide-input"]
Markdown(
    "In FER2013's folders the expressions have names: "
    + ", ".join(f"`{folder}` is {emotion}" for folder, emotion in fer2013.FOLDERS.items())
    + "."
)

# %% [markdown]
# ## Where the landmarks lie
#
# The 68 points follow the order of the iBUG 300-W faces [sagonas2013faces](../book/references.bib): jaw, brows, nose, eyes,
# mouth. They are stored as fractions of the image's width and height from its top-left corner, so that no resizing touches them.
# Points outside the image are kept: a jaw that is cut off still pulls the heatmap to the right place.
#
# On the left are the landmarks of many drawn faces. On the right is FER2013: the mean of each landmark over the faces
# in which a detector found a face, and an ellipse of one standard deviation.

# %% mystnb={"figure": {"caption": "Where landmarks lie, on drawn faces and on FER2013.", "name": "fig-data-3"}, "image": {"alt": "Left, clouds of 68 landmarks of drawn faces; right, FER2013's mean landmarks and their spread."}} tags=["hide-input"]
shape = landmark_record["shape"]
figure = plots.draw_landmark_clouds(
    faces.landmarks,
    np.array(shape["mean"]),
    np.array(shape["covariance"]),
    (f"{len(faces):,} drawn faces", f"FER2013: {shape['found']:,} faces found"),
)

# %% tags=["hide-input"]
outside = ((faces.landmarks < 0) | (faces.landmarks > 1)).mean()
Markdown(
    f"The faces of FER2013 fill their images, and {shape['coordinates_outside']:.1%} of the coordinates lie outside; of the drawn "
    f"faces, {outside:.1%}. A face was found in {shape['found'] / shape['faces']:.1%} of FER2013. The others keep the predictor's "
    "answer to a box at the centre, and are marked. In a table whose cells are empty for them, PAL ignores the face, and the "
    "cross-entropy does not."
)

# %% [markdown]
# RAF-DB's text files hold the **row first and then the column**. A file read the wrong way round still looks like numbers
# between 0 and 100. So the loader says the order out loud (`landmark_order`) and looks: the chin must lie below the brows, in
# most faces. Each face is looked at as well. Exchanging x and y mirrors a face, turning the head does not, so
# [`palcore.data.landmark_fit.mirrored`](../palcore/data/landmark_fit.py) tells the one from the other.
#
# ## Landmarks for those who have none
#
# ```sh
# python -m study.landmarks rafdb --data-dir DIR
# ```
#
# finds a face in each image with dlib's detector [king2009dlib](../book/references.bib), places the 68 points with its predictor
# [kazemi2014one](../book/references.bib), and writes `landmarks.csv.gz` where the loader looks for it. An interrupted run goes on
# where it stopped. It needs the extra `landmarks`.
#
# Does it give what others have got? The FER2013 of this study came with a table that somebody else's script had made with the
# same predictor, after equalising the histograms of the same pictures. All runs of this study on FER2013 use that table, and see
# the pictures as they are. The table was compared with what our command finds in these pictures, on faces drawn at random:

# %% tags=["hide-input"]
record = landmark_record["agreement"]
distance, per_face = record["distance_of_landmarks"], record["distance_of_faces"]
neither = record["distance_of_faces_found_by_neither"]
versions = ", ".join(f"{name} {version}" for name, version in landmark_record["versions"].items())
Markdown(
    f"Of {record['faces']} faces, both found a face in {record['found_by_both']}, the table alone in "
    f"{record['found_by_table_only']}, our command alone in {record['found_by_detector_only']}, neither in "
    f"{record['found_by_neither']}. Where both did, the landmarks lie {distance['50']:.2%} of the image's side apart in the median "
    f"(95 % of them within {distance['95']:.1%}); averaged over a face's 68, {per_face['50']:.2%}. Where neither did, both guess "
    f"from a box of their own, and a face's landmarks differ by {neither['50']:.1%} in the median. ({versions}.)\n\n"
    f"{landmark_record['licence']}"
)

# %% [markdown]
# ## What is wrong with FER2013
#
# `python -m palcore check fer2013 --data-dir DIR` looks at every face and lists all that is wrong at once. This is what it
# says about the copy that this study's results come from.

# %% tags=["hide-input"]
copies, near, sizes = check_record["copies"], check_record["near_copies"], check_record["faces"]
blank = sum(len(sentences) for sentences in check_record["notes"].get("image blank", {}).values())
problems = sum(len(sentences) for kinds in check_record["problems"].values() for sentences in kinds.values())
Markdown(
    f"**{copies['crossing']} pictures stand in more than one split**, equal to the last pixel. {copies['train/test']} of the "
    f"{sizes['test']:,} test faces ({copies['train/test'] / sizes['test']:.1%}) are also training faces, "
    f"{copies['validation/test']} are also validation faces, and {copies['train/validation']} of the validation faces are also "
    "training faces. "
    f"{copies['crossing_with_other_label']} of these pictures carry different labels in different places. Within the splits, "
    f"{copies['repeated_within']:,} faces repeat an earlier one. {blank} images have one colour all over.\n\n"
    f"More pictures are nearly the same: saved again, or mirrored. {near['train/test']} test faces have nearly the picture of a training "
    f"face, {near['validation/test']} that of a validation face.\n\n"
    f"Besides these copies the check found {problems} problems that would break or bias a run."
)

# %% [markdown]
# So a network can know some of FER2013's test faces by heart. The copies are part of the public splits: whoever uses those, as we
# do, tests on them too, and a result without them could be compared with nobody's. The comparison that this study makes is
# between networks with and without PAL that are trained on the same faces and tested on the same faces. In a copy whose counts
# are the owner's, the check reports these pictures as notes. Any more of them, or any in another data set, make it exit with 1.
# Near copies are found by a perceptual hash [`palcore.data.faults.look_at`](../palcore/data/faults.py) and are always notes.
#
# ## Two labels for each face
#
# FER2013's labels come from whoever searched the web for a word. FER+ asked ten people about each face. Where more than half of
# their votes agree on one of the seven expressions, the option `labels` (`ferplus`) takes that; the other faces are left out and
# counted. The loader refuses FER+'s file where its rows are not those of the csv file, or agree with its labels less often than
# they should.

# %% tags=["hide-input"]
votes = {split: facts["ferplus"] for split, facts in check_record["labels"].items()}
rows = {
    split: {
        "faces": f"{sizes[split]:,}",
        "with a FER+ label": f"{facts['faces']:,}",
        "of those, the owner's label agrees": f"{facts['agreement']:.1%}",
        **{f"left out: {reason}": f"{count:,}" for reason, count in facts["dropped"].items()},
    }
    for split, facts in votes.items()
}
pd.DataFrame(rows)

# %% tags=["remove-input"]
kept, test = sum(facts["faces"] for facts in votes.values()), votes["test"]
agreement = sum(facts["faces"] * facts["agreement"] for facts in votes.values()) / kept
Markdown(
    f"So {kept:,} faces have two labels, and on them the owner's agrees in {agreement:.0%}: real label noise, where other studies draw it. "
    f"Every run on FER2013, whatever it was trained on, is tested on both: on all {sizes['test']:,} test faces with the owner's labels, and on "
    f"the {test['faces']:,} that have one of FER+'s."
)

# %% [markdown]
# ## Time and memory
#
# The first start decodes every picture. Pixels of one size are copied into the index as they are, RAF-DB's into half a gigabyte;
# AffectNet's would take 43, so its pictures are read where they lie. What is read is made again when a file has changed; another
# landmark table alone reads no picture again.
#
# We have no licensed copy to time. A program of the commit that `results/benchmark/data.json` names, `workflow/benchmark_data.py`,
# generated folders of the owners' size, with annotations for every face and a few drawn images behind all file names, and started a
# run from each: once without an index, and once more.

# %% tags=["hide-input"]
benchmark = json.loads((results / "benchmark" / "data.json").read_text())
layouts = {"rafdb": "RAF-DB", "affectnet": "AffectNet, folders", "affectnet_csv": "AffectNet, tables"}
rows = {}
for layout, starts in benchmark["starts"].items():
    first, second = starts["first"], starts["second"]
    rows[layouts[layout]] = {
        "faces": f"{sum(first['faces'].values()):,}",
        "first start (s)": first["start_seconds"],
        "second start (s)": second["start_seconds"],
        "most memory at the start (GB)": max(start["gigabytes"]["loaded"] for start in starts.values()),
        "while batches stream (GB)": max(start["gigabytes"]["streaming"] for start in starts.values()),
    }
pd.DataFrame(rows).T

# %% tags=["hide-input"]
Markdown(
    f"Batches of {benchmark['batch_size']} faces at {benchmark['image_size']} pixels, flipped, shifted and turned; "
    f"{benchmark['device']}. On average {benchmark['load_average']} programs wanted its processor at once, this one among them, and "
    "the files had just been written, so most were in memory. The memory while batches stream includes Keras and its "
    f"backend: with them, and before the first batch, it was {second['gigabytes']['with Keras']:.1f} GB."
)

# %% [markdown]
# ## What the owners allow
#
# This table sums up; the owner's own text decides. `data/README.md` in the repository says where to ask, which files to expect and
# how to check them.
#
# | data set | how to get it | what it may be used for |
# |---|---|---|
# | drawn faces | `palcore.data.load("synthetic")` | anything, under the licence of the code |
# | RAF-DB | by request to its authors, from a university's address | non-commercial research; no passing on |
# | AffectNet | by request to its authors, with a signed agreement | non-commercial research; no passing on |
# | FER2013 | the pages of the ICML 2013 challenge | research; the photographs remain their owners' |
# | landmarks by `python -m study.landmarks` | made from a copy that you have | non-commercial research, as the predictor |
#
# No photograph of these sets, and no landmark of a single person in them, is part of this repository or of this book.
#
# ## A data set of your own
#
# A further data set is one module and one line in [`palcore.data`](../palcore/data/__init__.py): a class of facts, and a
# generator that says which faces there are and judges nothing ([`palcore.data.readers`](../palcore/data/readers.py)). Everything
# else, from the check to the landmark command to training, works from that. `CONTRIBUTING.md` has one to copy, in 20 lines.
#
# ## In three lines
#
# - Four data sets, one form: names, labels and landmarks in memory, images when they are asked for.
# - Happiness is the largest class of every real one, so each result has a mean-class accuracy beside the accuracy.
# - One in twelve of FER2013's test faces is also a training face, and where no face was found its landmarks are a guess.
