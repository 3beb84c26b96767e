"""Measure what the study costs and write ``results/benchmark/cost.json``: ``make bench``, or ``python -m study.cost``."""

import argparse
import os
import time
from inspect import signature

import keras

from palcore.runs.records import commit, device, repository_root, versions, write_json
from study.cost import gpu, inputs, steps, timing

SECTIONS = {
    "heatmaps": inputs.heatmaps,
    "input": inputs.batches,
    "epoch": inputs.epoch_memory,
    "step": steps.pal_over_plain,
    "loops": steps.by_hand,
    "loops_bfloat16": steps.loops_in_half_precision,
    "jax": steps.backends,
    "memory": steps.peak_memory,
}
"""Each measure, which returns ``{name: timing.figure}``."""

NO_GPU = "no GPU was at hand: `python -m study.cost --gpu` on a machine that has one fills this section"


def line(name, found):
    """A figure as one line: its value and spread, its target, and whether that was met."""
    if "not_measured" in found:
        return f"{name:18} not measured: {found['not_measured']}"
    verdict = f"{found['target']}: {'met' if found['met'] else 'MISSED'}" if "target" in found else "no target"
    processor = f"processor {found['processor']['median']:g}, " if "processor" in found else ""
    return f"{name:18} {found['median']:g} ({found['low']:g} to {found['high']:g}), {processor}{verdict}. {found['what']}"


def measure(sections, rounds=None, keep=None):
    """Figures of some sections, printed as they come in.

    :param rounds: times that each step is timed; None for each section's own choice.
    :param keep: called with all figures so far after each section: a run that is broken off leaves what it has.
    """
    figures = {}
    for section in sections.values():
        fewer = rounds and "rounds" in signature(section).parameters
        found = section(rounds=rounds) if fewer else section()
        for name, one in found.items():
            print(line(name, one), flush=True)
        figures |= found
        if keep:
            keep(figures)
        keras.backend.clear_session()
    return figures


def record(figures, seconds, load, on_gpu=None):
    """What the chapter reads.

    :param load: programs that wanted the processor in the minute before the measurement began.
    :param on_gpu: figures of ``study.cost.gpu``, or None.
    """
    return {
        "figures": figures,
        "gpu": on_gpu or {"not_measured": NO_GPU},
        "half_precision": steps.half_precision(),
        "load_before": round(load, 1),
        "seconds": round(seconds),
        "device": device(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "commit": commit(),
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m study.cost", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"only these, no record: {', '.join(SECTIONS)}")
    parser.add_argument("--gpu", action="store_true", help="measure on a GPU too, and write that into the record")
    parser.add_argument("--rounds", type=int, metavar="N", help="times that each step is timed, where the default takes too long")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    load, started = os.getloadavg()[0], time.perf_counter()
    chosen = {name: SECTIONS[name] for name in arguments.sections or SECTIONS}
    path = repository_root() / "results" / "benchmark" / "cost.json"

    def keep(figures, on_gpu=None):
        if not arguments.sections:
            write_json(path, record(figures, time.perf_counter() - started, load, on_gpu))

    figures = measure(chosen, arguments.rounds, keep)
    if arguments.gpu:
        keep(figures, measure({"gpu": gpu.gpu}, arguments.rounds))
    if arguments.sections:
        return
    missed = [name for name, found in figures.items() if found.get("met") is False]
    print(f"wrote {path.relative_to(timing.ROOT)}; missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
