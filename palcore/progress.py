"""How a long piece of work says how far it is: a bar where somebody watches, few lines where it is a log."""

import os
import sys
from typing import TextIO

from tqdm import tqdm

LOGGED = 30  # seconds between two states of a bar in a log


def attended(stream: TextIO) -> bool:
    """Whether somebody looks on: a terminal, or a notebook that JupyterLab has opened; not papermill's, nor a file."""
    return stream.isatty() or "JPY_SESSION_NAME" in os.environ  # which Jupyter's server gives to the kernels of its notebooks


def progress_bar(*arguments, **options) -> tqdm:
    """``tqdm.tqdm`` with these arguments, whose state is written all the time, or twice a minute in a log."""
    return tqdm(*arguments, mininterval=0.1 if attended(sys.stderr) else LOGGED, **options)
