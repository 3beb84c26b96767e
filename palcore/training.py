"""The study's trainings under their public name; they live in :mod:`palcore.runs.training`."""

from palcore.runs.training import *  # noqa: F403
from palcore.runs.training import __all__  # noqa: F401
