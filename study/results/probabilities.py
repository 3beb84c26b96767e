"""How well a network's probabilities fit: the log loss, which tells networks apart that answer alike. Exploratory."""

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from study.results.measures import PAL, WITHOUT
from study.results.scores import read_predictions
from study.results.tables import comparisons, number, over_faces, results_folder, span, to_markdown, with_intervals

LEAST = 1e-7
"""A probability below this counts as this: 16 bits, which the first family's runs keep, hold no smaller ones."""

TEMPERATURES = (0.25, 4.0)
"""Between these lies the temperature that suits the validation faces best."""


def _losses(kept, temperature=1.0):
    """Minus the logarithm of the probability of each face's own expression, ``(faces,)``, once the logits are divided."""
    labels, probabilities = kept
    logarithms = log_softmax(np.log(np.maximum(probabilities, LEAST)) / temperature, axis=-1)
    return -logarithms[np.arange(len(labels)), labels]


def log_losses(folder, name, config):
    """``{"log_loss", "scaled_log_loss"}`` of a run on the test faces, ``(faces,)`` each in nats, by labels of the kind that it was
    trained on; {} without predictions.

    A probability that moves towards the face's own expression lowers it though the answer stays, so that it tells networks apart
    which an accuracy does not. ``scaled``: after the temperature that is best on the validation faces (Guo et al., ICML 2017,
    arXiv 1706.04599), which leaves nothing of how sure a network is of itself on the whole; not there where their predictions were
    not kept.
    """
    tested = read_predictions(folder, name, "ferplus" if config.get("labels", "own") == "ferplus" else "test")
    watched = read_predictions(folder, name, "validation")
    losses = {"log_loss": _losses(tested)} if tested else {}
    if losses and watched:
        mean = minimize_scalar(lambda temperature: _losses(watched, temperature).mean(), bounds=TEMPERATURES, method="bounded")
        losses["scaled_log_loss"] = _losses(tested, mean.x)
    return losses


def with_log_losses(runs, results=None):
    """``runs`` with what ``log_losses`` says of each, mean over the test faces, in columns of its names."""
    losses = [log_losses(results_folder(results) / "runs", name, config) for name, config in runs.iterrows()]
    means = [{column: values.mean() for column, values in found.items()} for found in losses]
    return runs.assign(**pd.DataFrame(means, index=runs.index))


PAIRS = {
    "all faces (C1)": ("end", PAL, WITHOUT),
    "all faces, twice the epochs": ("twice-as-long", f"{PAL}, twice as long", f"{WITHOUT}, twice as long"),
    "all faces, twice the epochs, dropout in place of PAL": (
        "twice-as-long-dropout",
        "dropout 0.25, twice as long",
        f"{WITHOUT}, twice as long",
    ),
    "FER+'s labels (C2)": ("clean", PAL, WITHOUT),
    "a tenth of the faces (C6)": ("tenth", PAL, WITHOUT),
    "a tenth, the network of all faces": ("tenth-plain", PAL, WITHOUT),
    "a tenth, the feature cosine in place of PAL": ("why", "feature cosine", WITHOUT),
    "a tenth, PAL with one template for all": ("why", "a template", WITHOUT),
    "a tenth, PAL with another face's landmarks": ("why", "another face's landmarks", WITHOUT),
    "weak baseline, all faces (P1)": ("faces", PAL, WITHOUT),
    "weak baseline, faces placed at random": ("placed", PAL, WITHOUT),
}
"""Whose log losses the page of a good baseline sets beside each other: question, arm, and the one that it is compared with."""


NATS = {"scale": 1, "digits": 3}
"""How differences of log losses are written, by ``span`` and ``with_intervals``."""


def losses_table(page):
    """Show the log loss of PAL's networks and of those without in a table; what has no two seeds is left out.

    :param page: ``study.results.pages.Page``.
    """
    rows, folder = {}, results_folder(page.results) / "runs"
    for words, (question, arm, base) in PAIRS.items():
        runs = with_log_losses(page.runs(question)[0], page.results)
        losses, scaled = (comparisons(runs, {arm: base}, column) for column in ("log_loss", "scaled_log_loss"))
        if len(texts := with_intervals(losses, **NATS)):
            seeds, means = losses.loc[arm, "values"], runs.groupby("arm")["log_loss"].mean()
            other_faces = over_faces(runs, (arm, base), seeds, lambda name, config: log_losses(folder, name, config)["log_loss"])
            rows[words] = {
                "without PAL": number(means[base], 3),
                "with it": number(means[arm], 3),
                "difference (other seeds)": texts[arm],
                "with other faces too": span(*other_faces, **NATS),
                "after temperature scaling": with_intervals(scaled, **NATS).get(arm, "-"),
                "seeds": str(len(seeds)),
            }
    if rows:
        display(Markdown(to_markdown(pd.DataFrame(rows).T, "log loss on test faces (nats a face)")))
