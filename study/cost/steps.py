"""A training step: PAL over no PAL, a person's loop over ours, the share of the machine's ceiling."""

import importlib.util
import itertools
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import keras
import numpy as np

from palcore.heatmaps import gaussian_heatmap
from palcore.models import NORMALISATIONS
from palcore.runs.devices import computing_in
from palcore.splitting import split_classifier
from study.cost.flop import ceilings, step_flop
from study.cost.models import RATE, VGG16, Case, classifier_with_weights, compiled, fixed_batch, model_and_batch, step_of
from study.cost.timing import ROOT, Remote, clocked, figure, in_own_process, interleaved, peak, ratio, rounded

CASES = [
    (Case("compact", 48, 64), {"compact_48": None}),
    (Case("compact", 112, 8), {"compact_112": None}),
    (Case("resnet50", 112, 8), {"resnet50": None}),
    (VGG16, {"vgg16": None, "vgg16_block4": "block4_conv3"}),
]
"""Each case with the layers whose attribution PAL compares; None for the last map."""

NO_TORCH = "PyTorch is not installed: `make bench` puts it into .venv-bench"


def described(case, layer):
    return f"{case}, {layer or 'last map'}"


def pal_over_plain(cases=CASES, rounds=7):
    """Time of a step with PAL over the step without, for each case."""
    figures = {}
    for case, layers in cases:
        steps = {"plain": step_of(case, pal=False), **{name: step_of(case, layer=layer) for name, layer in layers.items()}}
        times = interleaved({name: clocked(step) for name, step in steps.items()}, rounds)
        for name, layer in layers.items():
            what = f"PAL's step over the same step without: {described(case, layer)}"
            figures[f"pal_{name}"] = ratio(what, times, name, "plain", at_most=1.05 if layer is None else 1.10)
        keras.backend.clear_session()
    return figures


def peak_of_steps(case, pal, layer):
    """Most memory in MiB of the process that calls this, which makes three steps."""
    step = step_of(case, pal, layer)
    for _ in range(3):
        step()
    return round(peak())


def peak_memory(cases=CASES):
    """Most memory of a process that trains with PAL over one that trains without."""
    figures = {}
    for case, layers in cases:
        plain = in_own_process(peak_of_steps, case, False, None)
        for name, layer in layers.items():
            pal = in_own_process(peak_of_steps, case, True, layer)
            what = f"most memory of a process with PAL over one without: {described(case, layer)}"
            figures[f"memory_{name}"] = figure(what, pal / plain, at_most=1.10, megabytes={"with": pal, "without": plain})
    return figures


def torch_python():
    """The Python that has PyTorch, or None: that of ``make bench``, else this one."""
    place = ROOT / ".venv-bench" / "bin" / "python"
    return place if place.exists() else sys.executable if importlib.util.find_spec("torch") else None


def write_for_torch(path, classifier, batch, layer):
    """What ``study.cost.torch_loop`` reads: the same weights and images, and heatmaps at the cells of a layer."""
    images, labels, landmarks = batch
    arrays = {"images": images, "labels": labels, "backbone": classifier.name, "rate": RATE}
    arrays["half"] = classifier.get_layer(layer).compute_dtype != "float32"
    for one in classifier.layers:
        more = [np.float32(one.epsilon)] if isinstance(one, keras.layers.BatchNormalization) else []
        for number, weights in enumerate([*one.get_weights(), *more] if one.weights else []):
            arrays[f"{one.name}:{number}"] = weights
    cells = classifier.get_layer(layer).output.shape[1]
    np.savez(path, heatmaps=keras.ops.convert_to_numpy(gaussian_heatmap(landmarks, cells)), **arrays)


def torch_beside(case, python, folder, number=1):
    """The PyTorch loop that starts from the same weights, as a ``Remote``."""
    classifier, path = classifier_with_weights(case), Path(folder) / f"{len(os.listdir(folder))}.npz"
    with computing_in(case.precision):
        write_for_torch(path, classifier, fixed_batch(case.size, case.count), split_classifier(classifier, None).path)
    return Remote([python, "-m", "study.cost.torch_loop", path], number)


