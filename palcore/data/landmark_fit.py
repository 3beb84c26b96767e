"""Landmarks of all faces of a data set, and whether they are those of their pictures.

What is whole: the order of x and y, where the median face lies, whether landmarks follow the edges of their own pictures, and, in
pixels, whether they are pixels of these pictures. Then each face: mirrored, off the picture, far too small or large, another's.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from palcore.data.faults import NEAR, SIDE
from palcore.data.index import write_index
from palcore.data.landmark_table import MAKE, ORDERS, Landmarks, landmarks_in_files, landmarks_in_table
from palcore.data.pictures import Pictures
from palcore.data.readers import SPLITS, Problem, Reader
from palcore.heatmaps import REGIONS, SPAN, landmark_fault

UPRIGHT = 0.8
"""Share of faces that must be upright. Of FER2013's 99.98 % are, and 0.01 % with x and y exchanged."""

CENTRE = (0.25, 0.85)
"""Where the median face of a split has the mean of its landmarks, along each axis. FER2013: 0.50 and 0.61."""

ORDERED = ("brows", "eyes", "nose", "mouth")
"""Regions of a face from above."""

FARTHEST, NARROWEST = 5.0, 0.01
"""How far from the image a landmark may lie, and how little a face's landmarks may spread, in image sides."""

BLOCK = 100
"""Faces that are looked at together, at most, to tell whether landmarks follow their pictures. All of a split are: where a row is
missing, those before it are right."""

FOLLOWS = 0.3
"""Least effect size in ``edge_advantage``. On FER2013 it is 1.1 to 1.6 in blocks of 100 faces, and about 0 with each face's
landmarks given to the next."""


def upright(landmarks: np.ndarray) -> np.ndarray:
    """Whether the chin lies below the brows, and more below than beside them, ``(N,)`` bool; False for NaN.

    :param landmarks: ``(N, 68, 2)``, x to the right and y down.
    """
    x, y = np.moveaxis(landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1), -1, 0)
    return y > np.abs(x)


def mirrored(landmarks: np.ndarray) -> np.ndarray:
    """Whether each face's landmarks are a mirror image of a face's, ``(N,)`` bool; False for NaN.

    Exchanging x and y mirrors a face; turning it does not. Seen from brows to chin, a face's own left eye lies to the left of
    its right one in its image, whichever way the head is turned.

    :param landmarks: ``(N, 68, 2)``, x to the right and y down.
    """
    eyes = landmarks[:, 42:48].mean(axis=1) - landmarks[:, 36:42].mean(axis=1)
    down = landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1)
    return eyes[:, 0] * down[:, 1] < eyes[:, 1] * down[:, 0]


