"""The study's trainings under their public names; they live in :mod:`palcore.runs`."""

from palcore.runs.faces import load_faces, training_faces
from palcore.runs.options import Options, check_options, options_of
from palcore.runs.training import balanced_weights, build, run_folder, train

__all__ = ["Options", "balanced_weights", "build", "check_options", "load_faces", "options_of", "run_folder"]
__all__ += ["train", "training_faces"]
