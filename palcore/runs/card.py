"""The model card of a run's classifier: ``model_card.md`` here, filled in with what the record says.

It changes no number: a run's fingerprint leaves it out.
"""

from pathlib import Path

from palcore import EMOTIONS
from palcore.files import whole_file

LICENCES = {
    "synthetic": "The faces are drawn by this study: no person is in them, and the repository's licence (Apache 2.0) holds.",
    "fer2013": "Released for the challenge and for research. The pictures belong to whoever took them; Kaggle's rules for the "
    "competition apply to copies from there.",
    "rafdb": "For research that is not commercial. The images, and what is derived from them, must not be sold, published or "
    "passed on.",
    "affectnet": "For research that is not commercial, by the group that signed. The images must not be passed on or sold.",
}
"""What may be done with the faces, as ``data/README.md`` has it at length."""


SHARES = {"accuracy": "accuracy (%)", "mean_class_accuracy": "mean over classes (%)", "macro_f1": "macro F1 (%)"}
"""Scores of a test condition that the card shows."""


def _caveats(config, recall):
    hardest = min((name for name in recall if recall[name] is not None), key=recall.get)
    yield f"This is one run with seed {config['seed']}: another seed ends elsewhere. All faces above are of the same data set."
    yield f"The hardest expression is {hardest}: {100 * recall[hardest]:.1f} % of its test faces are recognised."
    if config["dataset"] == "synthetic":
        yield "It has seen drawn faces only: what it says of a photograph means nothing."
        if share := config.get("shortcut"):
            yield f"In {100 * share:.1f} % of training faces a patch showed the label; in `shortcut_free` it is random."
    else:
        yield "A label says what annotators called a picture, not what the person in it felt."
        yield "Accuracy was not measured by gender, race or age: expect it to differ between groups."
    if config["strategy"] != "none":
        yield "Its attribution was trained to lie on landmarks. That does not show that the answer relies on what is highlighted."


def model_card(record: dict) -> str:
    """A run's model card as Markdown; every number in it is the record's (of ``palcore.runs.training.train``)."""
    config, window, metrics = record["config"], record.get("window"), record["metrics"]
    scores = [[name, f"{one['faces']:,}", *(f"{100 * one[share]:.1f}" for share in SHARES)] for name, one in metrics.items()]
    lines = [["faces", "count", *SHARES.values()], ["---"] * (2 + len(SHARES)), *scores]
    guided = f" and the loss `{config.get('loss', 'pal')}` of its attribution" if config["strategy"] != "none" else " alone"
    begun = f" It began from `{config['weights']}`, whose own terms hold too." if config.get("weights") else ""
    facts = {
        "backbone": config["backbone"],
        "dataset": config["dataset"],
        "trained": f"cross-entropy{guided}",
        "names": ", ".join(EMOTIONS),
        "side": config["image_size"],
        "parameters": record["parameters"],
        "cropped": " Crop faces first to the square at ({:g}, {:g}) of side {:g}, in fractions.".format(*window) if window else "",
        "data": ", ".join(f"{part['faces']:,} of {split}" for split, part in record["data"].items()),
        "labels": config.get("labels", "own"),
        "licence": LICENCES.get(config["dataset"], "The terms of its owner hold.") + begun,
        "metrics": "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "caveats": "\n".join(f"- {caveat}" for caveat in _caveats(config, metrics["test"]["recall"])),
    }
    return Path(__file__).with_name("model_card.md").read_text(encoding="utf-8").format(**facts)


def write_card(folder: Path, record: dict) -> None:
    """Write a run's ``model_card.md``."""
    with whole_file(Path(folder) / "model_card.md") as draft:
        draft.write_text(model_card(record), encoding="utf-8")
