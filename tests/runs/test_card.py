"""The model card says what the record says, all of it in words."""

import json
import re
from pathlib import Path

import pytest

from palcore import EMOTIONS
from palcore.runs.card import model_card

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def record():
    """A record of the study, with what newer ones have besides."""
    record = json.loads((RESULTS / "runs" / "synthetic-compact-mean-seed=0.json").read_text())
    counts = {name: 1000 + place for place, name in enumerate(EMOTIONS)}
    return record | {"labels": dict.fromkeys(record["data"], counts), "identity": "0123456789abcdef", "weights": "fedcba9876543210"}


def lines_of(card, head):
    """The table below a row of headings: ``{first cell: [the others]}``."""
    table = re.match(r".*\n[|].*\n((?:[|].*\n)*)", card.split(f"\n| {head}", 1)[1]).group(1)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first: cells for first, *cells in lines}


def test_every_number_is_the_records(record):
    card, data = model_card(record), record["data"]
    wanted = {name: [f"{data[name]['faces']:,}", *map(str, record["labels"][name].values())] for name in data}
    assert lines_of(card, "split") == wanted
    for name, (faces, *shares, correlation) in (metrics := lines_of(card, "faces")).items():
        scores = record["metrics"][name]
        assert faces == f"{scores['faces']:,}" and correlation == f"{scores['attribution']['correlation']:.2f}"
        assert shares == [f"{100 * scores[score]:.1f}" for score in ("accuracy", "mean_class_accuracy", "macro_f1")]
    assert metrics.keys() == record["metrics"].keys()
    recalls = {name: [f"{100 * value:.1f}"] for name, value in record["metrics"]["test"]["recall"].items()}
    assert lines_of(card, "expression") == recalls
    options = lines_of(card, "option")
    assert set(options) > {f"`{name}`" for name in record["config"]} and options["`layer`"] == ["not set"]
    assert float(options["`learning_rate`"][0]) == record["config"]["learning_rate"]
    assert f"{record['parameters']:,} parameters" in card and f"{record['seconds'] / 60:.1f} minutes" in card
    assert f"{len(record['history']['loss'])} epochs" in card


def test_it_is_complete_and_has_no_raw_objects(record):
    card = model_card(record)
    for part in ("Data and labels", "How it was trained", "How well it does", "What to bear in mind", "What it is for, and"):
        assert f"\n## {part}" in card
    for part in ("Article 5(1)(f)", "workplace\nand in education", "Annex III", "licence", "load_model"):
        assert part in card
    assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|\bnan\b|[{}]|\[\d|array\(|Path\(|<.*object", card)


def test_an_old_record_and_one_without_pal_have_their_cards(record):
    for name in ("labels", "identity", "weights"):
        record.pop(name)
    record["config"] |= {"strategy": "none", "dataset": "fer2013"}
    card = model_card(record)
    assert "cross-entropy alone" in card and "pal_weight" not in card and "Its attribution was trained" not in card
    assert all(lines_of(card, "split").values()) and "surprise" not in card.split("| split")[1].split("\n")[0]
    assert "was not measured by gender" in card and "belong to whoever took them" in card
