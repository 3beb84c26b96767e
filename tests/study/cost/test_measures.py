"""Each measure in a form that takes seconds: what it returns makes sense, and the arithmetic that it counts is right."""

import keras
import numpy as np
import pytest

from study.cost import __main__ as command
from study.cost import flop, gpu, inputs, models, steps

TINY = ("compact", 32, 8, None)
SMALL = {"width_multiplier": 0.125, "units": 8}


def check(found, *names):
    assert set(found) == set(names)
    for name, one in found.items():
        assert 0 <= one["low"] <= one["median"] <= one["high"] < np.inf, name
        assert one["what"] and command.line(name, one).endswith(one["what"])


def test_pal_over_plain():
    found = steps.pal_over_plain({"tiny": TINY, "deep": (*TINY[:3], "block3_conv2")}, rounds=1)
    check(found, "pal_tiny", "pal_deep")
    assert found["pal_deep"]["head_runs"] == [1] and found["pal_deep"]["target"] == "at most 1.1"
    assert found["pal_tiny"]["head_runs"] == [1]
    assert found["pal_tiny"]["target"] == "at most 1.05"


def test_loops_by_hand_begin_with_the_same_loss(tmp_path):
    found = steps.by_hand(32, 2, 1, python=tmp_path / "none", units=8)
    assert "not installed" in found.pop("torch")["not_measured"]
    check(found, "same_loss", "keras_twice", "ceiling_matrix", "ceiling_convolution")
    assert found["same_loss"]["met"]
    assert set(found["same_loss"]["losses"]) == {"ours", "keras_twice"}


@pytest.mark.parametrize("precision, error", [("float32", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_what_pytorch_is_given(tmp_path, precision, error):
    keras.config.set_dtype_policy(precision)
    try:
        classifier, batch = models.classifier_with_weights("vgg16", 32, units=8), models.fixed_batch(32, 2)
    finally:
        keras.config.set_dtype_policy("float32")
    steps.write_for_torch(tmp_path / "case.npz", classifier, batch)
    with np.load(tmp_path / "case.npz") as arrays:
        assert all(arrays[name].dtype == np.float32 for name in ("images", "heatmaps", "kernel0", "bias15"))
        assert arrays["images"].shape == (2, 3, 32, 32) and arrays["heatmaps"].shape == (2, 2, 2)
        assert arrays["kernel0"].shape == (3, 3, 3, 64) and arrays["kernel13"].shape == (512, 8)
        assert arrays["kernel15"].shape == (8, 7) and "kernel16" not in arrays
        np.testing.assert_allclose(arrays["images"][:, 0], batch[0][..., 0] / 127.5 - 1, atol=error)


def test_peak_memory_is_that_of_two_processes(monkeypatch):
    monkeypatch.setattr(steps, "answer", lambda module, case: {"megabytes": 1100 if "true" in case else 1000})
    found = steps.peak_memory({"tiny": TINY, "deep": (*TINY[:3], "block3_conv2")})
    check(found, "memory_tiny", "memory_deep")
    assert found["memory_tiny"]["median"] == 1.1 and found["memory_tiny"]["met"]


def test_jax_and_tensorflow_step_alike_and_compile_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # so that XLA compiles quickly what runs twice
    found = steps.backends(32, 4, rounds=1)
    check(found, "jax_loss", "jax_compiled", "jax_time")
    assert found["jax_loss"]["met"] and found["jax_compiled"]["met"]


def test_heatmaps_and_batches():
    check(inputs.heatmaps(TINY[:3], 8, 4, 2, 2), "heatmap", "heatmap_112", "heatmap_share")
    check(inputs.batches(TINY[:3], 8, 64, 2), "input", "input_over_step", "threads", "threads_augmented")


def test_the_source_way_draws_what_the_study_keeps_as_its_reference(tmp_path):
    from palcore.heatmaps import blurred_heatmap

    faces = inputs.write_faces(tmp_path, 2, 112)
    ours = blurred_heatmap(faces.landmarks, 112)
    theirs = np.stack([inputs.source_heatmap(path.with_suffix(".txt")) for path in faces.images.items])
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98


def test_an_epoch_tells_its_memory_as_it_goes():
    held = inputs.stream(320, files=4, batch_size=16)["megabytes"]
    assert len(held) >= 20 and min(held) > 50


def test_arithmetic_is_counted():
    classifier = models.classifier_with_weights("compact", 32, **SMALL)
    model = models.compiled(classifier)
    first = 2 * 27 * 4 * 32**2
    convolutions = first + 2 * 9 * (4 * 8 * 16**2 + (8 * 16 + 16 * 16) * 8**2 + (16 * 32 + 32 * 32) * 4**2)
    head = 2 * (32 * 4 * 8 + 8 * 8 + 8 * 7)
    assert flop.forward_flop(classifier) == (convolutions + head, first)
    assert flop.step_flop(classifier) == 3 * (convolutions + head) - first
    assert flop.step_flop(classifier, model) - flop.step_flop(classifier) == 3 * head


def test_a_gpu_is_asked_for_where_there_is_one():
    with pytest.raises(ValueError, match="TensorFlow sees none"):
        gpu.gpu()
