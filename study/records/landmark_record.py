"""Compare the landmark detector with a table that others have made for FER2013, and sum that table up.

Needs the extra `landmarks`. `python -m study.records.landmark_record DIR`, where DIR holds FER2013 and landmarks.csv.gz,
writes results/landmarks/fer2013.json.
"""

import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from palcore.data import load
from palcore.data.fer2013 import SIDE
from palcore.data.readers import SPLITS
from palcore.files import write_json
from palcore.runs.records import commit
from study.landmarks import LICENCE, detector_versions, dlib_detector, read_landmark_table

FACES, SEED = 500, 0
LEVELS = (5, 25, 50, 75, 95)


def quantiles(distances):
    """Five quantiles in fractions of the image's side, ``{percentage: value}``."""
    return {str(level): round(float(value), 5) for level, value in zip(LEVELS, np.percentile(distances, LEVELS), strict=True)}


def agreement(image, detected, landmarks, detect):
    """Distances between the table's landmarks and the detector's in some faces drawn at random, by who found a face."""
    rows = np.sort(np.random.default_rng(SEED).choice(len(detected), FACES, replace=False))
    seen, points = zip(*(detect(image(row)) for row in tqdm(rows, unit="face")), strict=True)
    seen, there = np.array(seen), detected[rows]
    distances = np.linalg.norm(np.stack(points) - landmarks[rows], axis=2)  # (faces, 68)
    both, neither = seen & there, ~seen & ~there
    return {
        "faces": len(rows),
        "seed": SEED,
        "found_by_both": int(both.sum()),
        "found_by_table_only": int((there & ~seen).sum()),
        "found_by_detector_only": int((seen & ~there).sum()),
        "found_by_neither": int(neither.sum()),
        "distance_of_landmarks": quantiles(distances[both]),
        "distance_of_faces": quantiles(distances[both].mean(axis=1)),
        "distance_of_faces_found_by_neither": quantiles(distances[neither].mean(axis=1)),
    }


def shape(detected, landmarks):
    """Mean and covariance of each of the 68 landmarks over the faces that were found, and how many lie outside."""
    faces = landmarks[detected].astype(float)
    away = faces - faces.mean(axis=0)
    covariance = np.einsum("nli,nlj->lij", away, away) / len(faces)
    return {
        "faces": len(landmarks),
        "found": int(detected.sum()),
        "coordinates_outside": round(float(((landmarks < 0) | (landmarks > 1)).mean()), 5),
        "mean": np.round(faces.mean(axis=0), 5).tolist(),
        "covariance": [[round(float(value), 7) for value in (c[0, 0], c[0, 1], c[1, 1])] for c in covariance],
    }


def main(folder):
    files, detected, landmarks = read_landmark_table(Path(folder) / "landmarks.csv.gz", (SIDE, SIDE))
    parts = [load("fer2013", folder, split, landmarks=False) for split in SPLITS]
    places = {str(name): (part, row) for part in parts for row, name in enumerate(part.files)}

    def image(row):
        part, place = places[files[row]]
        return part.images[place]

    record = {
        "dataset": "fer2013",
        "commit": commit(),
        "versions": detector_versions(),
        "licence": LICENCE,
        "agreement": agreement(image, detected, landmarks, dlib_detector()),
        "shape": shape(detected, landmarks),
    }
    write_json(Path(__file__).resolve().parents[2] / "results" / "landmarks" / "fer2013.json", record)
    print(record["agreement"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give FER2013's folder: python -m study.records.landmark_record DIR")
    main(sys.argv[1])
