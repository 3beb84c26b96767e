"""JAX alone is enough: a run where TensorFlow cannot be imported."""

import os
import subprocess
import sys


def test_palcore_imports_trains_and_predicts_without_tensorflow(tmp_path):
    """TensorFlow is made impossible to import; a PAL run on JAX goes through, and its classifier predicts."""
    script = """
import sys
class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError("TensorFlow is not here")
sys.meta_path.insert(0, NoTensorFlow())
import palcore, palcore.training as training, palcore.runs.faces as run_faces
import palcore.runs.records as records, palcore.runs.prediction as predict, palcore.runs.reliance as reliance
from palcore.data import load
import cv2
small = {"image_size": 32, "units": 16, "width_multiplier": 0.125, "batch_size": 35}
options = training.check_options(strategy="mean", epochs=1, out_dir="run", **small)
few = lambda options, split, index_dir=None, **changes: load("synthetic", None, split, image_size=32, count=70, **changes)
run_faces.load_faces, reliance.SAMPLE, reliance.STEPS = few, 35, 1
record = records.read_record(training.train(options, verbose=0))
assert record["backend"] == "jax" and "attribution_loss" in record["history"]
cv2.imwrite("face.png", load("synthetic", split="test", count=1).images[0])
[seen] = predict.predict(["face.png"], [predict.network_of("run")])
assert abs(sum(seen.answers["run"].probabilities.values()) - 1) < 1e-6
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "KERAS_BACKEND": "jax"}, check=True)
