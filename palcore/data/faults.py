"""What is wrong with a whole data set once every picture is read: pictures that occur twice, counts, labels in another order."""

import hashlib
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from palcore import EMOTIONS
from palcore.data.images import resize
from palcore.data.readers import SPLITS, Problem, Reader
from palcore.data.table import class_counts

SIDE = 48  # in pixels, of the grey picture that is kept of each face
THUMB = 16  # and of the one in which near copies are compared
NEAR, ALIKE = 8, 0.98
"""Pictures are nearly the same where their perceptual hashes of 64 bits differ in so many at most, and the small grey ones
correlate so well at least: the hash is quick, but two faces cut out alike may share it."""

ANOTHER_ORDER = (0.12, 3)
"""Labels are in another order where the shares of the expressions are at least so far from the owner's (total variation), and in
the best other order at most a third of that. RAF-DB's are 0.18 away by the alphabet."""

LEAST_AGREEMENT, FEWEST = 0.4, 100
"""Share of faces on which second labels and the owner's must agree, and faces from which on that is asked. It is 0.72 on FER2013;
labels that belong to other rows agree by chance, in about a fifth."""


class Look(NamedTuple):
    """What is kept of a picture: a ``digest`` of its pixels, two ``hashes`` (0 for one colour), ``grey (SIDE, SIDE)`` uint8."""

    digest: bytes
    hashes: np.ndarray
    grey: np.ndarray


NOTHING = Look(b"", np.zeros(2, np.uint64), np.zeros((SIDE, SIDE), np.uint8))  # of a picture that could not be read


def look_at(image: np.ndarray) -> Look:
    """What a picture is recognised by: to the last pixel, however its file stores them; and saved again, resized or mirrored.

    The hashes are perceptual (Zauner, 2010), of the picture and its mirror image, which changes the sign of every second frequency.

    :param image: ``(H, W, 3)`` or ``(H, W)`` uint8.
    """
    digest = hashlib.blake2b(np.ascontiguousarray(image), digest_size=16, person=str(image.shape[:2]).encode()).digest()
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = resize(grey, SIDE)
    if image.min() == image.max():
        return Look(digest, NOTHING.hashes, small)
    low = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
    both = np.stack([low, low * (-1.0) ** np.arange(8)])
    bits = both > np.median(both, axis=(1, 2), keepdims=True)
    return Look(digest, np.packbits(bits.reshape(2, 64), axis=1).view(np.uint64)[:, 0], small)


def find_copies(splits: np.ndarray, labels: np.ndarray, digests: list[bytes]) -> tuple[dict[int, int], dict[str, int]]:
    """Pictures that occur in more than one split, or more than once in one.

    :param splits: ``(N,)`` of ``SPLITS``; ``labels``: ``(N,)``; ``digests``: of ``N`` pictures, empty for one that was not read.
    :return: ``({row: first row}, counts)``: each face whose picture stands in an earlier split too, and the first such face; how
        many distinct pictures are ``crossing`` the splits, ``crossing_with_other_label``, how many faces ``repeated_within`` their
        own split, and how many of a later split stand in an earlier one (``train/test``).
    """
    order = np.array([SPLITS.index(split) for split in splits], int)
    pictures = pd.DataFrame({"order": order, "label": labels, "digest": digests, "row": np.arange(len(splits))})
    pictures = pictures[pictures["digest"] != b""].sort_values("order", kind="stable")
    same = pictures.groupby("digest", sort=False)
    crossing = same["order"].nunique() > 1
    counts = {
        "crossing": int(crossing.sum()),
        "crossing_with_other_label": int((crossing & (same["label"].nunique() > 1)).sum()),
        "repeated_within": int(pictures.duplicated(["order", "digest"]).sum()),
    }
    for earlier, later in combinations(range(len(SPLITS)), 2):
        there, here = (pictures.loc[pictures["order"] == place, "digest"] for place in (earlier, later))
        counts[f"{SPLITS[earlier]}/{SPLITS[later]}"] = int(here.isin(there).sum())
    later = pictures["order"] > same["order"].transform("first")
    return dict(zip(pictures["row"][later].tolist(), same["row"].transform("first")[later].tolist(), strict=True)), counts


