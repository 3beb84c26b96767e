"""Measure what the study costs, into results/benchmark: `make bench`, or `python -m study.cost`.

python -m study.cost        on this processor: cost.json
python -m study.cost gpu    on a card, of TensorFlow's or JAX's (`KERAS_BACKEND=jax`): gpu/card.json
"""

import argparse
import os
import time

import keras

from palcore.files import write_json
from palcore.runs.records import commit, device, repository_root, versions
from study.cost import card, inputs, steps

MEASURES = (
    inputs.threads,
    inputs.fed_by_files,
    inputs.freed_memory,
    steps.pal_over_plain,
    steps.beside_torch,
    steps.beside_torch_in_half_precision,
    steps.small_network,
    steps.peak_memory,
)
"""Each returns ``{name: timing.figure}``."""


def line(name, one):
    """A figure as one line: its value and spread, its target, and whether that was met."""
    if "not_measured" in one:
        return f"{name:18} not measured: {one['not_measured']}"
    verdict = f"{one['target']}: {'met' if one['met'] else 'MISSED'}" if "target" in one else "no target"
    return f"{name:18} {one['median']:g} ({one['low']:g} to {one['high']:g}), {verdict}. {one['what']}"


def measure_processor(path):
    """Write the record that the chapter reads, after each measure: a run that is broken off leaves what it has."""
    started, figures = time.perf_counter(), {}
    # From before: programs that wanted the processor in the last minute, and the commit, since the record changes a file.
    around = {"load_before": round(os.getloadavg()[0], 1), "commit": commit(), "half_precision": steps.half_precision()}
    around |= {"device": device(), "cores": os.cpu_count(), "versions": versions()}
    for measure in MEASURES:
        latest = measure()
        print(*(line(name, one) for name, one in latest.items()), sep="\n", flush=True)
        figures |= latest
        write_json(path, {"figures": figures, "seconds": round(time.perf_counter() - started), **around})
        keras.backend.clear_session()
    missed = [name for name, one in figures.items() if one.get("met") is False]
    print(f"wrote {path}; missed: {', '.join(missed) or 'none'}")


def measure_card(path, seconds):
    """Write the record of a card, after each case."""

    def keep(record):
        write_json(path, record)
        name, one = list(record["cases"].items())[-1]
        print(f"{record['seconds']:4} s  {name}: {one.get('not_measured') or one['time_over_plain']}", flush=True)

    card.prepare_card()
    late = card.measure(card.CASES, keep, seconds)["not_reached"]
    print(f"wrote {path}; not reached: {'; '.join(late) or 'none'}")


def main(words=None):
    parser = argparse.ArgumentParser(
        "python -m study.cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("where", nargs="?", choices=["gpu"], help="a card; else this processor")
    parser.add_argument("--seconds", type=float, default=360, metavar="S", help="of gpu: no case begins that would not end by then")
    given, folder = parser.parse_args(words), repository_root() / "results" / "benchmark"
    if not given.where:
        return measure_processor(folder / "cost.json")
    try:
        measure_card(folder / "gpu" / "card.json", given.seconds)
    except ValueError as problem:
        parser.error(str(problem))


if __name__ == "__main__":
    main()
