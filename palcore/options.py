"""The options of a run under their public name; they live in :mod:`palcore.runs.options`."""

from palcore.runs.options import Options, check_options

__all__ = ["Options", "check_options"]