def edge_advantage(grey: np.ndarray, landmarks: np.ndarray, others: np.ndarray | None = None) -> float:
    """How much stronger the edges under a face's landmarks are than under others: an effect size.

    Brows, eyes, nose and mouth have strong edges. Each picture's edge strength is averaged under its own landmarks and under the
    others; the mean of the differences is divided by their standard deviation.

    :param grey: ``(N, SIDE, SIDE)`` uint8.
    :param others: ``(N, 68, 2)`` in fractions, as ``landmarks``; None for those of the face half the sample away.
    :return: about 1 for right landmarks, about 0 where they belong to other pictures.
    """
    others = np.roll(landmarks, -(len(landmarks) // 2), axis=0) if others is None else others
    differences = []
    for picture, own, other in zip(grey, landmarks, others, strict=True):
        edges = np.hypot(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1))
        if edges.std():
            places = (np.concatenate([own, other]) * SIDE - 0.5).astype(np.float32)
            edges /= edges.std()
            under = cv2.remap(edges, places[:, :1], places[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            differences.append(under[:68].mean() - under[68:].mean())
    spread = np.std(differences) if differences else 0
    return float(np.mean(differences) / spread) if spread else 0.0


def _share_of_faces(landmarks: np.ndarray) -> float:
    """Share of faces that stand upright, are not mirrored, and have brows, eyes, nose and mouth below each other."""
    heights = np.stack([landmarks[:, part, 1].mean(axis=1) for part in (REGIONS[name] for name in ORDERED)], axis=1)
    return float((upright(landmarks) & ~mirrored(landmarks) & (np.diff(heights, axis=1) > 0).all(axis=1)).mean())


def _orientation_fault(landmarks: np.ndarray) -> tuple[str, bool] | None:
    """What is seen where faces do not stand upright and why, and whether it is x and y that are exchanged; None where they do."""
    spread = np.ptp(landmarks, axis=1).max(axis=1) > 0
    judged = landmarks[np.isfinite(landmarks).all(axis=(1, 2)) & spread]
    if not len(judged) or upright(judged).mean() >= UPRIGHT:
        return None
    seen = f"the chin lies below the brows in {upright(judged).mean():.0%} of {len(judged)} faces"
    if _share_of_faces(judged[..., ::-1]) >= UPRIGHT:
        return f"{seen}, so rows and columns are exchanged", True
    if _share_of_faces(judged * [1, -1]) >= UPRIGHT:
        return f"{seen}, so y counts upwards: it must count down from the upper edge", False
    return f"{seen}, so the points are in another order than iBUG's 68, or none of a face", False


def _whole_problem(landmarks: np.ndarray, where: str, remedy: str) -> Problem | None:
    """What is wrong with the landmarks of a whole split."""
    if fault := landmark_fault(landmarks, CENTRE):
        return Problem("landmarks elsewhere", "", where, f"{where}: {fault}")
    if fault := _orientation_fault(landmarks):
        sentence, exchanged = fault
        return Problem("landmarks swapped", "", where, f"{where}: {sentence}" + (f": {remedy}" if exchanged else ""))
    return None


def single_problems(files: np.ndarray, landmarks: np.ndarray) -> list[Problem]:
    """Faces whose own landmarks make no face in their picture: mirrored, off the picture, far too small or large, in one place.

    :param landmarks: ``(N, 68, 2)`` in fractions; faces without any are left out.
    """
    problems = []
    with np.errstate(invalid="ignore", over="ignore"):
        span, middle = np.ptp(landmarks, axis=1).max(axis=1), np.median(landmarks, axis=1)
        reach = np.abs(landmarks - 0.5).max(axis=(1, 2)) - 0.5
        off, wrong = ((middle < 0) | (middle > 1)).any(axis=1), mirrored(landmarks)
        odd = (reach > FARTHEST) | (span < SPAN[0]) | (span > SPAN[1]) | wrong | off
    for row in np.flatnonzero(odd).tolist():
        kind, level, (x, y) = "landmarks elsewhere", "bias", middle[row]
        if reach[row] > FARTHEST:
            reason, level = f"are none of a face: one reaches {reach[row]:.3g} sides beyond the image; correct it", "refused"
        elif span[row] < NARROWEST:
            reason, level = "all lie in one place: leave the cells empty where no face was found", "refused"
        elif off[row]:
            reason = f"do not lie on its face: most lie off the image, around ({x:.2f}, {y:.2f}) of its sides"
        elif wrong[row]:
            exchanged = bool(upright(landmarks[[row], :, ::-1])[0])
            how = "x and y" if exchanged else "left and right, or up and down,"
            kind, reason = "landmarks swapped", f"are those of a face in a mirror: {how} are exchanged"
        else:
            reason = f"do not lie on its face: they span {span[row]:.2g} of the image's side"
        problems.append(Problem(kind, "", str(files[row]), f"landmarks of {files[row]} {reason}", level, row))
    return problems


def shared_problems(files: np.ndarray, landmarks: np.ndarray, hashes: np.ndarray) -> list[Problem]:
    """Faces with exactly the landmarks of an earlier face whose picture differs; pictures that are nearly the same may share them.

    :param hashes: ``(N, 2)`` of ``palcore.data.faults.Look``.
    """
    owners, problems = {}, []
    for row in np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)) & (hashes[:, 0] > 0)).tolist():
        first = owners.setdefault(hash(landmarks[row].tobytes()), row)
        if int(hashes[row, 0] ^ hashes[first, 0]).bit_count() > NEAR and np.array_equal(landmarks[row], landmarks[first]):
            seen = f"landmarks of {files[row]} are exactly those of {files[first]}, another picture"
            problems.append(Problem("landmarks elsewhere", "", str(files[row]), f"{seen}: one of the two is wrong", "bias", row))
    return problems


