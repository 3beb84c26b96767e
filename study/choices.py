"""Settings that the validation faces choose, by successive halving: many short tries, the best of them at full length.

`choices` of `grid.yml` says, in order: `question`, whose arms are the tries; `keep`, how many go on; `epochs`, the full length. The
accuracy on the validation faces after the last epoch decides, of equals the one that stands first. With `combine` the last of those
that go on is the first try with every single change that bettered it by `CLEAR`, the best change of each option; what changes the
cost of a step, `COSTLY`, is tried alone and not combined.
"""

import json
from pathlib import Path

CLEAR = 0.003
"""A share of the validation faces: what betters a try by less is not combined."""

COSTLY = ("backbone", "width_multiplier", "image_size")


def _scores(cells, records):
    """`[(validation accuracy after the last epoch, options)]` of cells in their order, 0 where the loss was no number; None while
    one has not ended."""
    scores = []
    for cell in cells:
        paths = [Path(records[0]) / cell.name / "record.json", Path(records[1]) / f"{cell.name}.json"]
        record = next((path for path in paths if path.exists()), None)
        if record is None and not paths[0].with_name("stopped.json").exists():
            return None
        history = json.loads(record.read_text())["history"] if record else {"val_expression_accuracy": [0.0]}
        scores.append((history["val_expression_accuracy"][-1], cell.options))
    return scores


def _finals(scores, choice):
    """Options of the tries that go on at full length."""
    best = sorted(scores, key=lambda score: -score[0])
    finals = [options for _, options in best[: choice["keep"]]]
    if choice.get("combine"):
        first, base = scores[0]
        changes = {}
        for accuracy, options in best:
            if accuracy >= first + CLEAR:
                for name, value in options.items():
                    if base.get(name) != value and not any(base.get(option) != options.get(option) for option in COSTLY):
                        changes.setdefault(name, value)
        combined = {**base, **changes}
        if combined not in finals[:-1]:
            finals[-1] = combined
    plain = [{name: value for name, value in options.items() if name not in ("dataset", "seed")} for options in finals]
    return [{**options, "epochs": choice["epochs"]} for options in plain]


def choose(grid, cells, records, tuned):
    """What can be chosen by now, added to what was chosen before.

    :param grid: from `study.cells.read_grid`.
    :param cells: all cells, expanded with `tuned`.
    :param records: the folder of run folders, and that of published records.
    :param tuned: `{choice: {"finals": [options], "chosen": options}}`.
    :return: the same with more in it, or equal where no more can be chosen.
    """
    chosen = {name: dict(choice) for name, choice in tuned.items()}
    for name, choice in grid.get("choices", {}).items():
        asked = [cell for cell in cells if choice["question"] in cell.questions]
        if not asked or "chosen" in chosen.get(name, {}):
            continue
        at_length = [cell for cell in asked if cell.options["epochs"] == choice["epochs"]]
        if name not in chosen:
            # Where tries are as long as what goes on, all of them are judged together at last.
            scores = _scores([cell for cell in asked if cell not in at_length] or at_length, records)
            if scores:
                chosen[name] = {"finals": _finals(scores, choice)}
        elif scores := _scores(at_length, records):
            options = max(scores, key=lambda score: score[0])[1]
            kept = {option: value for option, value in options.items() if option not in ("dataset", "seed", "epochs")}
            chosen[name]["chosen"] = kept
    return chosen
