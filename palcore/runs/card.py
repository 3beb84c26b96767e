"""The model card of a run's classifier: what it is, what it was trained on, how well it does and what it is not for."""

from palcore import EMOTIONS

LICENCES = {
    "synthetic": "The faces are drawn by this study: no person is in them, and the repository's licence (Apache 2.0) holds.",
    "fer2013": "Released for the challenge and for research. The pictures belong to whoever took them; Kaggle's rules for the "
    "competition apply to copies from there.",
    "rafdb": "For research that is not commercial. The images, and what is derived from them, must not be sold, published or "
    "passed on.",
    "affectnet": "For research that is not commercial, by the group that signed. The images must not be passed on or sold.",
}
"""What may be done with the faces, as ``data/README.md`` has it at length."""

USES = """\
It was trained to compare two ways of training, and is for that: research on where networks look, and teaching. It is not made to
judge anybody: no hiring, no proctoring, no policing, no diagnosis, no advertising.

The EU's Artificial Intelligence Act forbids systems that infer emotions of persons from their biometric data **at the workplace
and in education**, except for medical or safety reasons (Article 5(1)(f), in force since 2 February 2025). Elsewhere emotion
recognition counts as high-risk (Annex III), and people exposed to it must be told (Article 50). Other places have rules of their
own; this is not legal advice."""

OF_ATTRIBUTION = ("loss", "pal_weight", "jaw", "landmark_source", "landmark_jitter")
"""Options that mean nothing where the strategy is ``none``."""


def _words(value):
    """An option's value for a reader, not for Python."""
    if value is None:
        return "not set"
    return (
        {True: "yes", False: "no"}[value] if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    )


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f}"


def _table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _data(record):
    counts = record.get("labels", {})
    heads = ["split", "faces", *(EMOTIONS if counts else ())]
    rows = []
    for split, facts in record["data"].items():
        known = counts.get(split, {})
        rows.append([split, f"{facts['faces']:,}", *(f"{known[name]:,}" if known else "-" for name in heads[2:])])
    left_out = [
        f"From {split} {', '.join(f'{count:,} faces ({reason})' for reason, count in facts['dropped'].items())} were left out."
        for split, facts in record["data"].items()
        if facts.get("dropped")
    ]
    return "\n\n".join([_table(heads, rows), *left_out])


def _metrics(record):
    parts, rows = [], []
    own = "ferplus" if record["config"].get("labels") == "ferplus" else "test"
    for condition, scores in record["metrics"].items():
        if condition in {"test", "ferplus"} - {own} and record["config"]["dataset"] == "fer2013":
            continue  # labels of the kind that it was not trained on: its shares of the classes are others
        shares = [_percent(scores[name]) for name in ("accuracy", "mean_class_accuracy", "macro_f1")]
        rows.append([condition, f"{scores['faces']:,}", *shares, f"{scores['attribution']['correlation']:.2f}"])
    heads = ["faces", "count", "accuracy (%)", "mean over classes (%)", "macro F1 (%)", "correlation of attribution and heatmap"]
    parts.append(_table(heads, rows))
    test = record["metrics"]["test"]
    recall = [[name, _percent(test["recall"][name])] for name in EMOTIONS]
    parts.append(_table(["expression", "recognised on the faces of `test` (%)"], recall))
    for kind, groups in test.get("groups", {}).items():
        rows = [[name, f"{found['faces']:,}", _percent(found["accuracy"])] for name, found in groups.items()]
        parts.append(_table([kind, "count", "accuracy on the faces of `test` (%)"], rows))
    return "\n\n".join(parts)


def _caveats(record, check):
    config, test = record["config"], record["metrics"]["test"]
    drawn = config["dataset"] == "synthetic"
    if not drawn:
        yield "A label says what annotators called a picture, not what the person in it felt."
    yield f"This is one run with seed {config['seed']}: another seed ends elsewhere. All faces above are of the same data set."
    recalls = {name: value for name, value in test["recall"].items() if value is not None}
    hardest = min(recalls, key=recalls.get)
    yield f"The hardest expression is {hardest}: {_percent(recalls[hardest])} % of its faces are recognised."
    if drawn:
        yield "It has seen drawn faces only: what it says of a photograph means nothing."
        if config.get("shortcut") is not None:
            share = _percent(config["shortcut"])
            yield f"In {share} % of training faces a coloured patch was made to show the label; in `shortcut_free` it is random."
    if check and check["dataset"] == config["dataset"] and check["faces"] == test["faces"]:
        share = _percent(len(check["copies"]) / check["faces"])
        yield f"{len(check['copies']):,} of the {check['faces']:,} faces of `test` ({share} %) are also training faces."
    if "groups" not in test and not drawn:
        yield "Accuracy was not measured by gender, race or age: expect it to differ between groups."
    if config["strategy"] != "none":
        yield "Its attribution was trained to lie on landmarks. That does not show that the answer relies on what is highlighted."


def model_card(record, check=None):
    """A run's model card as Markdown. Every number in it is the record's, but for those of ``check``.

    :param record: of ``palcore.runs.training.train``.
    :param check: of the data set's test faces, as ``study/records/fer2013_faces.py`` writes it; None where there is none.
    """
    config = record["config"]
    side, with_pal = config["image_size"], config["strategy"] != "none"
    loss = "the Privileged Attribution Loss" if config.get("loss", "pal") == "pal" else f"its rival `{config['loss']}`"
    trained = f"cross-entropy and {loss} (strategy `{config['strategy']}`)" if with_pal else "cross-entropy alone"
    options = [
        [f"`{name}`", _words(value)] for name, value in config.items() if with_pal or name not in ("strategy", *OF_ATTRIBUTION)
    ]
    window = record.get("window")
    cropped = (
        f" Crop faces first to the square at ({window[0]:g}, {window[1]:g}) of side {window[2]:g}, in fractions." if window else ""
    )
    begun = f" It began from `{config['weights']}`, whose own terms hold too." if config.get("weights") else ""
    terms = LICENCES.get(config["dataset"], "Its owner's terms hold.")
    facts = {
        "palcore": record["versions"].get("palcore"),
        "Keras": record["versions"].get("keras"),
        "backend": record["backend"],
        "device": record["device"],
        "commit": record["commit"],
        "identity of the run": record.get("identity"),
        "digest of the weights": record.get("weights"),
    }
    return f"""\
# Model card: {config["backbone"]} on {config["dataset"]}, trained with {trained}

## What it is

A network that gives each picture of a face one of seven names: {", ".join(EMOTIONS)}. It takes `(N, {side}, {side}, 3)`, RGB
from 0 to 255, cropped to a face, and returns seven logits in that order. It has {record["parameters"]:,} parameters, is plain
Keras, and needs no landmarks.{cropped}

```python
import keras
classifier = keras.models.load_model("classifier.keras")
```

## Data and labels

{_data(record)}

Data set `{config["dataset"]}`, labels `{config.get("labels", "own")}`. {terms}{begun}

## How it was trained

With {trained}, {len(next(iter(record["history"].values())))} epochs in {record["seconds"] / 60:.1f} minutes.

{_table(["option", "value"], options)}

{_table(["made with", ""], [[name, _words(value)] for name, value in facts.items()])}

## How well it does

{_metrics(record)}

## What to bear in mind

{chr(10).join(f"- {caveat}" for caveat in _caveats(record, check))}

## What it is for, and what it is not for

{USES}
"""
