"""Where the networks of the primary questions look, on the same test faces: results/maps/CELL.npz, for the result pages.

`python -m study.records.attribution_maps [fer2013=DIR ...]` takes every finished run in runs/grid that answers a primary
comparison and has no newer file. A file holds `maps (6, h, w)` of six test faces evenly over the split, without the images, which
are not ours to give; their `landmarks (6, 68, 2)`; and `mean (h, w)` over all test faces. Faces whose landmarks are guesses, or
that were trained on, are left out.
"""

import json
import sys
from pathlib import Path

import numpy as np

from study.cells import expand, read_grid

ROOT = Path(__file__).resolve().parents[2]
FACES, TOGETHER = 6, 256


def maps_of(run, data_dir=None, left_out=()):
    """`{"maps", "landmarks", "mean"}` of a run's attribution, as the module says.

    :param run: folder of a run with its classifier.
    :param left_out: rows of the test split.
    """
    from palcore.runs.evaluation import read_classifier, watched_model
    from palcore.runs.faces import tested_faces
    from palcore.runs.options import options_of
    from palcore.runs.records import read_record

    record = read_record(run)
    options = options_of({**record["config"], "robustness": False}, data_dir=data_dir)
    tests = tested_faces(options, record.get("window"))
    faces = tests.get("shortcut_free", tests["test"])
    known = np.isfinite(faces.landmarks).all(axis=(1, 2))
    known[list(left_out)] = False
    faces = faces.subset(np.flatnonzero(known))
    watched = watched_model(options, read_classifier(run, record))
    parts = [faces.images[start : start + TOGETHER] for start in range(0, len(faces), TOGETHER)]
    maps = np.concatenate([watched.predict_on_batch(images)["attribution"] for images in parts])
    # Each face counts alike in the mean: how large an attribution is says nothing of where it lies.
    scaled = maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-20)
    rows = np.linspace(0, len(faces) - 1, FACES).astype(int)
    kept = {"maps": scaled[rows], "landmarks": faces.landmarks[rows], "mean": scaled.mean(axis=0)}
    return {name: np.asarray(values, np.float16) for name, values in kept.items()}


def main(words):
    from palcore.runs.records import write_arrays

    folders = dict(word.split("=", 1) for word in words)
    grid = read_grid()
    primary = {entry["question"] for entry in grid["comparisons"].values()}
    doubtful = json.loads((ROOT / "results" / "check" / "fer2013_faces.json").read_text())
    for cell in expand(grid):
        run, dataset = ROOT / cell.folder, cell.options["dataset"]
        if not primary & set(cell.questions) or not (run / "record.json").exists():
            continue
        if dataset != "synthetic" and dataset not in folders:
            sys.exit(f"no folder for data set {dataset}, which {cell.name} is on: give it as {dataset}=DIR")
        target = ROOT / "results" / "maps" / f"{cell.name}.npz"
        if target.exists() and target.stat().st_mtime > (run / "record.json").stat().st_mtime:
            continue
        left_out = sorted({*doubtful["copies"], *doubtful["guessed"]}) if dataset == "fer2013" else []
        write_arrays(target, maps_of(run, folders.get(dataset), left_out))
        print(cell.name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
