"""What the study's notebooks need from the notebook's own side: papermill's parameters."""

import ast
import os
import sys

INJECTED = "# Parameters"
"""First line of the cell that papermill adds below the cell of parameters."""


def _assigned(cell):
    """Names that a cell's source assigns at its top level, in their order."""
    return [
        target.id
        for statement in ast.parse(cell).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]


def refuse_unknown_parameters(cells):
    """Fail where papermill was given a parameter that the notebook does not have.

    Papermill itself only logs a warning, and a misspelled name would run the defaults to the end.

    :param cells: sources of the cells that ran, as IPython keeps them in ``In``: the cell of parameters and, where papermill
        was given any, the cell that it added directly after it.
    :raises ValueError: naming the parameter, and those that there are.
    """
    for before, cell in zip(cells, cells[1:], strict=False):
        if not cell.startswith(INJECTED):
            continue
        known = _assigned(before)
        unknown = [name for name in _assigned(cell) if name not in known]
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]} of this notebook: choose from {', '.join(known)}")


def begin(cells):
    """What a notebook does first: refuse unknown parameters, and keep the log lines of compiled libraries out of its outputs.

    ipykernel copies whatever reaches the process's error stream below the running cell, TensorFlow's lines about processors and
    missing GPUs among it, which no setting silences altogether. From here on they go where Jupyter itself writes its log. What
    Python writes to ``sys.stderr`` is still shown.

    :param cells: see ``refuse_unknown_parameters``.
    """
    refuse_unknown_parameters(cells)
    log = getattr(sys.stderr, "_original_stdstream_copy", None)
    if log is not None:
        os.dup2(log, 2)
