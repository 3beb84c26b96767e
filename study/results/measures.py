"""A question's numbers as tables and sentences for a reader: scores, differences, where the network looks, what it relies on."""

import json

import numpy as np
import pandas as pd

from study.results.tables import interval, number, results_folder, span, summary, with_intervals

WITHOUT, PAL = "without PAL", "PAL"
SAMPLE = 140
"""Faces on which integrated gradients, and any attribution's share of a place, are measured: ``palcore.runs.reliance.SAMPLE``,
without loading Keras."""

FACES = {
    "test_accuracy": "accuracy (%)",
    "test_mean_class_accuracy": "mean-class accuracy (%)",
    "ferplus_accuracy": "accuracy by FER+'s labels, with their shares (%)",
    "uncopied_accuracy": "accuracy without copies (%)",
    "detected_accuracy": "accuracy where landmarks were detected (%)",
    "guessed_accuracy": "accuracy where they were guessed (%)",
    "validation_accuracy": "accuracy on validation faces (%)",
    "training_accuracy": "accuracy on training faces (%)",
}
"""Scores on real faces (``study.results.scores``), of which the first is compared; those that no record has are left out."""

DRAWN = {"shortcut_free_accuracy": "accuracy, patch at random (%)", "test_accuracy": "accuracy, patch as in training (%)"}

SCORES = {
    "labels": {
        "ferplus_accuracy": "accuracy by FER+'s labels, with their shares (%)",
        "test_accuracy": "accuracy by FER2013's labels, with their shares (%)",
    },
    "clean": {
        "ferplus_accuracy": "accuracy by FER+'s labels (%)",
        "ferplus_mean_class_accuracy": "mean-class accuracy by FER+'s labels (%)",
        "test_accuracy": "accuracy by FER2013's labels, with their shares (%)",
        **{name: FACES[name] for name in ("validation_accuracy", "training_accuracy")},
    },
    "imbalance": {name: FACES[name] for name in ("test_mean_class_accuracy", "test_accuracy")},
    "shortcut-weight": dict(reversed(DRAWN.items())),
}
"""What else is shown, and compared, of some questions."""

CONDITIONS = {
    "test": "as they are",
    "patch_off": "patch beside the face",
    "patch_eyes": "patch on the eyes",
    "patch_mouth": "patch on the mouth",
    "shift_10": "shifted by a tenth",
    "shift_20": "shifted by a fifth",
    "blur_1": "weak blur",
    "blur_2": "medium blur",
    "blur_4": "strong blur",
}
"""Test conditions in a reader's words."""

LOOKS = {
    "test_correlation": "correlation with the heatmap (x 100), which PAL trains",
    "test_pointing": "largest attribution on a landmark (%)",
    "test_pointing_chance": "by chance (%)",
    "test_energy": "attribution near landmarks (%)",
    "test_energy_chance": "by chance, near landmarks (%)",
    "test_integrated_gradients_pointing": f"largest integrated gradient on a landmark (%, {SAMPLE} faces)",
    "test_integrated_gradients_pointing_chance": "by chance, integrated gradients (%)",
    "test_integrated_gradients_energy": f"integrated gradients near landmarks (%, {SAMPLE} faces)",
    "test_integrated_gradients_energy_chance": "by chance, integrated gradients near landmarks (%)",
}
"""Where the network looks, from what PAL trains to what it does not."""

PLACES = {"patch": "the patch", "eyes": "the eyes", "mouth": "the mouth", "off": "as much off the face"}
RELIANCE = {
    "share": f"share of the attribution (%, {SAMPLE} faces)",
    "share_integrated_gradients": f"share of integrated gradients (%, the same {SAMPLE})",
    "area": "share of the picture (%)",
    "accuracy": "change of the accuracy when covered (points)",
    "probability": "change of the true expression's probability (points)",
}
"""What a record's ``reliance`` says of a place."""


def scores_table(runs, arms, scores):
    """Means and intervals over seeds, in per cent; arms without a run have dashes.

    :param runs: from ``study.results.tables.by_arm``; ``scores`` is ``{column: heading}``.
    """
    shown = pd.DataFrame({"seeds": [str((runs["arm"] == arm).sum()) for arm in arms]}, index=list(arms))
    for column, heading in scores.items():
        shown[heading] = [interval(*values) for values in summary(runs, arms, column).to_numpy(float)]
    return shown


