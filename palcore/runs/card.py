"""The model card of a run's classifier: ``model_card.md`` here, filled in with what the record says.

It changes no number: a run's fingerprint leaves it out.
"""

from pathlib import Path

from palcore import EMOTIONS
from palcore.files import whole_file
from palcore.runs import OF_ATTRIBUTION

LICENCES = {
    "synthetic": "The faces are drawn by this study: no person is in them, and the repository's licence (Apache 2.0) holds.",
    "fer2013": "Released for the challenge and for research. The pictures belong to whoever took them; Kaggle's rules for the "
    "competition apply to copies from there.",
    "rafdb": "For research that is not commercial. The images, and what is derived from them, must not be sold, published or "
    "passed on.",
    "affectnet": "For research that is not commercial, by the group that signed. The images must not be passed on or sold.",
}
"""What may be done with the faces, as ``data/README.md`` has it at length."""


def _shown(value):
    """An option's value for a reader, not for Python."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f}"


def _table(heads, lines):
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in [heads, ["---"] * len(heads), *lines])


def _data(record):
    """The faces of each split, by expression where the record has that, and what was left out."""
    labels, left_out = record.get("labels", {}), []
    lines = [[split, f"{facts['faces']:,}", *labels.get(split, {}).values()] for split, facts in record["data"].items()]
    for split, facts in record["data"].items():
        left_out += [f"{count:,} faces of {split} were left out ({why})." for why, count in facts.get("dropped", {}).items()]
    return "\n\n".join([_table(["split", "faces", *(EMOTIONS if labels else ())], lines), *left_out])


def _metrics(record):
    heads = ["faces", "count", "accuracy (%)", "mean over classes (%)", "macro F1 (%)", "correlation of attribution and heatmap"]
    lines = []
    for condition, scores in record["metrics"].items():
        shares = [_percent(scores[name]) for name in ("accuracy", "mean_class_accuracy", "macro_f1")]
        lines.append([condition, f"{scores['faces']:,}", *shares, f"{scores['attribution']['correlation']:.2f}"])
    return _table(heads, lines)


def _caveats(config, recall):
    hardest = min((name for name in recall if recall[name] is not None), key=recall.get)
    yield f"This is one run with seed {config['seed']}: another seed ends elsewhere. All faces above are of the same data set."
    yield f"The hardest expression is {hardest}: {_percent(recall[hardest])} % of its faces are recognised."
    if config["dataset"] == "synthetic":
        yield "It has seen drawn faces only: what it says of a photograph means nothing."
        if share := config.get("shortcut"):
            yield f"In {_percent(share)} % of training faces a patch showed the label; in `shortcut_free` it is random."
    else:
        yield "A label says what annotators called a picture, not what the person in it felt."
        yield "Accuracy was not measured by gender, race or age: expect it to differ between groups."
    if config["strategy"] != "none":
        yield "Its attribution was trained to lie on landmarks. That does not show that the answer relies on what is highlighted."


def model_card(record: dict) -> str:
    """A run's model card as Markdown; every number in it is the record's (of ``palcore.runs.training.train``)."""
    config, window, recall = record["config"], record.get("window"), record["metrics"]["test"]["recall"]
    guided, dataset = config["strategy"] != "none", config["dataset"]
    recalls = [[name, _percent(recall[name])] for name in EMOTIONS]
    options = {f"`{name}`": value for name, value in config.items() if guided or name not in ("strategy", *OF_ATTRIBUTION)}
    made = {name: record.get(name) for name in ("backend", "device", "commit", "identity")}
    made |= {"digest of the weights": record.get("weights")}
    made |= {name: record["versions"].get(name) for name in ("palcore", "keras")}
    cropped = " Crop faces first to the square at ({:g}, {:g}) of side {:g}, in fractions.".format(*window) if window else ""
    begun = f" It began from `{config['weights']}`, whose own terms hold too." if config.get("weights") else ""
    return (
        Path(__file__)
        .with_name("model_card.md")
        .read_text(encoding="utf-8")
        .format(
            backbone=config["backbone"],
            dataset=dataset,
            trained=f"cross-entropy and the loss `{config.get('loss', 'pal')}` of its attribution"
            if guided
            else "cross-entropy alone",
            names=", ".join(EMOTIONS),
            side=config["image_size"],
            parameters=record["parameters"],
            cropped=cropped,
            data=_data(record),
            licence=f"Labels: `{config.get('labels', 'own')}`. {LICENCES.get(dataset, 'The terms of its owner hold.')}{begun}",
            epochs=len(next(iter(record["history"].values()))),
            minutes=record["seconds"] / 60,
            options=_table(["option", "value"], [[name, _shown(value)] for name, value in {**options, **made}.items()]),
            metrics=_metrics(record),
            recall=_table(["expression", "recognised on the faces of `test` (%)"], recalls),
            caveats="\n".join(f"- {caveat}" for caveat in _caveats(config, recall)),
        )
    )


def write_card(folder: Path, record: dict) -> None:
    """Write a run's ``model_card.md``."""
    with whole_file(Path(folder) / "model_card.md") as draft:
        draft.write_text(model_card(record), encoding="utf-8")
