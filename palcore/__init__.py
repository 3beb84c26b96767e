"""Privileged Attribution Loss: heatmaps, attributions, the loss, and the study built on them.

Importing this package imports neither TensorFlow nor JAX; its modules use whichever backend Keras is set to.
"""

__version__ = "0.1.0"

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""The seven expressions; label ``i`` means ``EMOTIONS[i]`` for every data set (RAF-DB's 1..7 minus one)."""
