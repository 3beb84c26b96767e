"""Privileged Attribution Loss: heatmaps, attributions, the loss, and the study built on them.

Importing this package imports neither TensorFlow nor JAX; its modules use whichever backend Keras is set to.
"""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("palcore")
except PackageNotFoundError:  # run from a folder that nobody installed
    __version__ = "0"

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The seven expressions; label ``i`` means ``EMOTIONS[i]`` for every data set (RAF-DB's 1..7 minus one)."""

Tensor = Any
"""In signatures: a tensor of Keras's backend, or the array of NumPy's that it can be made of."""


def choose(value: Any, choices: Iterable[str], what: str) -> None:
    """A ``ValueError`` for a value that is none of some choices, which it lists after ``what``, such as ``unknown loss 'x'``."""
    if value not in choices:
        raise ValueError(f"{what}: choose from {', '.join(choices)}")
