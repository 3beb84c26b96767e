"""A command is given up when nothing moves and not when it is slow, and none of its processes outlives it or its caller."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from study import watch

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"patience": 1.0, "poll": 0.1}


def python(code):
    return [sys.executable, "-c", code]


def gone(pid):
    """Whether a process ends within ten seconds; one that nobody waits for counts as ended."""
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_command_that_does_nothing_is_given_up_with_all_that_it_started(tmp_path):
    code = "import subprocess, time\nchild = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
    code += "open('child', 'w').write(str(child.pid))\ntime.sleep(60)"
    outcome = watch.run(python(code), cwd=tmp_path, **QUICK)
    assert outcome.stuck and outcome.code != 0 and 1.0 <= outcome.seconds < 60
    assert gone(int((tmp_path / "child").read_text()))


BUSY = "while time.process_time() < 1.0: pass"
WORK = {
    "itself": BUSY,
    "in a child": f"subprocess.run([sys.executable, '-c', 'import time\\n{BUSY}'])",
    "writes": "for _ in range(10): time.sleep(0.3); open('log', 'a').write('.')",
}


@pytest.mark.parametrize("work", WORK)
def test_a_slow_command_is_left_alone_as_long_as_something_moves(work, tmp_path):
    code = f"import subprocess, sys, time\n{WORK[work]}\nsys.exit(7)"
    outcome = watch.run(python(code), [tmp_path / "log"], cwd=tmp_path, **QUICK)
    assert (outcome.code, outcome.stuck) == (7, False)
    assert work == "writes" or 1.0 <= outcome.processor_seconds < 3, "that of all processes"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_command_ends_with_its_caller(tmp_path, number):
    command = ["sh", "-c", "echo $$ > started; exec sleep 60"]
    code = f"from study import watch\nwatch.end_on_signals()\nwatch.run({command}, cwd={str(tmp_path)!r})"
    caller = subprocess.Popen(
        python(code),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        # Tests that run in the background of a script inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    started = tmp_path / "started"
    while not (started.exists() and started.read_text().strip()):
        assert caller.poll() is None
        time.sleep(0.05)
    caller.send_signal(number)
    assert caller.wait(20) != 0
    assert gone(int(started.read_text()))
