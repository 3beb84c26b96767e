"""The model card says what the record says, all of it in words."""

import json
import re
from pathlib import Path

import pytest

from palcore.runs.card import SHARES, model_card

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.mark.parametrize(("strategy", "dataset"), [("mean", "synthetic"), ("none", "fer2013")])
def test_a_card_is_complete_has_no_raw_objects_and_its_numbers_are_the_records(strategy, dataset):
    record = json.loads((RESULTS / "runs" / "synthetic-compact-mean-seed=0.json").read_text())
    record["config"] |= {"strategy": strategy, "dataset": dataset}
    card = model_card(record)
    for name, scores in record["metrics"].items():
        shares = " | ".join(f"{100 * scores[share]:.1f}" for share in SHARES)
        assert f"| {name} | {scores['faces']:,} | {shares} |\n" in card
    for split, facts in record["data"].items():
        assert f"{facts['faces']:,} of {split}" in card
    assert f"{record['parameters']:,} parameters" in card
    assert re.findall("^## (.*)$", card, re.MULTILINE) == [
        "Data and labels", "How well it does", "What to bear in mind", "What it is for, and what it is not for",
    ]  # fmt: skip
    assert all(part in card for part in ("Article 5(1)(f)", "workplace\nand in education", "Annex III", "load_model"))
    assert not re.search(r"\bNone\b|\bTrue\b|\bFalse\b|\bnan\b|[{}]|\[\d|array\(|Path\(|<.*object", card)
    assert ("cross-entropy alone" in card) != ("Its attribution was trained" in card) == (strategy == "mean")
    assert ("was not measured by gender" in card) == ("belong to whoever took them" in card) == (dataset == "fer2013")
