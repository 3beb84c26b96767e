"""Steps timed in turn, here and in other processes. Standard library and NumPy only: the PyTorch loop imports it too."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REST = 0.2
"""Seconds after a step in another process: its threads spin for a while before they sleep, and would slow down what is next."""


def clocked(step):
    """A step as ``interleaved`` takes it: calling it returns ``(wall, processor)`` seconds, all threads of this process."""

    def run():
        wall, processor = time.perf_counter(), time.process_time()
        step()
        return time.perf_counter() - wall, time.process_time() - processor

    return run


def interleaved(steps, rounds, warm=2):
    """Time steps in turn, A B A B, so that whatever else the machine does falls on all of them.

    :param steps: ``{name: callable}`` that return ``(wall, processor)`` seconds, see ``clocked`` and ``Remote``.
    :param rounds: times that each is timed.
    :param warm: rounds before, not counted.
    :return: ``{name: (rounds, 2) float64 array}`` of wall and processor seconds.
    """
    times = {name: [] for name in steps}
    for _ in range(warm + rounds):
        for name, step in steps.items():
            times[name].append(step())
    return {name: np.array(found[warm:]) for name, found in times.items()}


def spread(values):
    """``{"median", "low", "high"}`` of numbers, four digits."""
    values = np.asarray(values, float)
    found = {"median": np.median(values), "low": values.min(), "high": values.max()}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def figure(what, wall, processor=None, at_most=None, at_least=None, **facts):
    """A line of the record: what was measured, its spread, its target and whether it was met by the median.

    :param what: in words.
    :param wall: one number a round, from wall time; or a single number.
    :param processor: the same from processor time, None where there is none.
    :param facts: what else to keep.
    """
    found = {"what": what, **spread(np.atleast_1d(wall))}
    if processor is not None:
        found["processor"] = spread(np.atleast_1d(processor))
    if at_most is not None:
        found |= {"target": f"at most {at_most:g}", "met": found["median"] <= at_most}
    if at_least is not None:
        found |= {"target": f"at least {at_least:g}", "met": found["median"] >= at_least}
    return found | facts


def ratio(what, times, over, under, scale=1.0, **target):
    """``figure`` of one step's time over another's, round by round.

    :param times: from ``interleaved``.
    :param scale: what the ratio is multiplied by: where the steps treat different numbers of faces.
    """
    wall, processor = (scale * times[over] / times[under]).T
    seconds = {name: spread(times[name][:, 0])["median"] for name in (over, under)}
    return figure(what, wall, processor, **target, seconds=seconds)


def environment(**extra):
    """Environment of a process of ours: this study first on the path, nothing said by the libraries."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}


def answer(module, *arguments, **extra):
    """What ``python -m module`` prints last, as JSON: a measure in a process of its own, where memory starts small."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment(**extra), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def peak():
    """Most memory in MiB that this process has held (Linux). Not ``ru_maxrss``, which starts with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Remote:
    """A step in another process, which calls ``serve``: ``facts`` is what it said first; calling this times one step there."""

    def __init__(self, command, **extra):
        self.process = subprocess.Popen(
            list(map(str, command)), cwd=ROOT, env=environment(**extra), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts = self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args)} ended with {self.process.wait()} and no answer: see its messages")
        return json.loads(line)

    def __call__(self):
        print("step", file=self.process.stdin, flush=True)
        times = self._read()
        time.sleep(REST)
        return times

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def serve(step, facts):
    """Say ``facts`` on standard output, then time one ``step`` for each line that comes in, until there are no more."""
    print(json.dumps(facts), flush=True)
    for _ in sys.stdin:
        print(json.dumps(clocked(step)()), flush=True)
