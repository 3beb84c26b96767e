"""Which labels score which network: the other kind's shares are put in, and the numbers are those of the review."""

import json

import numpy as np
import pytest

from palcore import EMOTIONS
from palcore.runs.records import repository_root
from study.results import primary, probabilities, scores

EVEN = dict.fromkeys(EMOTIONS, 10)
MORE_NEUTRAL = EVEN | {"neutral": 40}


def test_the_ratio_of_the_shares_by_hand():
    ratio = scores.shares_ratio({"own": EVEN, "ferplus": MORE_NEUTRAL}, "own", "ferplus")
    # Shares 1/7 each, and 1/10 each but 4/10 of neutral.
    np.testing.assert_allclose(ratio, [0.7] * 6 + [2.8])
    np.testing.assert_allclose(scores.shares_ratio({"own": EVEN, "ferplus": EVEN}, "own", "ferplus"), 1)


def test_a_network_is_scored_by_the_other_labels_with_their_shares(tmp_path):
    sureness = np.array([[0.5, 0, 0, 0, 0, 0, 0.3], [0.8, 0, 0, 0, 0, 0, 0.1]], np.float16)
    arrays = {
        f"{name}_{part}": value
        for name in ("test", "ferplus")
        for part, value in (("labels", np.array([6, 0], np.uint8)), ("probabilities", sureness))
    }
    np.savez(tmp_path / "run.npz", **arrays)
    facts = {"training": {"own": EVEN, "ferplus": MORE_NEUTRAL}, "faces": 2, "guessed": [1], "copies": []}
    own, other = {"dataset": "fer2013", "labels": "own"}, {"dataset": "fer2013", "labels": "ferplus"}
    right = {
        (name, condition): scores.right_faces(tmp_path, "run", config, condition, facts)[0].tolist()
        for name, config in (("own", own), ("ferplus", other))
        for condition in ("test", "ferplus")
    }
    assert right["own", "test"] == right["ferplus", "ferplus"] == [False, True]
    assert right["own", "ferplus"] == [True, True]  # 0.3 of neutral, which is four times as frequent, is more than 0.5
    assert right["ferplus", "test"] == [False, True]
    found = scores.fair_scores(tmp_path, "run", own, facts)
    assert (found["ferplus_accuracy"], found["detected_accuracy"], found["guessed_accuracy"]) == (1.0, 0.0, 1.0)
    assert found["ferplus_mean_class_accuracy"] == 1.0 and "test_accuracy" not in found
    # Without the shares there is no such score, rather than a wrong one.
    assert np.isnan(scores.fair_scores(tmp_path, "run", own, {})["ferplus_accuracy"])
    assert scores.right_faces(tmp_path, "nothing", own, "test", facts) is None
    with pytest.raises(ValueError, match="tested on 2 faces, .* those of 3"):
        scores.right_faces(tmp_path, "run", own, "guessed", facts | {"faces": 3})


def test_the_log_loss_by_hand_and_after_the_best_temperature(tmp_path):
    sure = np.full((2, 7), 0.1 / 6, np.float32)
    sure[:, 3] = 0.9
    arrays = {"test_labels": np.array([3, 3]), "test_probabilities": sure}
    np.savez(tmp_path / "run.npz", **arrays)
    assert probabilities.log_losses(tmp_path, "run", {})["log_loss"] == pytest.approx([-np.log(0.9)] * 2, rel=1e-6)
    # Right in one of two faces, so not so sure: at the best temperature the probability is a half.
    np.savez(tmp_path / "run.npz", **arrays, validation_labels=np.array([3, 0]), validation_probabilities=sure)
    found = probabilities.log_losses(tmp_path, "run", {})
    temperatures = np.linspace(*probabilities.TEMPERATURES, 3751)
    powers = sure[0].astype(float) ** (1 / temperatures[:, None])
    losses = -np.log(powers[:, [3, 0]] / powers.sum(axis=1, keepdims=True)).mean(axis=1)
    best = powers[losses.argmin()] / powers[losses.argmin()].sum()
    assert found["scaled_log_loss"] == pytest.approx([-np.log(best[3])] * 2, abs=1e-3) and best[3] < 0.6
    assert probabilities.log_losses(tmp_path, "nothing", {}) == {}


def test_the_shares_are_those_of_the_records():
    results = repository_root() / "results"
    facts = scores.read_facts(results)
    for kind, name in (("own", "fer2013-compact-none-seed=0"), ("ferplus", "fer2013-compact-none-labels=ferplus-seed=0")):
        assert json.loads((results / "runs" / f"{name}.json").read_text())["labels"]["train"] == facts["training"][kind]
    assert facts["faces"] == facts["validation"]["faces"] == 3589 and max(facts["validation"]["guessed"]) < 3589


def test_the_numbers_are_those_of_an_independent_computation(measured):
    """The review computed these from the same predictions with code of its own; ``test_independent.py`` does so with the scores."""
    assert 100 * measured.loc["P4", "difference"] == pytest.approx(0.04, abs=0.006)
    aside = primary.beside(measured)
    for name, column, difference in (
        ("P2", "by FER+'s labels", "+1.2"),
        ("P3", "by FER+'s labels", "+2.8"),
        ("P1", "those with detected landmarks", "+0.9"),
        ("P1", "those without", "+2.7"),
        ("P1", "training faces", "+1.2"),
        ("P1", "validation faces", "+0.8"),
    ):
        assert aside.loc[name, column].startswith(f"{difference} ("), (name, column)
