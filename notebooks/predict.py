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
# # Your own face
#
# At the end of this page you will have seen what two networks make of one picture, side by side: what each calls the
# expression, and where each looked. A picture of a person needs that person's consent, and should be deleted afterwards.

# %% tags=["parameters"]
photo = None  # a file; None: a drawn face
find_faces = None  # cut faces out; None: where dlib is installed
runs = None  # a list of run folders; None: the newest two in runs/
seed = 0

# %% tags=["remove-input"]
from study.book.notebook import begin

begin(In)

# %% [markdown]
# ## In this browser
#
# Two small networks come with this page, one trained without PAL and one with it. They learnt from the faces of FER2013: grey, 48
# pixels wide, found by web searches and given out for a challenge [goodfellow2013challenges](../book/references.bib). Its labels are
# noisy, and the people in it were not asked; weights trained on it are shared widely all the same.
#
# - What they say is **what annotators would have called such a picture**, not what anybody feels.
# - **Decide nothing about a person by it.** [Responsible use](../book/responsible.md) says why, and where the law forbids it.
# - They see your crop in grey and 48 pixels wide, and give it one of seven names, whatever it shows.

# %% tags=["hide-input"]
from IPython.display import Markdown, display

from palcore.runs.records import read_record, repository_root

kinds = {"without PAL": "none", "with PAL": "mean"}
records = {words: read_record(repository_root() / "results" / "browser" / f"fer2013_{kind}.json") for words, kind in kinds.items()}
right = " and ".join(f"{100 * one['int8']['changes']['test']['accuracy']:.1f} % {words}" for words, one in records.items())
[faces] = {one["data"]["train"]["faces"] for one in records.values()}
Markdown(
    f"Trained on {faces:,} faces, they give FER2013's test faces the label that its owners gave them on {right}. How often they do "
    "so on pictures like yours, nobody has measured."
)

# %% [markdown]
# <p class="own-face">On a screen, in a browser with JavaScript, you can frame a face here in a picture of yours, and see what each calls it
# and where it looks. The picture is sent nowhere.</p>

# %% [markdown]
# ## With runs of your own
#
# On a command line,
#
# ```sh
# python -m palcore predict FACE.jpg
# ```
#
# asks the newest runs in `runs/` about a picture that is cropped to a face. The cells below ask the same runs, and find the faces of
# a larger picture.
#
# A run is a folder that `notebooks/train.ipynb` has written: the strategy `none` is trained with cross-entropy alone, `mean` with
# PAL. The newest of each is taken. Without any, the two networks take their place that come with the study (`results/browser`): they
# know drawn faces and nothing else, so their answer for a photograph is worth nothing.

# %% tags=["hide-input"]
from palcore import EMOTIONS
from palcore.data import load
from palcore.runs.prediction import attributed, look, network_of, run_of, saved_runs
from study.book import figures as plots
from study.book.browser import unpacked

plots.use_style()
try:
    folders = ([runs] if isinstance(runs, str) else runs) or saved_runs("runs", "../runs")
    networks = [network_of(run_of(folder)) for folder in folders]
except FileNotFoundError as nothing:
    display(Markdown(f"There is {nothing}, and with `-p strategy none` the one to compare it with. Until then:"))
    networks = [attributed(name, unpacked(strategy)) for name, strategy in kinds.items()]
display(Markdown("\n".join(f"- {network.name}" for network in networks)))

# %% [markdown]
# ## A picture
#
# Put a picture beside this notebook and give its name as `photo`.
#
# The faces in it are found by dlib and cut out as squares, the largest first; now and then it takes something else for a face.
# Without that extra the whole picture counts as one face. A drawn face needs no search: it fills its picture.

# %% tags=["hide-input"]
import importlib.util
from pathlib import Path

from palcore.data.images import read_image
from study.landmarks import EXTRA, face_crops

if photo is None:
    drawn = load("synthetic", split="test", image_size=256, count=4, shortcut=0.9, seed=seed)
    shown = [drawn.images[3]]
    said = f"No picture was given: a drawn face of 256 pixels takes its place. It shows {EMOTIONS[drawn.labels[3]]}."
    display(Markdown(said))
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
# On the left the face, then where each network looked: bright is where its attribution, gradient times input, is greatest. On the
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
# Each run's folder has a `record.json` beside its classifier: what it was trained on, and how often it is right.
# [Responsible use](../book/responsible.md) says what it must not be used for.
#
# ## In three lines
#
# - One picture, two networks: what differs is the training alone.
# - A bright place is where the attribution lies. Whether the answer relies on it is [another question](attribution.ipynb), and a reason
#   for the person in the picture it is not.
# - An answer for one face says nothing about how often a network is right: its record does.
