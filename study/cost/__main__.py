"""Measure what the study costs, into results/benchmark: `make bench`, or `python -m study.cost`.

python -m study.cost                  on this processor: cost.json
python -m study.cost SECTION ...      some of its sections, printed only
python -m study.cost gpu              on a card, of TensorFlow's or JAX's (`KERAS_BACKEND=jax`): gpu/card.json
"""

import argparse
import os
import time

import keras

from palcore.files import write_json
from palcore.runs.records import commit, device, repository_root, versions
from study.cost import card, inputs, steps

SECTIONS = {
    "heatmaps": inputs.heatmaps,
    "input": inputs.batches,
    "threads": inputs.threads,
    "fed": inputs.fed_by_files,
    "step": steps.pal_over_plain,
    "loops": steps.beside_torch,
    "loops_bfloat16": steps.beside_torch_in_half_precision,
    "compact": steps.small_network,
    "memory": steps.peak_memory,
}
"""Each measure, which returns ``{name: timing.figure}``."""


def line(name, one):
    """A figure as one line: its value and spread, its target, and whether that was met."""
    if "not_measured" in one:
        return f"{name:18} not measured: {one['not_measured']}"
    verdict = f"{one['target']}: {'met' if one['met'] else 'MISSED'}" if "target" in one else "no target"
    return f"{name:18} {one['median']:g} ({one['low']:g} to {one['high']:g}), {verdict}. {one['what']}"


def measure(sections, keep):
    """Figures of some sections, printed as they come in.

    :param keep: called with all figures so far after each section: a run that is broken off leaves what it has.
    """
    figures = {}
    for section in sections.values():
        latest = section()
        for name, one in latest.items():
            print(line(name, one), flush=True)
        figures |= latest
        keep(figures)
        keras.backend.clear_session()
    return figures


def record(figures, seconds, load, code):
    """What the chapter reads.

    :param load: programs that wanted the processor in the minute before the measurement began.
    :param code: the commit, from before this record was written over an earlier one.
    """
    return {
        "figures": figures,
        "half_precision": steps.half_precision(),
        "load_before": round(load, 1),
        "seconds": round(seconds),
        "device": device(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "commit": code,
    }


def measure_card(path, seconds):
    """The record of a card, written after each case."""

    def keep(record):
        write_json(path, record)
        name, one = list(record["cases"].items())[-1]
        print(f"{record['seconds']:4} s  {name}: {one.get('not_measured') or one['time_over_plain']}", flush=True)

    card.prepare_card()
    return card.measure(card.CASES, keep, seconds)


def main(words=None):
    parser = argparse.ArgumentParser(
        "python -m study.cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"gpu, or only these, no record: {', '.join(SECTIONS)}")
    parser.add_argument("--seconds", type=float, default=360, metavar="S", help="of gpu: no case begins that would not end by then")
    given = parser.parse_args(words)
    folder = repository_root() / "results" / "benchmark"
    if given.sections == ["gpu"]:
        path = folder / "gpu" / "card.json"
        try:
            late = measure_card(path, given.seconds)["not_reached"]
        except ValueError as problem:
            parser.error(str(problem))
        print(f"wrote {path}; not reached: {'; '.join(late) or 'none'}")
        return
    unknown = [name for name in given.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]!r}: choose from gpu alone, {', '.join(SECTIONS)}")
    load, started, code = os.getloadavg()[0], time.perf_counter(), commit()
    chosen = {name: SECTIONS[name] for name in given.sections or SECTIONS}

    def keep(figures):
        if not given.sections:
            write_json(folder / "cost.json", record(figures, time.perf_counter() - started, load, code))

    figures = measure(chosen, keep)
    if not given.sections:
        missed = [name for name, one in figures.items() if one.get("met") is False]
        print(f"wrote results/benchmark/cost.json; missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
