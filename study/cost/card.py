"""The step on a card of either backend, through ``fit``: ``python -m study.cost gpu`` writes ``results/benchmark/gpu/card.json``.

A network takes the card's compiler 20 s, so cases come in order of importance until the time is spent; the record names those that
were not reached.
"""

import gc
import itertools
import os
import tempfile
import time
from contextlib import ExitStack

import keras

from palcore.files import one_line
from palcore.runs.records import commit, device, versions
from study.cost.flop import ceilings, step_flop
from study.cost.inputs import fed
from study.cost.models import Case, OneBatch, epoch_of, model_and_batch
from study.cost.steps import NO_TORCH, torch_beside, torch_python
from study.cost.timing import clocked, interleaved, rounded, spread

EARLIER = {"vgg16": "block4_conv3", "resnet50": "conv4_block6_out", "compact": "block3_conv2"}
"""One map before the last one."""

CASES = [
    Case(backbone, size, count, precision)
    for count, size, precision, backbone in itertools.product(
        (64, 256), (224, 112), ("mixed_bfloat16", "float32"), ("vgg16", "resnet50")
    )
]
"""The most important ones first: 224 px in batches of 64, both networks in both precisions."""

FULL = {"side": 8192, "count": 256, "number": 10}
"""Sizes of the ceilings that fill a card."""


def prepare_card():
    """Let other processes have some of the card's memory; before the backend touches it.

    :raises ValueError: where the backend sees no card.
    """
    os.environ |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if all(name.startswith("cpu") for name in keras.distribution.list_devices()):
        remedy = "install the extra cuda, or JAX with its plugin and set KERAS_BACKEND=jax"
        raise ValueError(f"{keras.backend.backend()} sees no card here: {remedy}")


def _programs():
    """JAX's compiled programs, ``{fingerprint: bytes while it runs}``: what goes in, what comes out and is not written over it, and
    what lies between."""
    import jax

    held = {}
    for program in jax.devices()[0].client.live_executables():
        sizes = program.get_compiled_memory_stats()
        kept = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
        held[program.fingerprint] = kept + sizes.temp_size_in_bytes
    return held


def gigabytes_of(run):
    """GB of the card that a step needs, from its first run: the largest program that JAX compiles for it, or TensorFlow's most
    memory less what was there before, the weights among it. None where the backend does not tell."""
    if keras.backend.backend() == "jax":
        before = _programs()
        run()
        return max((held for program, held in _programs().items() if program not in before), default=0) / 1e9 or None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        run()
        return None
    tf.config.experimental.reset_memory_stats("GPU:0")
    before = tf.config.experimental.get_memory_info("GPU:0")["current"]
    run()
    return (tf.config.experimental.get_memory_info("GPU:0")["peak"] - before) / 1e9


def measured(case, rates, rounds, faces, python):
    """One case: the plain step, PAL's at the last map and one earlier, and PyTorch's, in turn.

    :param rates: ``{"matrix", "convolution"}``, FLOP a second of the card's ceiling in bfloat16.
    :param faces: that each trains on between two looks at the clock.
    :param python: that has PyTorch, or None.
    """
    number, steps, models, gigabytes, first = max(2, faces // case.count), {}, {}, {}, {}
    with ExitStack() as stack:
        remote = torch_beside(case, python, stack.enter_context(tempfile.TemporaryDirectory()), number) if python else None
        if remote:
            stack.callback(remote.end)
        for name, pal, layer in (("plain", False, None), ("PAL", True, None), ("PAL earlier", True, EARLIER[case.backbone])):
            model, batch = model_and_batch(case, pal, layer)
            epoch, began = epoch_of(model, OneBatch(batch, number)), time.perf_counter()
            gigabytes[name] = gigabytes_of(epoch)
            first[name], steps[name], models[name] = round(time.perf_counter() - began, 1), clocked(epoch), model
        if remote:
            steps["PyTorch"] = remote.begin()
        times = interleaved(steps, rounds, warm=1)
    flop = number * case.count * step_flop(models["plain"], models["PAL"])
    return {
        "time_over_plain": {name: spread(times[name] / times["plain"]) for name in ("PAL", "PAL earlier")},
        "faces_per_second": {name: spread(number * case.count / seconds) for name, seconds in times.items()},
        "gigabytes": {name: held and rounded(held) for name, held in gigabytes.items()},
        "share_of_ceiling": {top: spread(flop / times["PAL"] / rate) for top, rate in rates.items()},
        "first_epoch_seconds": first,
        "earlier": EARLIER[case.backbone],
        "pytorch": remote.facts if remote else NO_TORCH,
    }


def attempted(measure, *arguments):
    """What a measure returns, or why there is none: the card's memory may not hold one case, but the next one."""
    try:
        return measure(*arguments)
    except Exception as problem:
        return {"not_measured": one_line(problem)}


def ceiling_rates(rounds, precision="bfloat16", **sizes):
    """``{name: FLOP a second}`` of the card at its best: see ``flop.ceilings``."""
    tops = ceilings(precision, **sizes)
    times = interleaved({name: clocked(step) for name, (step, _) in tops.items()}, rounds)
    return {name: flop / times[name].min() for name, (_, flop) in tops.items()}


def measure(cases, keep, budget=360.0, rounds=4, faces=2560, sizes=FULL):
    """The cases in their order, until the time is spent: after the first, what is begun would end in time, were it as long as the
    longest so far.

    :param keep: called with the record after each case.
    :param budget: seconds.
    :param rounds, faces: see ``measured``.
    :param sizes: of ``flop.ceilings``.
    """
    began, longest, python = time.monotonic(), 0.0, torch_python()
    rates = ceiling_rates(rounds, **sizes)
    record = {
        "what": "steps through fit on one fixed batch, in turn, in one call",
        "device": device(),
        "backend": keras.backend.backend(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "commit": commit(),
        "ceiling_teraflop_per_second": {name: rounded(rate / 1e12) for name, rate in rates.items()},
        "cases": {},
    }
    for number, case in enumerate(cases):
        started = time.monotonic()
        name = f"{case}, {case.precision}"
        if number and started - began + longest > budget:
            break
        record["cases"][name] = attempted(measured, case, rates, rounds, faces, python)
        if number == 0:
            record["fed"] = attempted(fed, case, faces, rounds)
        keras.backend.clear_session()
        gc.collect()
        longest = max(longest, time.monotonic() - started)
        record["not_reached"] = [f"{late}, {late.precision}" for late in cases[number + 1 :]]
        record["seconds"] = round(time.monotonic() - began)
        keep(record)
    return record
