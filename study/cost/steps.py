"""A training step: PAL over no PAL, a person's loops over ours, the share of the machine's ceiling, JAX beside TensorFlow."""

import json
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from palcore.attribution import AttributionHead
from palcore.heatmaps import gaussian_heatmap
from study.cost.flop import ceilings, step_flop
from study.cost.models import classifier_with_weights, compiled, fixed_batch, step_of, targets, twice_in_keras
from study.cost.timing import ROOT, Remote, answer, clocked, figure, interleaved, peak, ratio

TORCH = ROOT / ".venv-bench" / "bin" / "python"

CASES = {
    "compact_48": ("compact", 48, 64, None),
    "compact_112": ("compact", 112, 8, None),
    "resnet50": ("resnet50", 112, 8, None),
    "vgg16": ("vgg16", 112, 8, None),
    "vgg16_block4": ("vgg16", 112, 8, "block4_conv3"),
}
"""Backbone, pixels, faces a batch, and the layer whose attribution PAL compares; None for the last map."""


def described(backbone, size, count, layer):
    return f"{backbone} at {size} px, batches of {count}, {layer or 'last map'}"


def target_of(layer):
    return {"at_most": 1.05 if layer is None else 1.10}


def head_runs(model, step):
    """How often a traced step calls the layers of the attributed head: a set, which is ``{1}`` where the head runs once."""
    [attribution] = [layer for layer in model.layers if isinstance(layer, AttributionHead)]
    calls = {}

    def counted(layer, call):
        def run(*args, **kwargs):
            calls[layer.name] += 1
            return call(*args, **kwargs)

        return run

    layers = [layer for layer in attribution.head.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer in layers:
        calls[layer.name], layer.call = 0, counted(layer, layer.call)
    model.make_train_function(force=True)
    step()
    for layer in layers:
        del layer.call
    return sorted(set(calls.values()))


def by_network(cases):
    """``{(backbone, size, count): {name: layer}}``: cases that share the step without PAL."""
    networks = {}
    for name, (*network, layer) in cases.items():
        networks.setdefault(tuple(network), {})[name] = layer
    return networks


def pal_over_plain(cases=CASES, rounds=7):
    """Time of a step with PAL over the step without, for each case, and how often the head ran."""
    found = {}
    for network, layers in by_network(cases).items():
        steps, models = {"plain": step_of(*network, pal=False)[0]}, {}
        for name, layer in layers.items():
            steps[name], models[name] = step_of(*network, layer=layer)
        times = interleaved({name: clocked(step) for name, step in steps.items()}, rounds)
        for name, layer in layers.items():
            what = f"PAL's step over the same step without: {described(*network, layer)}"
            runs = head_runs(models[name], steps[name])
            found[f"pal_{name}"] = ratio(what, times, name, "plain", **target_of(layer), head_runs=runs)
        keras.backend.clear_session()
    return found


def peak_memory(cases=CASES, steps=3):
    """Most memory of a process that trains with PAL over one that trains without."""
    found = {}
    for network, layers in by_network(cases).items():
        most = {name: answer("study.cost.steps", json.dumps([*network, layer, True, steps])) for name, layer in layers.items()}
        plain = answer("study.cost.steps", json.dumps([*network, None, False, steps]))["megabytes"]
        for name, layer in layers.items():
            what = f"most memory of a process with PAL over one without: {described(*network, layer)}"
            pal = most[name]["megabytes"]
            found[f"memory_{name}"] = figure(what, pal / plain, at_most=1.10, megabytes={"with": pal, "without": plain})
    return found


def torch_problem(python=TORCH):
    """None where PyTorch can be run, else why not."""
    return None if Path(python).exists() else "PyTorch is not installed: `make bench` puts it into .venv-bench"


def write_for_torch(path, classifier, batch, half=False, rate=1e-4):
    """What ``study.cost.torch_loop`` reads: the same weights, images as the first convolution gets them, and heatmaps."""
    images, labels, landmarks = batch
    scaled = keras.Model(classifier.input, classifier.get_layer("block1_conv1").input).predict_on_batch(images)
    layers = [layer for layer in classifier.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
    arrays = {}
    for number, layer in enumerate(layers):
        arrays[f"kernel{number}"], arrays[f"bias{number}"] = layer.get_weights()
    cells = classifier.get_layer("block5_conv3").output.shape[1]
    heatmaps = keras.ops.convert_to_numpy(gaussian_heatmap(landmarks, cells))
    pictures = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)  # bfloat16 is no type of NumPy's own
    np.savez(path, images=pictures, labels=labels, heatmaps=heatmaps, half=half, side=cells // 2, rate=rate, **arrays)


def by_hand(size=112, count=8, rounds=7, precision="float32", python=TORCH, **options):
    """Our VGG16 step beside a PyTorch loop and a Keras loop that runs the network twice, from the same weights, and beside the
    machine's ceiling; the first losses of all three must agree within 1e-4 in float32.

    :param options: for ``build_classifier``.
    """
    batch, found, half = fixed_batch(size, count), {}, precision != "float32"
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        classifiers = [classifier_with_weights("vgg16", size, **options) for _ in range(2)]
    finally:
        keras.config.set_dtype_policy(policy)
    what = f"vgg16 at {size} px, batches of {count}, {precision}"
    tail = "_bfloat16" if half else ""
    with tempfile.TemporaryDirectory() as folder:
        write_for_torch(Path(folder) / "case.npz", classifiers[0], batch, half)
        model = compiled(classifiers[0])
        goal = targets(batch)
        twice = twice_in_keras(classifiers[1], batch)
        ours = [model.train_on_batch(batch[0], goal, return_dict=True)["loss"] for _ in range(2)]
        losses = {"ours": [float(loss) for loss in ours], "keras_twice": [twice(), twice()]}
        steps = {"ours": clocked(lambda: model.train_on_batch(batch[0], goal)), "keras_twice": clocked(twice)}
        steps |= {name: clocked(step) for name, (step, _) in ceilings().items()}
        problem = torch_problem(python)
        remote = None
        if problem is None:
            remote = Remote([python, "-m", "study.cost.torch_loop", Path(folder) / "case.npz"])
            steps["torch"], losses["torch"] = remote, remote.facts["losses"]
        try:
            times = interleaved(steps, rounds)
        finally:
            if remote:
                remote.__exit__()
    apart = max(abs(found - losses["ours"][0]) / max(1, abs(losses["ours"][0])) for found, *_ in losses.values())
    same = figure(f"first losses apart, relative: {what}", apart, at_most=1e-4 if not half else 2e-2, losses=losses)
    found[f"same_loss{tail}"] = same
    words = f"time of a Keras loop that runs the network twice over ours: {what}"
    found[f"keras_twice{tail}"] = ratio(words, times, "keras_twice", "ours", at_least=1.2)
    if problem is None:
        words = f"our faces a second over those of a PyTorch loop: {what}"
        found[f"torch{tail}"] = ratio(words, times, "torch", "ours", at_least=1.2, version=remote.facts["version"])
    else:
        found[f"torch{tail}"] = {"what": f"our faces a second over those of a PyTorch loop: {what}", "not_measured": problem}
    if not half:
        work = count * step_flop(classifiers[0], model)
        for name, (_, flop) in ceilings().items():
            wall, processor = (work / times["ours"] / (flop / times[name])).T
            words = f"share of the rate of a float32 {name} that the step reaches: {what}"
            rates = {key: float(f"{np.median(value):.4g}") for key, value in rates_of(times, work, name, flop).items()}
            found[f"ceiling_{name}"] = figure(words, wall, processor, gigaflop_per_second=rates)
    return found


def rates_of(times, work, name, flop):
    """GFLOP/s by wall time, of our step and of a ceiling."""
    return {"step": work / times["ours"][:, 0] / 1e9, name: flop / times[name][:, 0] / 1e9}


def half_precision():
    """Whether this processor multiplies bfloat16 itself: name of the instructions, or None."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return None
    return next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), None)


def loops_in_half_precision(rounds=7):
    """``by_hand`` in bfloat16, where the processor has instructions for it."""
    if half_precision():
        return by_hand(rounds=rounds, precision="mixed_bfloat16")
    reason = "this processor has neither AMX nor AVX512-BF16"
    return {"torch_bfloat16": {"what": "our faces a second over those of a PyTorch loop, bfloat16", "not_measured": reason}}


def backends(size=48, count=16, rounds=7):
    """The same step of ``compact`` on JAX and on TensorFlow, each in a process of its own: losses, compilations, time."""
    command = [sys.executable, "-m", "study.cost.backend_step", size, count]
    with Remote(command, KERAS_BACKEND="jax") as jax, Remote(command, KERAS_BACKEND="tensorflow") as tensorflow:
        times = interleaved({"jax": jax, "tensorflow": tensorflow}, rounds)
        losses = {"jax": jax.facts["losses"], "tensorflow": tensorflow.facts["losses"]}
        traced = jax.facts["compiled_again"]
    apart = np.abs(np.subtract(losses["jax"], losses["tensorflow"]))
    what = f"compact at {size} px, batches of {count}"
    return {
        "jax_loss": figure(
            f"difference of the losses on JAX and TensorFlow, from the same weights before and after a step: {what}",
            apart[:2].max(),
            at_most=1e-4,
            losses=losses,
        ),
        "jax_compiled": figure("what JAX compiles again after the second step", traced, at_most=0),
        "jax_time": ratio(f"time of a step on JAX over TensorFlow: {what}", times, "jax", "tensorflow"),
    }


if __name__ == "__main__":  # a process of its own for `peak_memory`
    backbone, size, count, layer, pal, number = json.loads(sys.argv[1])
    step, _ = step_of(backbone, size, count, pal, layer if pal else None)
    for _ in range(number):
        step()
    print(json.dumps({"megabytes": round(peak())}))