def near_copies(hashes: np.ndarray, grey: np.ndarray, rows: np.ndarray, earlier: np.ndarray) -> dict[int, tuple[int, bool]]:
    """Which of some pictures are nearly earlier ones, mirrored ones too.

    :param hashes: ``(N, 2)``, and ``grey`` ``(N, SIDE, SIDE)``, of all, as ``Look``.
    :param rows: of the pictures; ``earlier``: of those that they are compared with.
    :return: ``{row: (earlier row, whether it is mirrored)}``.
    """
    pairs, earlier = {}, earlier[hashes[earlier, 0] > 0]
    for row in rows[hashes[rows, 0] > 0].tolist():
        distance = np.bitwise_count(hashes[row][:, None] ^ hashes[earlier, 0])
        for mirrored, place in np.argwhere(distance <= NEAR):
            two = np.stack([grey[row][:, ::-1] if mirrored else grey[row], grey[earlier[place]]])
            small = np.stack([cv2.resize(face, (THUMB, THUMB), interpolation=cv2.INTER_AREA).ravel() for face in two]).astype(float)
            if small.std(axis=1).min() > 0 and np.corrcoef(small)[0, 1] >= ALIKE:
                pairs[row] = int(earlier[place]), bool(mirrored)
                break
    return pairs


def _copy_problems(reader: Reader, arrays: dict, copies: dict[int, int], shipped: bool) -> list[Problem]:
    """One for each face whose picture stands in an earlier split: notes for validation faces, or where the owner ``shipped`` it."""
    problems, files, splits, labels = [], arrays["files"], arrays["splits"], arrays["labels"]
    for row, first in copies.items():
        sentence = f"{files[row]} of {splits[row]} is the same picture as {files[first]} of {splits[first]}"
        if labels[row] != labels[first] and min(labels[row], labels[first]) >= 0:
            sentence += f", but labelled {EMOTIONS[labels[row]]}, not {EMOTIONS[labels[first]]}"
        level = "bias" if splits[row] == "test" and not shipped else "note"
        problems.append(Problem("copy", sentence, level, row, str(splits[row])))
    if shipped and (count := sum(problem.split == "test" for problem in problems)):
        sentence = f"{reader.NAME} comes from its owner with {count:,} test faces that stand in another split"
        problems.insert(0, Problem("copy", f"{sentence}: results on its splits include them", "note", split="test"))
    return problems


def _near_problems(arrays: dict, copies: dict[int, int]) -> tuple[list[Problem], dict[str, int]]:
    """A note for each face that is nearly one of an earlier split and no copy, and how many there are."""
    problems, counts, files, splits = {}, {}, arrays["files"], arrays["splits"]
    for earlier, later in combinations(SPLITS, 2):
        pairs = near_copies(arrays["hashes"], arrays["grey"], *(np.flatnonzero(splits == split) for split in (later, earlier)))
        pairs = {row: pair for row, pair in pairs.items() if row not in copies or splits[copies[row]] != earlier}
        counts[f"{earlier}/{later}"] = len(pairs)
        for row, (other, mirrored) in pairs.items():
            how = "the mirror image of" if mirrored else "nearly the picture of"
            sentence = f"{files[row]} of {later} is {how} {files[other]} of {earlier}"
            problems.setdefault(row, Problem("near copy", sentence, "note", row, later))
    return list(problems.values()), counts


def order_fault(counts: dict[str, int], published: dict[str, int]) -> str | None:
    """Where the counts of a part fit the owner's far better in another order of the labels: which, as a clause; or None."""
    there, owners = (np.array([part[emotion] for emotion in EMOTIONS], float) for part in (counts, published))
    if not there.sum() or not owners.sum():
        return None
    distances = np.abs(there[:, None] / there.sum() - owners / owners.sum()) / 2
    here, best = linear_sum_assignment(distances)
    if np.trace(distances) < max(ANOTHER_ORDER[0], ANOTHER_ORDER[1] * distances[here, best].sum()):
        return None
    swaps = [f"{EMOTIONS[a]} may be {EMOTIONS[b]}" for a, b in zip(here, best, strict=True) if a != b]
    return f"the shares of the expressions fit the owner's far better in another order of the labels: {', '.join(swaps)}"