def _following_problem(files: np.ndarray, landmarks: np.ndarray, grey: np.ndarray, name: str) -> list[Problem]:
    """The first block of faces, in order, whose landmarks fit other faces as well as their own."""
    for block in np.array_split(np.arange(len(files)), -(-len(files) // BLOCK)) if len(files) >= BLOCK else []:
        advantage = edge_advantage(grey[block], landmarks[block])
        if np.ptp(landmarks[block], axis=0).any() and advantage < FOLLOWS:
            sentence = (
                f"landmarks of {name} fit other faces as well as their own from {files[block[0]]} to {files[block[-1]]} "
                f"(effect size {advantage:.2f}, at least {FOLLOWS} expected): they are on the wrong images"
            )
            return [Problem("landmarks elsewhere", "", name, sentence)]
    return []


def _resized_problem(reader: Reader, landmarks: np.ndarray, sizes: np.ndarray, grey: np.ndarray, where: str) -> list[Problem]:
    """What there is to say where pictures have another size than the owner's, and landmarks are in pixels."""
    values, counts = np.unique(sizes, axis=0, return_counts=True)
    usual = values[np.argmax(counts)] if len(values) else None
    if usual is None or (usual == reader.SIDE).all():
        return []
    rows = np.flatnonzero((sizes == usual).all(axis=1))[:BLOCK]
    sides = f"{usual[0]:g}x{usual[1]:g} pixels and its owner's {reader.SIDE}x{reader.SIDE}"
    seen = f"{where}: images of {reader.NAME} have {sides}, and they lie better on these"
    if edge_advantage(grey[rows], landmarks[rows], landmarks[rows] * usual / reader.SIDE) > 0:
        return [Problem("note", "", where, f"{seen} taken for pixels of these images", "loss")]
    remedy = f"they must be of the images beside them, so scale them, take the owner's images, or make a table with {MAKE}"
    return [Problem("landmarks elsewhere", "", where, f"{seen} as pixels of the owner's: {remedy}")]


def fractions(landmarks: Landmarks, boxes: np.ndarray, of_pictures: bool) -> np.ndarray:
    """Landmarks ``(N, 68, 2)`` float32 in fractions of the faces' boxes.

    :param boxes: ``(N, 4)`` x, y, width and height, 0 where there is no picture.
    :param of_pictures: whether pixels count from the picture's corner, and not from the box's.
    """
    points, kind = landmarks.points, landmarks.points.dtype
    if landmarks.pixels:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            corners = boxes[:, None, :2].astype(kind) if of_pictures else 0
            points = (points + kind.type(0.5) - corners) / np.where(boxes[:, None, 2:] > 0, boxes[:, None, 2:], np.nan).astype(kind)
    return np.clip(points, -1e30, 1e30).astype(np.float32)  # what is too large is told of its face


class _Source(NamedTuple):
    """Where landmarks come from, for sentences, and what to do where x and y are exchanged."""

    where: str
    remedy: str
    landmarks: Landmarks


def _read_source(reader: Reader, arrays: dict, source: Path | None, order: str) -> _Source:
    """Landmarks as they stand in a table, in a folder of text files, or, for None, with the owner's pictures."""
    files = arrays["files"]
    if source is None:
        own = Landmarks(arrays["points"], np.ones(len(files), bool), True, [])
        return _Source(f"landmarks of {reader.NAME}", "correct them", own)
    if source.is_dir():
        remedy = f"give landmark_order {ORDERS[1 - ORDERS.index(order)]}"
        return _Source(f"landmarks in {source} read as {order}", remedy, landmarks_in_files(files, source, order))
    landmarks = landmarks_in_table(files, source, reader.face_name, reader.ROW_NAMES)
    return _Source(f"landmark table {source}", "make the table again", landmarks)


def _split_problems(reader: Reader, pictures: Pictures, source: _Source, points: np.ndarray, rows: np.ndarray) -> list[Problem]:
    """What is wrong with the landmarks of a split, whose faces with landmarks and a picture are ``rows``: whole, or else single."""
    arrays, landmarks = pictures.arrays, points[rows]
    if whole := _whole_problem(landmarks, source.where, source.remedy):
        return [whole]
    files, grey, sizes = arrays["files"][rows], arrays["grey"][rows], arrays["boxes"][rows, 2:]
    problems = single_problems(files, landmarks)
    fits = np.ones(len(rows), bool)
    fits[[problem.row for problem in problems]] = False
    if source.landmarks.pixels and not pictures.facts["boxed"]:
        problems += _resized_problem(reader, landmarks[fits], sizes[fits], grey[fits], source.where)
    if not any(problem.level == "refused" and problem.row < 0 for problem in problems):
        problems += _following_problem(files[fits], landmarks[fits], grey[fits], reader.NAME)
    return [replace(problem, row=int(rows[problem.row])) if problem.row >= 0 else problem for problem in problems]


def import_landmarks(reader: Reader, pictures: Pictures, source: Path | None, order: str, folder: Path) -> None:
    """Read the landmarks of a data set's faces, and write an index of them, in fractions, with all that is wrong with them.

    :param source: a table, or a folder of text files; None for the owner's own.
    :param order: of the text files, one of ``ORDERS``.
    :param folder: of the index: ``landmarks (N, 68, 2)`` float32, ``found (N,)`` bool.
    """
    arrays, count = pictures.arrays, len(pictures.arrays["files"])
    try:
        read = _read_source(reader, arrays, source, order)
    except (FileNotFoundError, ValueError) as problem:
        kind = "layout" if isinstance(problem, FileNotFoundError) else "table"
        unread = [Problem(kind, "", str(source), str(problem))]
        read = _Source("", "", Landmarks(np.full((count, 68, 2), np.nan), np.zeros(count, bool), False, unread))
    splits, points = arrays["splits"], fractions(read.landmarks, arrays["boxes"], source is None)
    problems = [replace(problem, split=str(splits[problem.row]) if problem.row >= 0 else "") for problem in read.landmarks.problems]
    usable = np.isfinite(points).all(axis=(1, 2)) & (arrays["boxes"][:, 2] > 0)
    usable[[problem.row for problem in problems if problem.row >= 0]] = False
    for split in SPLITS:
        found = _split_problems(reader, pictures, read, points, np.flatnonzero(usable & (splits == split)))
        problems += [replace(problem, split=split) for problem in found]
    usable[[problem.row for problem in problems if problem.row >= 0]] = False
    rows = np.flatnonzero(usable)
    for problem in shared_problems(arrays["files"][rows], points[rows], arrays["hashes"][rows]):
        row = int(rows[problem.row])
        problems.append(replace(problem, split=str(splits[row]), row=row))
    write_index(
        folder, {"landmarks": points, "found": read.landmarks.found}, {"problems": [asdict(problem) for problem in problems]}
    )
