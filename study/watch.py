"""Run a command, and give it up only when nothing moves. No clock says how long it may take: machines differ, and are shared."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

PATIENCE = 900
"""Seconds without any movement after which something is given up. A machine that wakes from sleep has not waited meanwhile."""

POLL = 5.0
"""Seconds between two looks."""

IDLE = 0.01
"""Processor seconds a second below which a process does nothing: papermill and a kernel that sleeps use 0.0007, both together."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, seconds, processor seconds of all its processes, and whether it was given up."""

    code: int
    seconds: float
    processor_seconds: float
    stuck: bool


def tree(pid):
    """A process and all below it, as a list."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def processor_seconds(processes):
    """What processes have used so far, with those below them that have ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


class Stillness:
    """How long a process and all below it have done nothing: `look` every `poll` seconds, then read `seconds`.

    Looks are counted and not time, so that a machine that sleeps, or a process that is suspended with its watcher, is not still.

    :param files: paths; one that grows, or is written anew, is movement.
    """

    def __init__(self, pid, files=(), poll=POLL):
        self.pid, self.files, self.poll = pid, files, poll
        self.seconds = 0.0
        self.processes, self.used, self.written = [], 0.0, None
        self.look()

    def look(self):
        self.processes = tree(self.pid) or self.processes
        used, written = processor_seconds(self.processes), [self._state(path) for path in self.files]
        # A process that ends unseen takes its time along: less is movement too.
        moved = abs(used - self.used) >= IDLE * self.poll or written != self.written
        self.seconds = 0.0 if moved else self.seconds + self.poll
        self.used, self.written = used, written
        return self.seconds

    @staticmethod
    def _state(path):
        with contextlib.suppress(OSError):
            found = os.stat(path)
            return found.st_size, found.st_mtime_ns
        return None


def stop(process, known=()):
    """Kill a started process and all below it, at once and whatever they do, and wait for its end.

    :param known: processes that were below it before; a kernel whose parent has died is below nothing.
    """
    with contextlib.suppress(psutil.Error):
        psutil.Process(process.pid).suspend()  # it must not start another meanwhile
    for other in {*tree(process.pid), *known}:
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
    code, stillness = None, None
    try:
        stillness = Stillness(process.pid, files, poll)
        while code is None and stillness.seconds < patience:
            try:
                code = process.wait(poll)
            except subprocess.TimeoutExpired:
                stillness.look()
    finally:
        stop(process, stillness.processes if stillness else ())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(process.returncode, time.monotonic() - start, used, code is None)


def end_on_signals():
    """Let SIGTERM, and a terminal that closes, end this process as Ctrl-C does: what is in a `finally` is done first."""

    def end(number, frame):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