def _count_problems(reader: Reader, counts: dict[str, dict]) -> list[Problem]:
    """Classes without a face, which no run can learn or be judged by; counts that are not the owner's, or in another order."""
    problems = []
    for split, there in counts.items():
        if not any(there.values()):
            continue  # why the whole split lacks is told where it was looked for
        for emotion in [emotion for emotion, count in there.items() if not count]:
            sentence = f"{reader.NAME} {split} has no face of {emotion}: every split needs all seven expressions"
            problems.append(Problem("counts", sentence, "bias", split=split))
        wanted = reader.PUBLISHED.get(split, there)
        differing = [f"{name} {there[name]} for {wanted[name]}" for name in EMOTIONS if there[name] != wanted[name]]
        if differing:
            sentence = f"{reader.NAME} {split} has other counts than published: {', '.join(differing)}"
            problems.append(Problem("counts", sentence, "note", split=split))
        if clause := order_fault(there, wanted):
            sentence = f"{reader.NAME} {split}: {clause}; compare the numbers of the labels with data/README.md"
            problems.append(Problem("label order", sentence, "bias", split=split))
    return problems


def _second_labels(arrays: dict) -> tuple[dict, list[Problem]]:
    """How far the labels of other annotators agree with the owner's, by split, and notes where they are of other rows."""
    facts, problems = {}, []
    for split in SPLITS:
        names, labels = (arrays[column][arrays["splits"] == split] for column in ("second", "labels"))
        if not (names != "").any():
            continue
        there = np.isin(names, EMOTIONS)
        both = there & (labels >= 0)
        agree = float((names[both] == np.array(EMOTIONS)[labels[both]]).mean()) if both.any() else 1.0
        counts = {emotion: int((names == emotion).sum()) for emotion in EMOTIONS}
        dropped = dict(zip(*(column.tolist() for column in np.unique(names[~there], return_counts=True)), strict=True))
        facts[split] = {"ferplus": {"faces": int(there.sum()), "counts": counts, "agreement": round(agree, 4), "dropped": dropped}}
        if both.sum() >= FEWEST and agree < LEAST_AGREEMENT:
            seen = f"second labels agree with the owner's in {agree:.0%} of {both.sum():,} faces of {split}"
            sentence = f"{seen}: the rows are in another order in one of the two files, take them as they were published"
            problems.append(Problem("second labels", sentence, "note", split=split))
    return facts, problems


def _size_problems(reader: Reader, arrays: dict) -> list[Problem]:
    """Pictures that have another size than most, where they should have one: their landmarks would be misplaced."""
    sizes = arrays["boxes"][:, 2:].astype(int)
    read = sizes[:, 0] > 0
    if not reader.ONE_SIZE or not read.any():
        return []
    values, counts = np.unique(sizes[read], axis=0, return_counts=True)
    usual, problems = values[np.argmax(counts)], []
    for row in np.flatnonzero(read & (sizes != usual).any(axis=1)).tolist():
        has = f"image {arrays['files'][row]} of {reader.NAME} has {sizes[row, 0]}x{sizes[row, 1]} pixels"
        sentence = f"{has}: the others have {usual[0]}x{usual[1]}"
        problems.append(Problem("image size", sentence, row=row, split=str(arrays["splits"][row])))
    return problems


def whole_problems(reader: Reader, arrays: dict, digests: list[bytes]) -> tuple[list[Problem], dict]:
    """All that is wrong with the faces together, landmarks aside, and what the check counts.

    :param arrays: see ``palcore.data.pictures.import_pictures``; ``digests``: of ``Look``, of each face.
    """
    splits, labels = arrays["splits"], arrays["labels"]
    owned = {split: class_counts(labels[splits == split]) for split in SPLITS}
    if reader.VALIDATION_SHARE:  # cut from train by this study
        owned["train"] = class_counts(labels[splits != "test"])
        del owned["validation"]
    copies, repeated = find_copies(splits, labels, digests)
    known = reader.KNOWN_COPIES
    shipped = bool(known) and owned == reader.PUBLISHED and all(repeated[pair] <= count for pair, count in known.items())
    near, near_counts = _near_problems(arrays, copies)
    second, other_rows = _second_labels(arrays)
    problems = _size_problems(reader, arrays) + _count_problems(reader, owned)
    problems += [*_copy_problems(reader, arrays, copies, shipped), *near, *other_rows]
    facts = {"counts": owned, "published": reader.PUBLISHED, "copies": repeated, "near_copies": near_counts, "labels": second}
    return problems, facts