def differences_table(differences, pairs, heading, leads):
    """Differences as texts, from ``study.results.tables.comparisons`` and the same ``pairs``.

    :param leads: ``{column: {label: difference}}``: the same pairs on other faces, such as those trained on.
    """
    rows = {}
    for label, row in differences.iterrows():
        rows[label] = {
            "against": pairs[label],
            "seeds": str(int(row["seeds"])),
            f"difference in {heading.removesuffix(' (%)')} (points)": number(100 * row["difference"], 1, True),
            "95 % interval": span(row["low"], row["high"]),
            "found with 80 % power (points)": number(100 * row["detectable"]),
            **{column: number(100 * lead.get(label, np.nan), 1, True) for column, lead in leads.items()},
        }
    return pd.DataFrame(rows).T


def exploratory(differences, pairs, heading):
    """Differences that are no primary comparisons, in one paragraph: intervals without a verdict. Parameters as above."""
    bases = {pairs[label] for label in differences.index}
    without_zero, with_zero, single = [], [], []
    texts = with_intervals(differences)
    for label, row in differences.iterrows():
        words = f"*{label}*" if len(bases) == 1 else f"*{label}* against *{pairs[label]}*"
        if label not in texts:
            single.append(words)
        elif row["low"] > 0 or row["high"] < 0:
            without_zero.append(f"{words} {texts[label]}")
        else:
            with_zero.append(words)
    parts = [f"without zero, uncorrected: {'; '.join(without_zero)}"] if without_zero else []
    parts += [f"with zero: {', '.join(with_zero)}"] if with_zero else []
    parts += [f"one seed, so none: {', '.join(single)}"] if single else []
    against = f" against *{bases.pop()}*" if len(bases) == 1 else ""
    return f"Exploratory, no verdict: points of {heading.removesuffix(' (%)')}{against}, and intervals; {'. '.join(parts)}."


def looks_table(runs, arms):
    """Where the network looks, means over seeds, in per cent; empty where no run has it. Parameters as for ``scores_table``."""
    columns = {column: heading for column, heading in LOOKS.items() if column in runs and runs[column].notna().any()}
    means = 100 * runs.groupby("arm")[list(columns)].mean().reindex([label for label in arms if label in set(runs["arm"])])
    return means.map(number).rename(columns=columns)


def reliance_table(runs, arms):
    """For each place and arm: the attribution's share there, and what covering it changes; empty where no run has it."""
    rows = {}
    for place, words in PLACES.items():
        columns = {part: f"test_reliance_{place}_{part}" for part in RELIANCE}
        if columns["accuracy"] not in runs:
            continue
        means = 100 * runs.groupby("arm")[[column for column in columns.values() if column in runs]].mean()
        for label in [label for label in arms if label in means.index and np.isfinite(means.loc[label, columns["accuracy"]])]:
            values = {part: means.loc[label].get(column, np.nan) for part, column in columns.items()}
            signed = ("accuracy", "probability")
            rows[f"{words}: {label}"] = {head: number(values[part], 1, part in signed) for part, head in RELIANCE.items()}
    return pd.DataFrame(rows).T


GLANCE = {
    "test_pointing": "largest attribution on a landmark (by chance)",
    "test_integrated_gradients_pointing": f"the same of integrated gradients, {SAMPLE} faces (by chance)",
    "test_reliance_patch_share": "attribution on the patch",
    **{f"test_reliance_{place}_accuracy": f"{words} covered" for place, words in PLACES.items()},
}
"""Where a network looks, by what is not trained on, and what it relies on: column and words."""


def caveats():
    """What to bear in mind about FER2013, from the records of its check and its landmarks."""
    check, landmarks = (json.loads((results_folder() / name / "fer2013.json").read_text()) for name in ("check", "landmarks"))
    copies, faces, shape = check["copies"]["train/test"], check["faces"]["test"], landmarks["shape"]
    guessed = 1 - shape["found"] / shape["faces"]
    return (
        f"Bear in mind: {copies} of the {faces:,} test faces ({100 * copies / faces:.0f} %) are also training faces, and the "
        f"landmarks of {100 * guessed:.0f} % of all faces are guesses, since no face was found there. The tables of scores give "
        "the accuracy without those faces as well."
    )
