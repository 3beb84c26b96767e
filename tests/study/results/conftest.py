"""A small study of the primary comparisons: a grid of its own, and records that a test makes up."""

import json
import zlib

import numpy as np
import pytest

from palcore import EMOTIONS
from study.cells import defaults, expand
from study.results import arms, statistics
from study.results.measures import CONDITIONS

FACES = 2000
"""Enough that an accuracy can be told to a twentieth of a point."""
NONE, PAL = {"name": "without PAL", "strategy": "none"}, {"name": "PAL", "strategy": "mean", "against": "without PAL"}
SHORT = {"epochs": 4, "train_share": 0.3, "batch_size": 32}
TEMPLATE = {"name": "a template", "against": "PAL", "strategy": "mean", "landmark_source": "template"}
FIVE, THREE = [0, 1, 2, 3, 4], [0, 1, 2]


def ended(arm, ending, **options):
    """An arm with options of its own, compared with one that has them too."""
    return {**arm, **options} | {key: f"{arm[key]}, {ending}" for key in ("name", "against") if key in arm}


def question(seeds, *arms, dataset="fer2013"):
    return {"asks": "?", "dataset": dataset, "seeds": seeds, "arms": list(arms)}


STRATEGIES = [NONE, PAL | {"name": "PAL (mean)"}]
PRIMARY = {
    "settings": {
        "synthetic": {"backbone": "compact", "epochs": 8, "width_multiplier": 0.5},
        "fer2013": {"backbone": "compact", "epochs": 16, "width_multiplier": 0.5, "batch_size": 64},
    },
    "margin": 0.01,
    "questions": {
        "faces": question(FIVE, NONE, PAL | {"robustness": True}),
        "aligned-landmarks": question(FIVE, {"name": "PAL", "strategy": "mean"}, NONE | {"against": "PAL"}, TEMPLATE),
        "labels": question(THREE, *(ended(arm, kind, labels=kind) for kind in ("own", "ferplus") for arm in (NONE, PAL))),
        "shortcut": question(FIVE, NONE, PAL, dataset="synthetic"),
        "faces-strategies": question(THREE, *STRATEGIES, *(ended(arm, "short", **SHORT) for arm in STRATEGIES)),
    },
    "comparisons": {
        "P1": {"question": "faces"},
        "P2": {"question": "aligned-landmarks", "arms": ["PAL", "a template"]},
        "P4": {
            "question": "labels",
            "arms": ["PAL, own", "without PAL, own"],
            "minus": ["PAL, ferplus", "without PAL, ferplus"],
            "score": "ferplus_accuracy",
            "what": "what PAL adds",
        },
        "P5": {"question": "shortcut", "score": "shortcut_free_accuracy"},
    },
}
for name, asked in PRIMARY["comparisons"].items():
    asked |= {"asks": f"{name}?", "counts": "This counts.", "where": f"on the faces of {name}", "family": "first"}
    asked |= {"words": ["with this", "with that"], "score": asked.get("score", "test_accuracy")}
    asked |= {"arms": asked.get("arms", ["PAL", "without PAL"])}


@pytest.fixture
def use_grid(monkeypatch):
    """Makes the pages read another grid than the study's: ``use_grid(content)`` returns its cells."""

    def use(content):
        known = {**defaults(), "labels": "own", "placed": False}
        monkeypatch.setattr(arms, "load", lambda root: (content, expand(content, known, {}), known))
        arms.read.cache_clear()
        return arms.read()[1]

    monkeypatch.setattr(statistics, "DRAWS", 200)  # it is the words that are looked at, and not their last digit
    statistics._weights.cache_clear()
    yield use
    arms.read.cache_clear()
    statistics._weights.cache_clear()


def write_run(folder, cell, accuracy=None, **conditions):
    """A record and predictions as training leaves them, the same for the same cell: the first faces are those named rightly.

    :param accuracy: of every condition that is not given; None for one that the cell's name makes.
    """
    rng, known = np.random.default_rng(zlib.crc32(cell.name.encode())), arms.read()[2]
    options = {**known, **cell.options}
    drawn = options["dataset"] == "synthetic"
    names = ["test", "shortcut_free" if drawn else "ferplus", *(list(CONDITIONS)[1:] if options["robustness"] else [])]
    metrics, arrays = {}, {}
    for name in names:
        value = conditions.get(name, float(rng.uniform(0.4, 0.6)) if accuracy is None else accuracy)
        looks = {"correlation": 0.5, "pointing": 0.6, "pointing_chance": 0.5, "energy": 0.7, "energy_chance": 0.3}
        metrics[name] = {"faces": FACES, "accuracy": value, "mean_class_accuracy": value, "recall": dict.fromkeys(EMOTIONS, value)}
        metrics[name] |= {"attribution": looks}
        called = np.where(np.arange(FACES) < round(value * FACES), 0, 1)
        arrays |= {f"{name}_labels": np.zeros(FACES, np.uint8), f"{name}_probabilities": np.eye(7, dtype=np.float32)[called]}
    places = ("eyes", "mouth", "off", "patch") if drawn else ("eyes", "mouth", "off")
    covered = {"share": 0.25, "share_integrated_gradients": 0.2, "area": 0.1, "accuracy": -0.3, "probability": -0.2}
    metrics["test"] |= {"reliance": dict.fromkeys(places, covered), "integrated_gradients": looks}
    config = {key: value for key, value in options.items() if key not in ("data_dir", "out_dir", "landmarks")}
    history = {"val_expression_accuracy": [0.3, 0.5], "expression_accuracy": [0.3, metrics["test"]["accuracy"]]}
    record = {"config": config, "metrics": metrics, "history": history, "seconds": 60, "device": "none", "commit": "abc"}
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / f"{cell.name}.json").write_text(json.dumps(record))
    np.savez(folder / "runs" / f"{cell.name}.npz", **arrays)
    facts = folder / "check" / "fer2013_faces.json"
    if not facts.exists():  # both kinds of labels have the same shares: nothing changes a score
        facts.parent.mkdir(exist_ok=True)
        facts.write_text(json.dumps({"training": dict.fromkeys(("own", "ferplus"), dict.fromkeys(EMOTIONS, 9))}))
