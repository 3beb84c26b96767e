"""68 landmarks in a text file of their own for each face."""

from pathlib import Path

import numpy as np

from palcore.data.images import NO_PERMISSION
from palcore.data.listing import Problem
from palcore.data.probe import in_pieces

ORDERS = ("row_column", "x_y")
"""What the two numbers of a line are: the row and then the column, or the other way round."""


def _read(path):
    """``(None, the two columns (68, 2))``, or the kind of problem and its sentence."""
    if not Path(path).is_file():
        return "landmarks missing", f"no landmark file {path}: `python -m palcore landmarks` makes a table instead"
    try:
        text = Path(path).read_text("utf-8-sig")
    except PermissionError:
        return "landmarks unreadable", NO_PERMISSION.format(path)
    except (UnicodeDecodeError, OSError):
        return "landmarks unreadable", f"landmark file {path} is no text: it must have 68 lines of two numbers"
    lines = [words for line in text.splitlines() if (words := line.split())]
    if len(lines) != 68:
        return "landmarks not 68", f"landmark file {path} has {len(lines)} lines: it must have 68, of two numbers each"
    try:
        values = np.array(lines, np.float64).reshape(68, 2)
    except ValueError:
        return "landmarks unreadable", f"landmark file {path} has a line that is not two numbers: it must have 68 lines of two"
    if not np.isfinite(values).all():
        return "landmarks not finite", f"landmark file {path} has a number that is not finite: correct it"
    return None, values


def landmarks_from_files(files, paths, frame, order):
    """Landmarks of some faces, each from its own file.

    :param paths: their landmark files, in pixels, the first pixel's centre at (0, 0).
    :param frame: ``(width, height)`` of the images.
    :return: ``(landmarks, problems)``: ``(N, 68, 2)`` float32 in fractions, NaN where there are none, and a list of ``Problem``.
    """
    if order not in ORDERS:
        raise ValueError(f"landmark_order {order!r}: choose from {', '.join(ORDERS)}")
    landmarks, problems = np.full((len(files), 68, 2), np.nan, np.float32), []
    for row, (kind, values) in enumerate(in_pieces(_read, paths)):
        if kind:
            problems.append(Problem(kind, str(files[row]), values))
        else:
            points = values[:, ::-1] if order == "row_column" else values
            with np.errstate(over="ignore"):  # 1e300 becomes infinite, and is refused as that
                landmarks[row] = (points + 0.5) / frame
    return landmarks, problems
