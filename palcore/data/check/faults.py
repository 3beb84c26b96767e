"""What can be wrong with faces that read without an error: landmarks that are not theirs, and pictures that occur twice."""

import hashlib

import cv2
import numpy as np
import pandas as pd

from palcore.data.listing import Problem, upright

SPAN = (0.1, 3.0)
"""How large the box around a face's landmarks may be, in image sides. Those of FER2013 span 0.33 to 1.53."""

FEWEST, SAMPLE = 100, 500
"""Faces needed, and at most looked at, to tell whether the landmarks of a split follow its images."""

FOLLOWS = 0.3
"""Least effect size in ``edge_advantage``. On FER2013 it is 1.15 (0.88 once eyes and mouths are aligned), and -0.08 to 0.02 with
each face's landmarks given to the next."""

EDGE_SIDE = 48
"""Side in pixels of the images in which edges are looked for."""


def picture_digest(image):
    """Sixteen bytes that are the same for the same pixels, however the file stores them.

    :param image: ``(H, W, 3)`` uint8.
    """
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16, person=str(image.shape[:2]).encode()).digest()


def mirrored(landmarks):
    """Whether each face's landmarks are a mirror image of a face's, ``(N,)`` bool; False for NaN.

    Exchanging x and y mirrors a face; turning it does not. Seen from brows to chin, a face's own left eye lies to the left of
    its right one in its image, whichever way the head is turned.

    :param landmarks: ``(N, 68, 2)``, x to the right and y down.
    """
    eyes = landmarks[:, 42:48].mean(axis=1) - landmarks[:, 36:42].mean(axis=1)
    down = landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1)
    return eyes[:, 0] * down[:, 1] < eyes[:, 1] * down[:, 0]


def shape_problems(files, landmarks):
    """Faces whose own landmarks make no face in their image: mirrored, off the image, far too small or large.

    :param files: ``(N,)`` names.
    :param landmarks: ``(N, 68, 2)`` in fractions; faces without any are left out.
    :return: a list of ``palcore.data.listing.Problem``.
    """
    finite = np.isfinite(landmarks).all(axis=(1, 2))
    problems = []
    wrong = finite & mirrored(landmarks)
    exchanged = upright(landmarks[..., ::-1])
    for row in np.flatnonzero(wrong):
        reason = "x and y are exchanged" if exchanged[row] else "left and right, or up and down, are exchanged"
        sentence = f"landmarks of {files[row]} are those of a face in a mirror: {reason}"
        problems.append(Problem("landmarks swapped", str(files[row]), sentence))
    middle = np.median(landmarks, axis=1)
    span = np.ptp(landmarks, axis=1).max(axis=1)
    off = ((middle < 0) | (middle > 1)).any(axis=1)
    for row in np.flatnonzero(finite & (off | (span < SPAN[0]) | (span > SPAN[1]))):
        if off[row]:
            reason = f"most lie off the image, around ({middle[row, 0]:.2f}, {middle[row, 1]:.2f}) of its sides"
        else:
            reason = f"they span {span[row]:.2g} of the image's side"
        sentence = f"landmarks of {files[row]} do not lie on its face: {reason}; are they in pixels of another image?"
        problems.append(Problem("landmarks elsewhere", str(files[row]), sentence))
    return problems


def borrowed_landmarks(files, landmarks, digests, owners):
    """Faces with exactly the landmarks of another face whose picture differs.

    :param files: ``(N,)`` names.
    :param landmarks: ``(N, 68, 2)``.
    :param digests: ``(N,)`` ``picture_digest`` of each image; None for those that could not be read, which are left out.
    :param owners: a dictionary, empty at first, that is passed on from split to split: which face has which landmarks.
    :return: a list of ``palcore.data.listing.Problem``.
    """
    problems = []
    for file, points, digest in zip(files, landmarks, digests, strict=True):
        if digest is None or not np.isfinite(points).all():
            continue
        key = hashlib.blake2b(points.tobytes(), digest_size=16).digest()  # half a kilobyte a face would add up
        owner, picture = owners.setdefault(key, (file, digest))
        if picture != digest:
            sentence = f"landmarks of {file} are exactly those of {owner}, another picture: one of the two has the wrong ones"
            problems.append(Problem("landmarks elsewhere", str(file), sentence))
    return problems


