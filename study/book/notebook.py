"""What the study's notebooks need from the notebook's own side: papermill's parameters."""

import ast

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
