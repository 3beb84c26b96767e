"""Small runs of ``distribute``, one folder each: python distribution_case.py FOLDER VALUE ...

Two virtual devices are those that JAX makes by XLA_FLAGS; TensorFlow makes them here. ``DIE`` has the process kill itself where the
second epoch ends, ``before`` or ``after`` its state is kept, or in the ``test``, once the
second process has ended; with ``POISON`` the third batch of the second epoch has a weight that is no number.
"""

import os
import signal
import sys
import time
from pathlib import Path

import keras
import numpy as np

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.runs import faces, records, training
from palcore.runs.options import check_options


def load_faces(options, split, index_dir=None, **changes):
    return load("synthetic", None, split, image_size=32, count=70, **{"shortcut": options.shortcut, "seed": 3, **changes})


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Poisoned(FaceBatches):
    def __getitem__(self, index):
        images, targets, *weights = super().__getitem__(index)
        if self.shuffle and (self.epoch, index) == (1, 2):
            weights[0]["expression"][-1] = np.nan
        return images, targets, *weights


class Killed(training.Progress):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and os.environ["DIE"] == "before":
            die()
        super().on_epoch_end(epoch, logs)
        if epoch == 1 and os.environ["DIE"] == "after":
            die()


def evaluate(options, classifier, watched, tests):
    """The accuracy alone: how runs are tested is tested elsewhere."""
    if os.environ.get("DIE") == "test":
        while not (Path(options.out_dir) / "process-1" / "record.json").exists():
            time.sleep(0.1)
        die()
    called = classifier.predict(tests["test"].images[:], verbose=0).argmax(axis=-1)
    return {"test": {"accuracy": float(np.mean(called == tests["test"].labels))}}, {}


if __name__ == "__main__":
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        [processor] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    faces.load_faces, training.evaluate_conditions = load_faces, evaluate
    records.model_card = lambda *arguments: "of a test that measures little"
    if "DIE" in os.environ:
        training.Progress = Killed
    if "POISON" in os.environ:
        training.FaceBatches = Poisoned
    folder, *values = sys.argv[1:]
    for value in values:
        small = {"width_multiplier": 0.125, "units": 16, "dropout": 0.0, "epochs": 2, "batch_size": 14, "learning_rate": 1e-4}
        if "POISON" in os.environ:
            small["class_weight"] = "balanced"
        training.train(check_options(out_dir=str(Path(folder) / value), distribute=value, **small), verbose=0)
