"""List the test faces of FER2013 that the result pages also leave out: copies of training faces, and guessed landmarks.

`python workflow/fer2013_faces.py DIR`, where DIR holds FER2013 and landmarks.csv.gz, writes results/check/fer2013_faces.json.
Rows are counted from 0 in the order in which runs test the faces.
"""

import hashlib
import sys
from pathlib import Path

from palcore.data import load
from palcore.data.fer2013 import SIDE
from palcore.data.landmark_table import read_landmark_table
from palcore.runs.records import commit, write_json


def doubtful_rows(train, test, found):
    """`{"faces": n, "copies": rows, "guessed": rows}` of the test faces.

    :param train: `palcore.data.table.Faces`.
    :param test: likewise.
    :param found: `{file: whether a face was found in it}`.
    """

    def digests(faces):
        return [hashlib.sha256(image.tobytes()).digest() for image in faces.images]

    known = set(digests(train))
    copies = [row for row, digest in enumerate(digests(test)) if digest in known]
    guessed = [row for row, file in enumerate(test.files) if not found[file]]
    return {"faces": len(test), "copies": copies, "guessed": guessed}


def main(folder):
    files, found, _ = read_landmark_table(Path(folder) / "landmarks.csv.gz", (SIDE, SIDE))
    rows = doubtful_rows(load("fer2013", folder, "train"), load("fer2013", folder, "test"), dict(zip(files, found, strict=True)))
    target = Path(__file__).resolve().parent.parent / "results" / "check" / "fer2013_faces.json"
    write_json(target, {"dataset": "fer2013", "split": "test", "commit": commit(), **rows})
    print({name: value if isinstance(value, int) else len(value) for name, value in rows.items()})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give FER2013's folder: python workflow/fer2013_faces.py DIR")
    main(sys.argv[1])
