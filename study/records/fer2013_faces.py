"""What the result pages need to know of FER2013's faces: which are copies or have guessed landmarks, and both kinds' label counts.

`python -m study.records.fer2013_faces DIR`, where DIR holds FER2013, FER+ and landmarks.csv.gz, writes
results/check/fer2013_faces.json.
Rows are counted from 0 in the order in which runs test the faces.
"""

import hashlib
import sys
from pathlib import Path

from palcore.data import load
from palcore.data.fer2013 import SIDE
from palcore.files import write_json
from palcore.runs.records import commit
from study.landmarks import read_landmark_table


def guessed_rows(faces, detected):
    """Rows of the faces whose landmarks the detector guessed.

    :param faces: `palcore.data.table.Faces`.
    :param detected: `{file: whether a face was found in it}`.
    """
    return [row for row, file in enumerate(faces.files) if not detected[file]]


def doubtful_rows(train, test, detected):
    """`{"faces": n, "copies": rows, "guessed": rows}` of the test faces: those whose picture is a training face's, and guesses."""
    digests = [[hashlib.sha256(image.tobytes()).digest() for image in faces.images] for faces in (train, test)]
    trained = set(digests[0])
    copies = [row for row, digest in enumerate(digests[1]) if digest in trained]
    return {"faces": len(test), "copies": copies, "guessed": guessed_rows(test, detected)}


def main(folder):
    files, detected, _ = read_landmark_table(Path(folder) / "landmarks.csv.gz", (SIDE, SIDE))
    detected = dict(zip(files, detected, strict=True))
    train, validation, test = (load("fer2013", folder, split) for split in ("train", "validation", "test"))
    facts = doubtful_rows(train, test, detected)
    facts["validation"] = {"faces": len(validation), "guessed": guessed_rows(validation, detected)}
    facts["training"] = {"own": train.counts(), "ferplus": load("fer2013", folder, "train", labels="ferplus").counts()}
    target = Path(__file__).resolve().parents[2] / "results" / "check" / "fer2013_faces.json"
    write_json(target, {"dataset": "fer2013", "split": "test", "commit": commit(), **facts})
    print({name: value if isinstance(value, int) else len(value) for name, value in facts.items()})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give FER2013's folder: python -m study.records.fer2013_faces DIR")
    main(sys.argv[1])
