"""Steps take turns, ratios are of one round, targets are judged by the median."""

import sys

import numpy as np
import pytest

from study.cost.timing import Remote, figure, in_own_process, interleaved, peak, ratio


def test_steps_take_turns_and_warm_rounds_do_not_count():
    order = []

    def step(name, seconds):
        return lambda: order.append(name) or seconds

    times = interleaved({"a": step("a", 3.0), "b": step("b", 2.0)}, rounds=2, warm=1)
    assert order == ["a", "b"] * 3
    assert times["a"].tolist() == [3.0, 3.0]


def test_a_ratio_is_taken_round_by_round_and_judged_by_its_median():
    times = {"a": np.array([2.0, 20.0, 6.0]), "b": np.array([1.0, 10.0, 2.0])}
    one = ratio("a over b", times, "a", "b", at_most=2.0)
    assert (one["median"], one["low"], one["high"]) == (2.0, 2.0, 3.0)
    assert one["met"] and one["target"] == "at most 2"
    assert not figure("x", [1.2, 1.3], at_most=1.1)["met"] and not figure("x", [1.0], at_least=1.1)["met"]
    assert "met" not in figure("x", [1.0])


def test_a_step_in_another_process_is_timed_there_and_its_silence_told():
    code = "from study.cost.timing import serve; import os\n"
    code += "serve(lambda: (lambda number: os._exit(3) if number == 3 else sum(range(200000 * number)), {'ready': 1}))"
    with Remote([sys.executable, "-c", code], number=2) as remote:
        assert remote.facts == {"ready": 1}
        seconds = remote()
        remote.number = 3
        with pytest.raises(RuntimeError, match="ended with 3 and no answer"):
            remote()
    assert 0 < seconds < 60


def test_a_process_that_was_never_begun_ends_with_its_caller():
    remote = Remote([sys.executable, "-c", "from study.cost.timing import serve; serve(lambda: 1 / 0)"])
    remote.end()
    assert remote.process.returncode == 0


def test_the_memory_of_a_process_is_its_own():
    held = b"x" * (300 << 20)
    here = peak()
    there = in_own_process(peak)
    assert len(held) < here * 2**20
    assert there < 200 < here