def edge_advantage(images, landmarks):
    """How much stronger the edges under a face's landmarks are than under another face's: an effect size.

    Brows, eyes, nose and mouth have strong edges. Each image's edge strength is averaged under its own landmarks and under
    those of the face half the sample away; the mean of the differences is divided by their standard deviation.

    :param images: ``N`` of them, each ``(H, W, 3)`` uint8.
    :param landmarks: ``(N, 68, 2)`` in fractions.
    :return: about 1 for right landmarks, about 0 where they belong to other images.
    """
    others = np.roll(landmarks, -(len(landmarks) // 2), axis=0)
    differences = []
    for image, own, other in zip(images, landmarks, others, strict=True):
        shrinks = min(image.shape[:2]) >= EDGE_SIDE
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (EDGE_SIDE, EDGE_SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        grey = grey.astype(np.float32)
        edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        if edges.std() == 0:
            continue
        places = (np.concatenate([own, other]) * EDGE_SIDE - 0.5).astype(np.float32)
        under = cv2.remap(edges, places[:, :1], places[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        differences.append((under[:68].mean() - under[68:].mean()) / edges.std())
    spread = np.std(differences) if differences else 0
    return float(np.mean(differences) / spread) if spread else 0.0


def find_copies(pictures):
    """Pictures that occur in more than one split, or more than once in one.

    :param pictures: a table with columns ``split`` (``train``, ``validation``, ``test``, in that order), ``file``, ``label`` and
        ``digest``.
    :return: ``(copies, counts)``. ``copies`` has a row for each face whose picture stands in an earlier split too, with columns
        ``split``, ``file``, ``label``, and ``first_split``, ``first_file``, ``first_label`` of the first such face. ``counts`` says
        how many distinct pictures cross the splits (``crossing``), how many of those carry different labels
        (``crossing_with_other_label``), how many faces repeat an earlier one of their own split (``repeated_within``), and how
        many faces of a later split stand in an earlier one (``train/validation``, ``train/test``, ``validation/test``).
    """
    splits = list(dict.fromkeys(pictures["split"]))
    same = pictures.groupby("digest", sort=False)
    crossing = same["split"].nunique() > 1
    disagreeing = same["label"].nunique() > 1
    counts = {
        "crossing": int(crossing.sum()),
        "crossing_with_other_label": int((crossing & disagreeing).sum()),
        "repeated_within": int(pictures.duplicated(["split", "digest"]).sum()),
    }
    for later, split in enumerate(splits):
        for earlier in splits[:later]:
            there = pictures.loc[pictures["split"] == earlier, "digest"]
            counts[f"{earlier}/{split}"] = int(pictures.loc[pictures["split"] == split, "digest"].isin(there).sum())
    first = pictures.drop_duplicates("digest").set_index("digest")[["split", "file", "label"]].add_prefix("first_")
    joined = pictures.join(first, on="digest")
    copies = joined[joined["split"] != joined["first_split"]].drop(columns="digest").reset_index(drop=True)
    return copies, counts


def pictures_table(parts):
    """The table that ``find_copies`` takes, from ``{split: (files, labels, digests)}``; unreadable pictures are left out."""
    columns = ["split", "file", "label", "digest"]
    rows = [
        (split, str(file), int(label), digest)
        for split, (files, labels, digests) in parts.items()
        for file, label, digest in zip(files, labels, digests, strict=True)
        if digest is not None
    ]
    return pd.DataFrame(rows, columns=columns)
