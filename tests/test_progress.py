"""A bar moves where somebody watches, and says little in a log."""

import io
import sys
import time

from palcore.progress import attended, progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_and_jupyterlab_are_attended_and_a_log_is_not(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert attended(Terminal()) and not attended(io.StringIO())
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/train.ipynb")
    assert attended(io.StringIO())


def test_a_log_gets_the_first_and_the_last_state_of_a_bar(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    states = {}
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in progress_bar(range(40), desc="faces"):
            time.sleep(0.01)
        states[stream.isatty()] = [part for part in stream.getvalue().split("\r") if part.strip()]
    assert len(states[False]) == 2 and "100%" in states[False][-1]
    assert len(states[True]) > 2
