"""Small runs of ``distribute``, one folder each: python distribution_case.py FOLDER VALUE ...

Two virtual devices are those that JAX makes by XLA_FLAGS; TensorFlow makes them here.
"""

import sys
from pathlib import Path

import keras
import numpy as np

from palcore.data import load
from palcore.runs import faces, records, training
from palcore.runs.options import check_options


def load_faces(options, split, index_dir=None, **changes):
    return load("synthetic", None, split, image_size=32, count=70, **{"shortcut": options.shortcut, "seed": 3, **changes})


def evaluate(options, classifier, watched, tests):
    """The accuracy alone: how runs are tested is tested elsewhere."""
    called = classifier.predict(tests["test"].images[:], verbose=0).argmax(axis=-1)
    return {"test": {"accuracy": float(np.mean(called == tests["test"].labels))}}, {}


if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        [processor] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    faces.load_faces, training.evaluate_conditions = load_faces, evaluate
    records.model_card = lambda *arguments: "of a test that measures little"
    folder, *values = sys.argv[1:]
    for value in values:
        small = {"width_multiplier": 0.125, "units": 16, "dropout": 0.0, "epochs": 2, "batch_size": 14, "learning_rate": 1e-4}
        training.train(check_options(out_dir=str(Path(folder) / value), distribute=value, **small), verbose=0)
