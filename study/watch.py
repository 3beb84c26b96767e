"""Run a command, and give it up only when nothing moves. No clock says how long it may take: machines differ, and are shared."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import psutil

PATIENCE = 900
"""Seconds without any movement after which something is given up. A machine that wakes from sleep has not waited meanwhile."""

POLL = 5.0
"""Seconds between two looks."""

IDLE = 0.01
"""Processor seconds a second below which a process does nothing: papermill and a kernel that sleeps use 0.0007, both together."""


class Outcome(NamedTuple):
    """How a command ended: its exit code, seconds, processor seconds of all its processes, and whether it was given up."""

    code: int
    seconds: float
    processor_seconds: float
    stuck: bool


def _tree(pid):
    """A process and all below it, as a list."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _state(processes, files):
    """What moves: processor seconds so far, with those of ended children, and size and time of each file that is there."""
    seconds, states = 0.0, []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            seconds += sum(process.cpu_times()[:4])
    for path in files:
        with contextlib.suppress(OSError):
            states.append((path, os.stat(path).st_size, os.stat(path).st_mtime_ns))
    return seconds, states


def _stop(process, known):
    """Kill a started process and all below it, at once and whatever they do, and wait for its end.

    :param known: processes that were below it before; a kernel whose parent has died is below nothing.
    """
    with contextlib.suppress(psutil.Error):
        psutil.Process(process.pid).suspend()  # it must not start another meanwhile
    for other in {*_tree(process.pid), *known}:
        with contextlib.suppress(psutil.Error):
            if other.pid != process.pid:
                other.kill()
    process.kill()
    process.wait()


def _die_with_parent():
    """In a new process, on Linux: be killed when the parent is, by whatever signal, and do not go on unwatched."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run(words, files=(), patience=PATIENCE, poll=POLL, **options):
    """Run a command to its end, or until nothing has moved for `patience` seconds. It never outlives its caller.

    Movement is processor time of any of its processes, or a change of one of `files`. The command has a session of its own: Ctrl-C
    reaches the caller alone, who then kills all of the command's processes. Call it in the main thread.

    :param options: of `subprocess.Popen`.
    """
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(words, start_new_session=True, preexec_fn=_die_with_parent, **options)
    code, processes, still, (used, states) = None, [], 0.0, _state((), files)
    try:
        # Looks are counted and not time, so that a machine that sleeps, or that suspends both processes, is not still.
        while code is None and still < patience:
            try:
                code = process.wait(poll)
            except subprocess.TimeoutExpired:
                processes = _tree(process.pid) or processes
                earlier, (used, states) = (used, states), _state(processes, files)
                # A process that ends unseen takes its time along: less is movement too.
                moved = abs(used - earlier[0]) >= IDLE * poll or states != earlier[1]
                still = 0.0 if moved else still + poll
    finally:
        _stop(process, processes)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(process.returncode, time.monotonic() - start, used, code is None)


def end_on_signals():
    """Let SIGTERM, and a terminal that closes, end this process as Ctrl-C does: what is in a `finally` is done first."""

    def end(number, frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
