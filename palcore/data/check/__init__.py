"""Everything that is wrong with a data set, at once: `python -m palcore check`."""

from collections import namedtuple
from importlib import import_module
from itertools import combinations

import joblib
import numpy as np

from palcore import EMOTIONS
from palcore.data import DATASETS, list_faces
from palcore.data.check import faults
from palcore.data.check.report import Report
from palcore.data.listing import Problem
from palcore.data.probe import SUFFIXES
from palcore.data.table import SPLITS, class_counts
from palcore.progress import progress_bar

THREADS = 4

_Pictures = namedtuple("_Pictures", ["digests", "hashes", "thumbs"])
"""What is kept of a split's images: digests, None where there is none; hashes and thumbs of ``faults.picture_hash``, or 0."""


def _look(part, row):
    """Digest, hash and whether it is of one colour, of an image; where it cannot be read, the sentence."""
    item = part.items[row]
    path = part.path(item)
    try:
        image = part.read(item)
        if path.lower().endswith(SUFFIXES) and faults.is_cut(path):
            return f"{path} is cut short, though its end was repaired: replace the file, or remove its row"
    except (FileNotFoundError, ValueError) as problem:
        return str(problem)
    return faults.picture_digest(image), *faults.picture_hash(image), bool(image.min() == image.max())


def _images(part, what):
    """``_Pictures`` of a split, and the problems that reading them shows."""
    told = {problem.file for problem in part.problems if problem.kind in ("image missing", "image unreadable", "face box")}
    rows = [row for row, file in enumerate(part.files) if file not in told]
    digests, problems = [None] * len(part), []
    hashes, thumbs = np.zeros((len(part), 2), np.uint64), np.zeros((len(part), faults.THUMB, faults.THUMB), np.uint8)
    # Threads, since decoding is OpenCV's work and not Python's.
    pool = joblib.Parallel(THREADS, prefer="threads", return_as="generator", batch_size=128)
    results = pool(joblib.delayed(_look)(part, row) for row in rows)
    results = progress_bar(results, total=len(rows), desc=what, disable=what is None, unit="face")
    for row, result in zip(rows, results, strict=True):
        file = str(part.files[row])
        if isinstance(result, str):
            problems.append(Problem("image unreadable", file, result))
            continue
        digests[row], hashes[row], thumbs[row], blank = result
        if blank:
            hashes[row] = 0
            problems.append(Problem("image blank", file, f"image {file} has one colour all over: there is no face to see", False))
    return _Pictures(digests, hashes, thumbs), problems


def _near_copies(parts, pictures):
    """How many faces of a later split are nearly those of an earlier one, and a note for each, by split."""
    counts, notes, told = {}, {}, set()
    for earlier, later in combinations(parts, 2):
        own, other = pictures[later], pictures[earlier]
        same = set(other.digests)
        pairs = faults.near_copies(own.hashes, own.thumbs, other.hashes, other.thumbs)
        pairs = {row: pair for row, pair in pairs.items() if own.digests[row] not in same}
        counts[f"{earlier}/{later}"] = len(pairs)
        for row, (place, mirrored) in pairs.items():
            if (later, row) not in told:
                told.add((later, row))
                how = "the mirror image of" if mirrored else "nearly the picture of"
                sentence = f"{parts[later].files[row]} of {later} is {how} {parts[earlier].files[place]} of {earlier}"
                notes.setdefault(later, []).append(Problem("near copy", str(parts[later].files[row]), sentence, False))
    return counts, notes


def _landmarks(part, hashes, owners):
    """The problems of a split's landmarks, each face's first one only, and what all faces share only once."""
    names = set(part.files)
    shared = {problem.kind for problem in part.problems if problem.file not in names}
    told = {problem.file for problem in part.problems if problem.kind == "face box" or problem.kind.startswith("landmarks")}
    seen = faults.shape_problems(part.files, part.landmarks)
    seen += faults.borrowed_landmarks(part.files, part.landmarks, hashes, owners)
    return [problem for problem in seen if problem.file not in told and problem.kind not in shared]


