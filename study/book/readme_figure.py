"""Draw the README's picture from two run folders of the shortcut experiment, one without PAL and one with it."""

import sys
from pathlib import Path

import keras
import matplotlib.pyplot as plt

from palcore.data import load
from palcore.models import with_attribution
from palcore.runs.records import read_record
from study.book import figures as plots


def main(without, guided):
    plots.use_style()
    settings = read_record(without)["config"]
    faces = load("synthetic", split="test", image_size=settings["image_size"], seed=settings["seed"], shortcut=0.0)
    images = faces.images[:7]
    rows = {}
    for name, run in (("without PAL", without), ("with PAL", guided)):
        classifier = keras.models.load_model(Path(run) / "classifier.keras")
        rows[name] = with_attribution(classifier).predict(images, verbose=0)["attribution"]
    plots.draw_attributions(images, rows)
    plt.savefig(Path(__file__).resolve().parents[2] / "book" / "figures" / "attribution.png", dpi=80)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("give two run folders: python -m study.book.readme_figure RUN_WITHOUT_PAL RUN_WITH_PAL")
    main(*sys.argv[1:])
