"""Compare the backbone `face_resnet` with dlib itself on real faces: results/check/face_resnet.json.

`python -m study.records.face_resnet_record DIR`, where DIR holds FER2013, with the extra `landmarks` installed.
"""

import sys
from pathlib import Path

import dlib
import keras
import numpy as np

from palcore.data import load
from palcore.face_resnet import LEVELS, WEIGHTS, face_resnet, load_face_resnet
from palcore.runs.records import commit, write_json
from palcore.weights import SCALINGS, packaged_file

FACES, SIDE = 200, 150

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give FER2013's folder: python -m study.records.face_resnet_record DIR")
    faces = load("fer2013", sys.argv[1], "test", image_size=SIDE)
    rows = np.linspace(0, len(faces) - 1, FACES).astype(int)
    pictures = np.stack([faces.images[row] for row in rows])
    image = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(image, face_resnet(SCALINGS["dlib"](image), len(LEVELS)))
    matrix = load_face_resnet(model, "dlib")
    ours = model.predict(pictures, verbose=0).mean(axis=(1, 2)) @ matrix
    network = dlib.face_recognition_model_v1(str(packaged_file("face_recognition_models", WEIGHTS)))
    theirs = np.stack([np.array(network.compute_face_descriptor(picture)) for picture in pictures])
    found = {
        "what": "descriptors of 128 numbers, ours less dlib's, on test faces of FER2013",
        "faces": FACES,
        "largest_difference": float(np.abs(ours - theirs).max()),
        "mean_size": float(np.abs(theirs).mean()),
        "dlib": dlib.__version__,
        "commit": commit(),
    }
    write_json(Path(__file__).resolve().parents[2] / "results" / "check" / "face_resnet.json", found)
    print(found)