def _copy_problems(copies, tolerated):
    """A ``Problem`` for each face whose picture stands in an earlier split: notes for validation faces, or where ``tolerated``.

    A test face that was trained on counts as recognised; a validation face chooses no more than when to stop.
    """
    problems = {}
    for row in copies.itertuples():
        sentence = f"{row.file} of {row.split} is the same picture as {row.first_file} of {row.first_split}"
        if row.label != row.first_label and min(row.label, row.first_label) >= 0:
            sentence += f", but labelled {EMOTIONS[row.label]}, not {EMOTIONS[row.first_label]}"
        fatal = row.split == "test" and not tolerated
        problems.setdefault(row.split, []).append(Problem("copy", row.file, sentence, fatal))
    return problems


def _count_problems(name, counts, published):
    """Classes without a face, which no run can learn or be judged by; notes where the counts are not the owner's."""
    problems = {}
    for split, there in counts.items():
        found = [
            Problem("counts", split, f"{name} {split} has no face of {emotion}: every split needs all seven expressions")
            for emotion, count in there.items()
            if not count
        ]
        wanted = published.get(split, there)
        differing = [
            f"{emotion} {there[emotion]} for {wanted[emotion]}" for emotion in EMOTIONS if there[emotion] != wanted[emotion]
        ]
        if differing:
            sentence = f"{name} {split} has other counts than published: {', '.join(differing)}"
            found.append(Problem("counts", split, sentence, False))
        problems[split] = found
    return problems


def check(name, data_dir, landmarks=None, progress=False, **options):
    """Look at every face of a data set and say all that is wrong.

    :param landmarks: where its landmarks are, as for ``palcore.data.load``.
    :param options: others of the data set that say how a folder is read.
    :return: ``Report``.
    :raises ValueError: as ``palcore.data.list_faces``.
    :raises FileNotFoundError: likewise.
    """
    parts, pictures, problems, owners, labels = {}, {}, {}, {}, {}
    for split in SPLITS:
        part = list_faces(name, data_dir, split, landmarks=landmarks, **options)
        module = import_module(DATASETS[name])
        pictures[split], seen = _images(part, f"{name} {split}" if progress else None)
        problems[split] = part.problems + seen + _landmarks(part, pictures[split].hashes, owners)
        parts[split] = part
        if hasattr(module, "other_labels"):
            labels[split], seen = module.other_labels(data_dir, part)
            problems[split] = problems[split] + seen
    published = module.PUBLISHED
    published = {split: {emotion: counts[emotion] for emotion in EMOTIONS} for split, counts in published.items()}
    counts = {split: class_counts(part.labels) for split, part in parts.items()}
    owned = dict(counts)
    if published and "validation" not in published:  # cut from train by this study
        owned["train"] = {emotion: counts["train"][emotion] + counts["validation"][emotion] for emotion in EMOTIONS}
        del owned["validation"]
    copies, repeated = faults.find_copies(
        {split: (part.files, part.labels, pictures[split].digests) for split, part in parts.items()}
    )
    near, near_notes = _near_copies(parts, pictures)
    known = getattr(module, "KNOWN_COPIES", {})
    shipped = bool(known) and owned == published and all(repeated.get(pair, 0) <= count for pair, count in known.items())
    if shipped and any(repeated[pair] for pair in known):
        count = int((copies["split"] == "test").sum())
        sentence = f"{name} comes from its owner with {count:,} test faces that stand in another split"
        problems["test"] = [*problems["test"], Problem("copy", "test", f"{sentence}: results on its splits include them", False)]
    for more in (_copy_problems(copies, shipped), near_notes, _count_problems(name, owned, published)):
        for split, found in more.items():
            problems[split] = problems[split] + found
    return Report(
        name,
        {split: len(part) for split, part in parts.items()},
        owned,
        published,
        {split: part.dropped for split, part in parts.items()},
        repeated,
        near,
        {split: facts for split, facts in labels.items() if facts},
        problems,
    )
