"""Steps timed in turn, here and in other processes. Standard library and NumPy only: the PyTorch loop imports it too."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REST = 0.2
"""Seconds after a step in another process: its threads spin for a while before they sleep, and would slow down what is next."""


def clocked(step):
    """A step as ``interleaved`` takes it: calling it returns its seconds."""

    def run():
        began = time.perf_counter()
        step()
        return time.perf_counter() - began

    return run


def interleaved(steps, rounds, warm=2):
    """Time steps in turn, A B A B, so that whatever else the machine does falls on all of them.

    :param steps: ``{name: callable}`` that return seconds, see ``clocked`` and ``Remote``.
    :param rounds: times that each is timed.
    :param warm: rounds before, not counted.
    :return: ``{name: (rounds,) float64 array}`` of seconds.
    """
    times = {name: [] for name in steps}
    for _ in range(warm + rounds):
        for name, step in steps.items():
            times[name].append(step())
    return {name: np.array(taken[warm:]) for name, taken in times.items()}


def rounded(value):
    """A number with four digits."""
    return float(f"{value:.4g}")


def spread(values):
    """``{"median", "low", "high"}`` of numbers, four digits."""
    values = np.asarray(values, float)
    return {"median": rounded(np.median(values)), "low": rounded(values.min()), "high": rounded(values.max())}


def figure(what, values, at_most=None, at_least=None, **facts):
    """A line of the record: what was measured, its spread, its target and whether it was met by the median.

    :param what: in words.
    :param values: one number a round, or a single one.
    :param facts: what else to keep.
    """
    line = {"what": what, **spread(np.atleast_1d(values))}
    if at_most is not None:
        line |= {"target": f"at most {at_most:g}", "met": line["median"] <= at_most}
    if at_least is not None:
        line |= {"target": f"at least {at_least:g}", "met": line["median"] >= at_least}
    return line | facts


def ratio(what, times, over, under, **target):
    """``figure`` of one step's time over another's, round by round; ``times`` are from ``interleaved``."""
    seconds = {name: spread(times[name])["median"] for name in (over, under)}
    return figure(what, times[over] / times[under], **target, seconds=seconds)


def in_own_process(function, *arguments):
    """What a function returns in a process of its own, where memory starts small."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak():
    """Most memory in MiB that this process has held (Linux). Not ``ru_maxrss``, which starts with that of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Remote:
    """A step in another process, which calls ``serve``; calling this times it there.

    The process starts at once and imports what it needs; its step is made, and ``facts`` are what it says of it, with ``begin``
    or where ``with`` begins: so a card is not shared while another step is compiled.

    :param number: of steps that are timed together.
    """

    def __init__(self, command, number=1):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        told = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}  # nothing said by the libraries
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(list(map(str, command)), cwd=ROOT, env=told, **pipes)
        self.number = number

    def _ask(self, number):
        try:
            print(number, file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args)} ended with {self.process.wait()} and no answer: see its messages")
        return json.loads(line)

    def __call__(self):
        times = self._ask(self.number)
        time.sleep(REST)
        return times

    def begin(self):
        self.facts = self._ask(0)
        return self

    def end(self, *_):
        self.process.communicate()

    __enter__, __exit__ = begin, end


def serve(prepare):
    """The other side of ``Remote``.

    :param prepare: returns a function that makes so many steps, and the facts.
    """
    if not sys.stdin.readline():
        return
    steps, facts = prepare()
    print(json.dumps(facts), flush=True)
    for line in sys.stdin:
        print(json.dumps(clocked(lambda number=int(line): steps(number))()), flush=True)
