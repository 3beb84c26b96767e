"""Steps take turns, ratios are of one round, targets are judged by the median."""

import sys

import numpy as np
import pytest

from study.cost.timing import Remote, answer, figure, interleaved, peak, ratio


def test_steps_take_turns_and_warm_rounds_do_not_count():
    order = []

    def step(name, seconds):
        return lambda: order.append(name) or (seconds, 2 * seconds)

    times = interleaved({"a": step("a", 3.0), "b": step("b", 2.0)}, rounds=2, warm=1)
    assert order == ["a", "b"] * 3
    np.testing.assert_array_equal(times["a"], [[3, 6]] * 2)


def test_a_ratio_is_taken_round_by_round():
    times = {"a": np.array([[2.0, 9.0], [20.0, 9.0], [6.0, 9.0]]), "b": np.array([[1.0, 3.0], [10.0, 9.0], [2.0, 9.0]])}
    found = ratio("a over b", times, "a", "b", at_most=2.0)
    assert (found["median"], found["low"], found["high"]) == (2.0, 2.0, 3.0)
    assert found["processor"] == {"median": 1.0, "low": 1.0, "high": 3.0}
    assert found["met"] and found["target"] == "at most 2"
    assert ratio("a over b", times, "a", "b", 0.5)["median"] == 1.0


def test_a_target_is_missed_on_either_side():
    assert not figure("x", [1.2, 1.3], at_most=1.1)["met"]
    assert not figure("x", [1.0], at_least=1.1)["met"]
    assert "met" not in figure("x", [1.0])


def test_a_step_in_another_process_is_timed_there():
    code = "from study.cost.timing import serve; serve(lambda: sum(range(200000)), {'ready': 1})"
    with Remote([sys.executable, "-c", code]) as remote:
        assert remote.facts == {"ready": 1}
        wall, processor = remote()
    assert processor > 0 and 0 < wall < 60
    assert remote.process.returncode == 0


def test_a_process_that_gives_no_answer_is_told():
    with pytest.raises(RuntimeError, match="ended with 3 and no answer"):
        Remote([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_memory_of_a_process_is_its_own():
    held = b"x" * (300 << 20)
    here = peak()
    there = answer("tests.study.cost.small_process")["megabytes"]
    assert len(held) < here * 2**20
    assert there < 200 < here
