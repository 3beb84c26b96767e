"""What can be wrong with faces that read without an error: landmarks that are not theirs, and pictures that occur twice."""

import hashlib
from itertools import combinations
from pathlib import Path

import cv2
import imagehash
import numpy as np
import pandas as pd
import simplejpeg
from PIL import Image

from palcore.data.landmark_fit import upright
from palcore.data.listing import Problem

SPAN = (0.1, 3.0)
"""How large the box around a face's landmarks may be, in image sides. Those of FER2013 span 0.33 to 1.53."""

THUMB = 16
"""Side in pixels of the grey picture that is kept of each face."""

NEAR, ALIKE = 8, 0.98
"""Pictures are nearly the same where their perceptual hashes of 64 bits differ in so many at most, and the small grey ones
correlate so well at least: the hash is quick, but two faces cut out alike may share it."""


def picture_digest(image):
    """Sixteen bytes that are the same for the same pixels, however the file stores them.

    :param image: ``(H, W, 3)`` uint8.
    """
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16, person=str(image.shape[:2]).encode()).digest()


def picture_hash(image):
    """What a picture is recognised by when it was saved again, resized a little or mirrored.

    :param image: ``(H, W, 3)`` uint8.
    :return: ``(hashes, thumb)``: ``(2,)`` uint64, perceptual hashes (Zauner, 2010) of the picture and its mirror image; and
        ``(THUMB, THUMB)`` uint8.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    bits = [imagehash.phash(Image.fromarray(picture)).hash for picture in (grey, grey[:, ::-1])]
    hashes = np.packbits(np.reshape(bits, (2, 64)), axis=1).view(np.uint64)[:, 0]
    return hashes, cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)


def is_cut(path):
    """Whether an image file lacks some of its data although its end is there, as where a cut file was repaired.

    What lacks is shown as a plain area, and no decoder says so unless it is asked.
    """
    content = Path(path).read_bytes()
    try:
        if simplejpeg.is_jpeg(content):
            simplejpeg.decode_jpeg(content, strict=True)
        else:
            Image.open(path).load()
    except ValueError as problem:
        return "premature end" in str(problem)  # other complaints, such as of bytes too many, cost no pixel
    except (OSError, SyntaxError):
        return True
    return False


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

    :param landmarks: ``(N, 68, 2)`` in fractions; faces without any are left out.
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


def borrowed_landmarks(files, landmarks, hashes, owners):
    """Faces with exactly the landmarks of another face whose picture differs.

    :param files: ``(N,)`` names.
    :param hashes: ``(N, 2)`` as ``picture_hash``; 0 for those that could not be read, which are left out. Pictures that are nearly
        the same may share landmarks.
    :param owners: a dictionary, empty at first, that is passed on from split to split: which face has which landmarks.
    :return: a list of ``palcore.data.listing.Problem``.
    """
    problems = []
    for file, points, (picture, _) in zip(files, landmarks, hashes, strict=True):
        if not picture or not np.isfinite(points).all():
            continue
        key = hashlib.blake2b(points.tobytes(), digest_size=16).digest()  # half a kilobyte a face would add up
        owner, theirs = owners.setdefault(key, (file, picture))
        if int(picture ^ theirs).bit_count() > NEAR:
            sentence = f"landmarks of {file} are exactly those of {owner}, another picture: one of the two has the wrong ones"
            problems.append(Problem("landmarks elsewhere", str(file), sentence))
    return problems


def near_copies(hashes, thumbs, earlier_hashes, earlier_thumbs):
    """Pictures that are nearly those of an earlier split, mirrored ones too.

    :param hashes: ``(N, 2)``, and ``thumbs`` ``(N, THUMB, THUMB)``, as ``picture_hash``; 0 for pictures that are left out.
    :return: ``{row: (earlier row, whether it is mirrored)}``.
    """
    found = {}
    for row in np.flatnonzero(hashes[:, 0]):
        distance = np.bitwise_count(hashes[row][:, None] ^ earlier_hashes[:, 0])
        for mirrored, other in np.argwhere((distance <= NEAR) & (earlier_hashes[:, 0] > 0)):
            own = thumbs[row][:, ::-1] if mirrored else thumbs[row]
            pair = np.stack([own.ravel(), earlier_thumbs[other].ravel()]).astype(float)
            if pair.std(axis=1).min() > 0 and np.corrcoef(pair)[0, 1] >= ALIKE:
                found[int(row)] = int(other), bool(mirrored)
                break
    return found


def find_copies(parts):
    """Pictures that occur in more than one split, or more than once in one.

    :param parts: ``{split: (files, labels, digests)}`` of ``train``, ``validation`` and ``test``, in that order; a digest is None
        where the picture could not be read, and that face is left out.
    :return: ``(copies, counts)``. ``copies`` has a row for each face whose picture stands in an earlier split too, with columns
        ``split``, ``file``, ``label``, and ``first_split``, ``first_file``, ``first_label`` of the first such face. ``counts`` says
        how many distinct pictures cross the splits (``crossing``), how many of those carry different labels
        (``crossing_with_other_label``), how many faces repeat an earlier one of their own split (``repeated_within``), and how
        many faces of a later split stand in an earlier one (``train/validation``, ``train/test``, ``validation/test``).
    """
    tables = [
        pd.DataFrame({"split": split, "file": files, "label": labels, "digest": digests})
        for split, (files, labels, digests) in parts.items()
    ]
    pictures = pd.concat(tables, ignore_index=True).dropna(subset="digest")
    same = pictures.groupby("digest", sort=False)
    crossing = same["split"].nunique() > 1
    disagreeing = same["label"].nunique() > 1
    counts = {
        "crossing": int(crossing.sum()),
        "crossing_with_other_label": int((crossing & disagreeing).sum()),
        "repeated_within": int(pictures.duplicated(["split", "digest"]).sum()),
    }
    for earlier, later in combinations(parts, 2):
        there, here = (pictures.loc[pictures["split"] == split, "digest"] for split in (earlier, later))
        counts[f"{earlier}/{later}"] = int(here.isin(there).sum())
    first = pictures.drop_duplicates("digest").set_index("digest")[["split", "file", "label"]].add_prefix("first_")
    joined = pictures.join(first, on="digest")
    copies = joined[joined["split"] != joined["first_split"]].drop(columns="digest").reset_index(drop=True)
    return copies, counts
