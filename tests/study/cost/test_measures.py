"""Each measure in a form that takes seconds: what it returns makes sense, and the arithmetic that it counts is right."""

import json

import keras
import numpy as np
import pytest

from study.cost import __main__ as command
from study.cost import card, flop, inputs, models, steps
from study.cost.models import Case
from tests.conftest import WITHOUT_TENSORFLOW, on_jax

SMALL = {"width_multiplier": 0.125, "units": 8}
TINY = Case("compact", 32, 8, options=SMALL)
TWO = [(TINY, {"tiny": None, "deep": "block3_conv2"})]


@pytest.fixture(autouse=True)
def without_torch(monkeypatch):
    monkeypatch.setattr(steps, "torch_python", lambda: None)
    monkeypatch.setattr(card, "torch_python", lambda: None)


def check(figures, *names):
    assert set(figures) == set(names)
    for name, one in figures.items():
        assert 0 <= one["low"] <= one["median"] <= one["high"] < np.inf, name
        assert one["what"] and command.line(name, one).endswith(one["what"])


def test_pal_over_plain():
    figures = steps.pal_over_plain(TWO, rounds=1)
    check(figures, "pal_tiny", "pal_deep")
    assert [figures[name]["target"] for name in ("pal_tiny", "pal_deep")] == ["at most 1.05", "at most 1.1"]


def test_memory_is_that_of_processes_of_their_own():
    figures = steps.peak_memory([(TINY, {"tiny": None})])
    check(figures, "memory_tiny")
    assert all(100 < held < 10_000 for held in figures["memory_tiny"]["megabytes"].values())


def test_what_was_not_measured_for_want_of_pytorch_is_said():
    figures = steps.beside_torch(TINY, rounds=1)
    assert figures.pop("torch")["not_measured"] == steps.NO_TORCH
    check(figures, "ceiling_matrix", "ceiling_convolution")


def test_compact_is_set_beside_pytorch_in_each_width_precision_and_normalisation(monkeypatch):
    def in_turn(cases, rounds):
        seconds = {name + way: 2.0 if "block" in name else 3.0 for name in cases for way in ("", " in PyTorch")}
        losses = {name: [2.001 if "PyTorch" in name else 2.0, 1.9] for name in seconds}
        return {name: np.full(2, value) for name, value in seconds.items()}, losses

    monkeypatch.setattr(steps, "in_turn", in_turn)
    monkeypatch.setattr(steps, "half_precision", lambda: None)
    figures = steps.small_network(widths=(0.5,))
    loops = [f"{kind}_compact_{way}_0.5_float32" for way in ("block", "convolution") for kind in ("torch", "same_loss")]
    check(figures, *loops, "normalisation_0.5_float32", "normalisation_0.5_float32_in_PyTorch")
    assert figures["normalisation_0.5_float32"]["median"] == 1.5 and figures[loops[0]]["median"] == 1.0
    assert figures[loops[1]]["median"] == 5e-4 and not figures[loops[1]]["met"]


def test_what_pytorch_is_given(tmp_path):
    case = TINY._replace(precision="mixed_bfloat16")
    classifier, batch = models.classifier_with_weights(case), models.fixed_batch(32, 2)
    steps.write_for_torch(tmp_path / "case.npz", classifier, batch, "block4_conv2")
    with np.load(tmp_path / "case.npz") as arrays:
        assert arrays["images"].dtype == np.uint8 and arrays["heatmaps"].shape == (2, 4, 4) and arrays["half"]
        weights = {name.split(":")[0]: arrays[name] for name in arrays.files if name.endswith(":0")}
        assert all(values.dtype == np.float32 for values in weights.values())
        assert list(weights) == [layer.name for layer in classifier.layers if layer.weights]
        assert arrays["block1_norm:4"] == np.float32(classifier.get_layer("block1_norm").epsilon)


def test_a_step_is_made_in_the_case_s_precision_whatever_keras_s_is():
    """A head that is split off under another precision than its classifier's is refused."""
    models.model_and_batch(Case("vgg16", 32, 2, "mixed_bfloat16", {"units": 8}))
    assert keras.config.dtype_policy().name == "float32"


def test_threads_and_what_fit_reaches_of_a_fixed_batch():
    check(inputs.threads(((32, 2.0),), 8, 1, 1), "augmented_32", "threads_32")
    check(inputs.fed_by_files(TINY, 16, 1), "fed")


def test_freed_memory_is_kept_in_one_process_and_handed_back_in_the_other():
    check(inputs.freed_memory(TINY, 2, 1), "freed_memory")


def test_arithmetic_is_counted():
    classifier = models.classifier_with_weights(TINY)
    model = models.compiled(classifier)
    first = 2 * 27 * 4 * 32**2
    convolutions = first + 2 * 9 * (4 * 8 * 16**2 + (8 * 16 + 16 * 16) * 8**2 + (16 * 32 + 32 * 32) * 4**2)
    head = 2 * (32 * 4 * 8 + 8 * 8 + 8 * 7)
    assert flop.forward_flop(classifier) == (convolutions + head, first)
    assert flop.step_flop(classifier) == 3 * (convolutions + head) - first
    assert flop.step_flop(classifier, model) - flop.step_flop(classifier) == 3 * head


def test_a_card_is_asked_for_where_there_is_one(capsys):
    with pytest.raises(SystemExit):
        command.main(["gpu"])
    assert "tensorflow sees no card here" in capsys.readouterr().err


REHEARSAL = f"""
from study.cost import card
from study.cost.models import Case
card.torch_python = lambda: None
cases = [Case("compact", 32, 4, options={SMALL}), Case("compact", 16, 4), Case("compact", 32, 2)]
kept, few = [], {{"rounds": 1, "faces": 8, "sizes": {{"side": 64, "count": 1, "number": 2}}}}
card.measure(cases[:2], kept.append, 600, **few)
card.measure(cases, kept.append, 1e-9, **few)
import json
print(json.dumps(kept))
"""


def test_a_card_is_rehearsed_on_jax_s_processor_without_tensorflow():
    *_, both, first = json.loads(on_jax(WITHOUT_TENSORFLOW + REHEARSAL).splitlines()[-1])
    assert both["not_reached"] == [] and both["backend"] == "jax"
    measured, refused = both["cases"].values()
    assert "must be at least 32" in refused["not_measured"]
    assert set(measured["time_over_plain"]) == {"PAL", "PAL earlier"} and measured["pytorch"] == steps.NO_TORCH
    assert all(0 < held < 1 for held in measured["gigabytes"].values())
    assert both["fed"]["median"] > 0 and set(measured["share_of_ceiling"]) == {"matrix", "convolution"}
    # With the time spent, the first case alone is measured: nobody knows beforehand how long it takes.
    assert len(first["cases"]) == 1 and first["not_reached"][-1] == "compact at 32 px, batches of 2, float32"