def in_turn(cases, rounds, others=None):
    """Our steps with PAL and PyTorch's, where it is there, all in turn.

    :param cases: ``{name: Case}``.
    :param others: more steps, as ``interleaved`` takes them.
    :return: times by ``interleaved`` and ``{name: first two losses}``, under ``NAME`` and ``NAME in PyTorch``.
    """
    steps, losses, python = dict(others or {}), {}, torch_python()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for name, case in cases.items():
            model, batch = model_and_batch(case)
            losses[name] = [float(model.train_on_batch(*batch, return_dict=True)["loss"]) for _ in range(2)]
            steps[name] = clocked(lambda model=model, batch=batch: model.train_on_batch(*batch))
            if python:
                theirs = f"{name} in PyTorch"
                steps[theirs] = stack.enter_context(torch_beside(case, python, folder))
                losses[theirs] = steps[theirs].facts["losses"]
        return interleaved(steps, rounds), losses


def loop_figures(name, case, times, losses):
    """How far our first loss lies from PyTorch's, and our faces a second over PyTorch's."""
    what, theirs = f"{case}, {case.precision}", f"{name} in PyTorch"
    rate = f"our faces a second over those of a PyTorch loop: {what}"
    if theirs not in times:
        return {f"torch{name}": {"what": rate, "not_measured": NO_TORCH}}
    first = {"ours": losses[name], "torch": losses[theirs]}
    apart = abs(first["torch"][0] / first["ours"][0] - 1)
    most = 1e-4 if case.precision == "float32" else 2e-2
    return {
        f"same_loss{name}": figure(f"first losses apart, relative: {what}", apart, at_most=most, losses=first),
        f"torch{name}": ratio(rate, times, theirs, name, at_least=1.2),
    }


def beside_torch(case=VGG16, rounds=7):
    """Our VGG16 step beside a PyTorch loop from the same weights, and beside the machine's ceiling in float32."""
    name, tops = ("", ceilings()) if case.precision == "float32" else ("_bfloat16", {})
    times, losses = in_turn({name: case}, rounds, {top: clocked(step) for top, (step, _) in tops.items()})
    figures = loop_figures(name, case, times, losses)
    with computing_in(case.precision):
        classifier = classifier_with_weights(case)
        work = case.count * step_flop(classifier, compiled(classifier))
    for top, (_, flop) in tops.items():
        rates = {"step": work / times[name], top: flop / times[top]}
        what = f"share of the rate of a float32 {top} that the step reaches: {case}, {case.precision}"
        medians = {key: rounded(np.median(rate) / 1e9) for key, rate in rates.items()}
        figures[f"ceiling_{top}"] = figure(what, rates["step"] / rates[top], gigaflop_per_second=medians)
    return figures


def half_precision():
    """Whether this processor multiplies bfloat16 itself: name of the instructions, or None."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return None
    return next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), None)


def beside_torch_in_half_precision(rounds=7):
    """``beside_torch`` in bfloat16, where the processor has instructions for it."""
    if half_precision():
        return beside_torch(VGG16._replace(precision="mixed_bfloat16"), rounds)
    reason = "this processor has neither AMX nor AVX512-BF16"
    return {"torch_bfloat16": {"what": "our faces a second over those of a PyTorch loop, bfloat16", "not_measured": reason}}


def small_network(size=48, count=64, rounds=7, widths=(0.5, 1.0)):
    """``compact``, the network of most records, in each width and precision: beside PyTorch, and what normalising after each
    convolution costs over doing so once a block."""
    figures = {}
    precisions = ["float32", *(["mixed_bfloat16"] if half_precision() else [])]
    for precision, width in itertools.product(precisions, widths):
        cases = {}
        for kind in NORMALISATIONS:
            options = {"width_multiplier": width, "normalisation": kind}
            cases[f"_compact_{kind}_{width:g}_{precision}"] = Case("compact", size, count, precision, options)
        times, losses = in_turn(cases, rounds)
        for name, case in cases.items():
            figures |= loop_figures(name, case, times, losses)
        (block, case), (each, _) = cases.items()
        for way in (way for way in ("", " in PyTorch") if block + way in times):
            what = f"a step that normalises after each convolution over one that does after each block{way}: {case}, {precision}"
            figures[f"normalisation_{width:g}_{precision}{way.replace(' ', '_')}"] = ratio(what, times, each + way, block + way)
        keras.backend.clear_session()
    return figures
