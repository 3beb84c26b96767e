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
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own face
#
# At the end of this page you will have seen what two saved runs make of one picture, side by side: what each calls the
# expression, and where each looked. On a command line,
#
# ```sh
# python -m palcore predict PHOTO.jpg --find-faces
# ```
#
# does the same with the newest runs in `runs/`. Read [what a label of an expression is, and is not](../book/responsible.md)
# first: it is what annotators called pictures, not what anybody felt. A picture of a person needs that person's consent, and should be
# deleted afterwards.

# %% tags=["parameters"]
photo = None  # a file; None: a drawn face
find_faces = None  # cut faces out; None: where dlib is installed
runs = None  # a list of run folders; None: the newest two in runs/
seed = 0

# %% tags=["remove-input"]
from study.book.notebook import refuse_unknown_parameters

refuse_unknown_parameters(In)

# %% [markdown]
# ## Two runs
#
# A run is a folder that `notebooks/train.ipynb` has written: the strategy `none` is trained with cross-entropy alone, `mean` with PAL.
# The newest of each is taken. Without any, two tiny networks are trained here for a few seconds. They have seen so few drawn faces that
# their answers are worth nothing, but it shows how the comparison looks.

# %% tags=["hide-input"]
import keras
from IPython.display import Markdown, display

from palcore.data import load
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import build_classifier, with_attribution
from palcore.runs.prediction import attributed, look, network_of, run_of, saved_runs
from study.book import figures as plots

plots.use_style()
FACES, EPOCHS, SIDE = 140, 6, 48


def tiny(faces, with_pal):
    """A small classifier, trained for a moment."""
    keras.utils.set_random_seed(seed)
    classifier = build_classifier("compact", SIDE, units=64, dropout=0.0, width_multiplier=0.25)
    targets, model, loss = faces.labels, classifier, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if with_pal:
        model = with_attribution(classifier)
        targets = {"expression": faces.labels, "attribution": faces.landmarks}
        loss = {"expression": loss, "attribution": PrivilegedAttributionLoss()}
    model.compile(keras.optimizers.Adam(2e-3), loss, jit_compile=keras.backend.backend() == "jax")
    model.fit(faces.images[:], targets, batch_size=28, epochs=EPOCHS, verbose=0)
    return classifier


try:
    folders = ([runs] if isinstance(runs, str) else runs) or saved_runs("runs", "../runs")
    networks = [network_of(run_of(folder)) for folder in folders]
except FileNotFoundError as nothing:
    display(Markdown(f"There is {nothing}, and with `-p strategy none` the one to compare it with. Until then:"))
    faces = load("synthetic", split="train", image_size=SIDE, count=FACES, seed=seed)
    networks = [attributed(f"tiny, {kind}", tiny(faces, pal)) for kind, pal in (("without PAL", False), ("with PAL", True))]
display(Markdown("\n".join(f"- {network.name}" for network in networks)))

# %% [markdown]
# ## A picture
#
# Put a picture beside this notebook and give its name as `photo`.
#
# The faces in it are found by dlib and cut out as squares, the largest first; now and then it takes something else for a face. Without
# that extra the whole picture counts as one face. A drawn face needs no search: it fills its picture.

# %% tags=["hide-input"]
import importlib.util
from pathlib import Path

from palcore.data.detection import EXTRA, face_crops
from palcore.data.images import read_image

if photo is None:
    shown = [load("synthetic", split="test", image_size=256, count=4, shortcut=0.9, seed=seed).images[3]]
    display(Markdown("No picture was given: a drawn face of 256 pixels takes its place."))
else:
    picture, there = read_image(Path(photo).expanduser()), importlib.util.find_spec("dlib") is not None
    if not there:
        display(Markdown(f"dlib is not installed, which finds faces: in the study's folder run `{EXTRA}`."))
    shown = face_crops(picture) if (there if find_faces is None else find_faces) else [picture]
    if not shown:
        raise ValueError(f"no face found in {photo}: crop the picture to one, and set find_faces to False")

# %% [markdown]
# ## What they see
#
# On the left the face, then where each network looked: bright is what its answer depends on most, by gradient times input. On the
# right what each answered. Both saw exactly the same pixels.

# %% mystnb={"figure": {"caption": "One face, and where two networks look on it; on the right the probability that each gives to the seven expressions.", "name": "fig-predict-1"}, "image": {"alt": "A face; the same face with the attribution of each network drawn over it; and bars with the probability that each network gives to each expression."}} tags=["hide-input"]
answers = {network.name: look(network, shown[:3]) for network in networks}
seen = [{name: given[place] for name, given in answers.items()} for place in range(len(shown[:3]))]
figure = plots.draw_predictions(
    shown[:3], [{name: (answer.probabilities, answer.drawn) for name, answer in face.items()} for face in seen]
)

# %% tags=["hide-input"]
for number, face in enumerate(seen, start=1):
    said = [
        f"*{name}* says {answer.expression} ({100 * answer.probabilities[answer.expression]:.0f} %)"
        for name, answer in face.items()
    ]
    display(Markdown(f"{f'Face {number}: ' if len(seen) > 1 else ''}{'; '.join(said)}."))

# %% [markdown]
# Each run's folder has a `model_card.md` beside its classifier: what it was trained on, how often it is right, and what it must not be
# used for.
#
# ## In three lines
#
# - One picture, two networks: what differs is the training alone.
# - A bright place is where the answer depends on the pixels, and no reason that could be given to the person in the picture.
# - An answer for one face says nothing about how often a network is right: its model card does.
