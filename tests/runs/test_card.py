"""The model card says what the record says, all of it in words."""

import json
import re
from pathlib import Path

import pytest

from palcore import EMOTIONS
from palcore.runs.card import model_card, write_card

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def record():
    """A record of the study, with what newer ones have besides."""
    found = json.loads((RESULTS / "runs" / "synthetic-compact-mean-seed=0.json").read_text())
    counts = {name: 1000 + place for place, name in enumerate(EMOTIONS)}
    return found | {"labels": dict.fromkeys(found["data"], counts), "identity": "0123456789abcdef", "weights": "fedcba9876543210"}


def rows(card, head):
    """The table below a row of headings, cells as text."""
    lines = card.split(f"\n| {head}", 1)[1].splitlines()[2:]
    table = lines[: next((place for place, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_every_number_is_the_records(record):
    card = model_card(record)
    for name, faces, *counts in rows(card, "split"):
        assert int(faces.replace(",", "")) == record["data"][name]["faces"]
        assert [int(count.replace(",", "")) for count in counts] == list(record["labels"][name].values())
    assert {row[0] for row in rows(card, "split")} == set(record["data"])
    metrics = rows(card, "faces")
    assert {row[0] for row in metrics} == set(record["metrics"])
    for name, faces, *shares, correlation in metrics:
        scores = record["metrics"][name]
        assert int(faces.replace(",", "")) == scores["faces"]
        assert shares == [f"{100 * scores[score]:.1f}" for score in ("accuracy", "mean_class_accuracy", "macro_f1")]
        assert correlation == f"{scores['attribution']['correlation']:.2f}"
    recalls = {name: f"{100 * value:.1f}" for name, value in record["metrics"]["test"]["recall"].items()}
    assert dict(rows(card, "expression")) == recalls
    options = dict(rows(card, "option"))
    assert set(options) == {f"`{name}`" for name in record["config"]}
    assert float(options["`learning_rate`"]) == record["config"]["learning_rate"] and options["`layer`"] == "not set"
    assert f"{record['parameters']:,} parameters" in card and f"{record['seconds'] / 60:.1f} minutes" in card
    assert f"{len(record['history']['loss'])} epochs" in card


def test_it_is_complete_and_has_no_raw_objects(record):
    card = model_card(record)
    for part in (
        *(
            "\n## What it is\n",
            "\n## Data and labels",
            "\n## How it was trained",
            "\n## How well it does",
            "\n## What to bear in mind",
        ),
        *("\n## What it is for, and", "Article 5(1)(f)", "workplace\nand in education", "Annex III", "licence", "load_model"),
    ):
        assert part in card
    assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|\bnan\b|[{}]|\[\d|array\(|Path\(|<.*object", card)


def test_an_old_record_and_one_without_pal_have_their_cards(record):
    for name in ("labels", "identity", "weights"):
        record.pop(name)
    record["config"]["strategy"] = "none"
    card = model_card(record)
    assert "cross-entropy alone" in card and "pal_weight" not in card and "Its attribution was trained" not in card
    assert all(row[1:] for row in rows(card, "split")) and "surprise" not in card.split("| split")[1].split("\n")[0]


def test_what_was_found_in_the_test_faces_is_said(record, tmp_path):
    check = json.loads((RESULTS / "check" / "fer2013_faces.json").read_text())
    said = f"{len(check['copies'])} of the {check['faces']:,} faces of `test` ({100 * len(check['copies']) / check['faces']:.1f} %)"
    assert "are also training faces" not in model_card(record, check)
    record["config"]["dataset"] = "fer2013"
    record["metrics"]["test"]["faces"] = check["faces"]
    write_card(tmp_path, record)
    card = (tmp_path / "model_card.md").read_text()
    assert card == model_card(record, check)
    assert said in card and "was not measured by gender" in card and "belong to whoever took them" in card
