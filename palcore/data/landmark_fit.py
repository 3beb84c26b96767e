"""Landmarks of all faces of a data set, and whether they are those of their pictures.

What is whole: the order of x and y, where the median face lies, whether landmarks follow the edges of their own pictures, and, in
pixels, whether they are pixels of these pictures. Then each face: mirrored, off the picture, far too small or large, another's.
"""

from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np

from palcore.data.faults import NEAR, SIDE
from palcore.data.index import write_index
from palcore.data.landmark_table import MAKE, Landmarks, landmarks_in_files, landmarks_in_table
from palcore.data.readers import SPLITS, Problem, Reader, problem_of
from palcore.landmarks import REGIONS, SPAN, landmark_fault

UPRIGHT, CENTRE = 0.8, (0.25, 0.85)
"""Share of faces that must be upright, and where the median face of a split has the mean of its landmarks, along each axis. Of
FER2013's faces 99.98 % are, 0.01 % with x and y exchanged, and the median lies at 0.50 and 0.61."""

FARTHEST, NARROWEST = 5.0, 0.01
"""How far from the image a landmark may lie, and how little a face's landmarks may spread, in image sides."""

BLOCK, FOLLOWS = 100, 0.3
"""Faces that are looked at together, at most, to tell whether landmarks follow their pictures (where a row is missing, those
before it are right), and the least effect size in ``edge_advantage``: on FER2013 1.1 to 1.6, and about 0 with the next face's."""


def upright(landmarks: np.ndarray) -> np.ndarray:
    """Whether the chin lies below the brows, and more below than beside them, ``(N,)`` bool; False for NaN."""
    x, y = np.moveaxis(landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1), -1, 0)
    return y > np.abs(x)


def mirrored(landmarks: np.ndarray) -> np.ndarray:
    """Whether each face's landmarks are a mirror image of a face's, ``(N,)`` bool; False for NaN.

    Exchanging x and y mirrors a face; turning it does not. Seen from brows to chin, a face's own left eye lies to the left of
    its right one in its image, whichever way the head is turned.
    """
    eyes = landmarks[:, 42:48].mean(axis=1) - landmarks[:, 36:42].mean(axis=1)
    down = landmarks[:, 8] - landmarks[:, 17:27].mean(axis=1)
    return eyes[:, 0] * down[:, 1] < eyes[:, 1] * down[:, 0]


def edge_advantage(grey: np.ndarray, landmarks: np.ndarray, others: np.ndarray | None = None) -> float:
    """How much stronger the edges under a face's landmarks are than under others, as an effect size: the mean over pictures of the
    difference, over its standard deviation. About 1 for right landmarks, about 0 where they belong to other pictures.

    :param grey: ``(N, SIDE, SIDE)`` uint8.
    :param others: ``(N, 68, 2)`` in fractions, as ``landmarks``; None for those of the face half the sample away.
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
    heights = np.stack([landmarks[:, REGIONS[part], 1].mean(axis=1) for part in ("brows", "eyes", "nose", "mouth")], axis=1)
    return float((upright(landmarks) & ~mirrored(landmarks) & (np.diff(heights, axis=1) > 0).all(axis=1)).mean())


def _whole_problem(landmarks: np.ndarray, source: Landmarks) -> Problem | None:
    """What is wrong with the landmarks of a whole split: not where faces are, or most faces not upright, and why."""
    if fault := landmark_fault(landmarks, CENTRE):
        return Problem("landmarks elsewhere", f"{source.where}: {fault}")
    judged = landmarks[np.ptp(landmarks, axis=1).max(axis=1) > 0]
    if not len(judged) or upright(judged).mean() >= UPRIGHT:
        return None
    if _share_of_faces(judged[..., ::-1]) >= UPRIGHT:
        reason = f"rows and columns are exchanged: {source.remedy}"
    elif _share_of_faces(judged * [1, -1]) >= UPRIGHT:
        reason = "y counts upwards: it must count down from the upper edge"
    else:
        reason = "the points are in another order than iBUG's 68, or none of a face"
    seen = f"the chin lies below the brows in {upright(judged).mean():.0%} of {len(judged)} faces"
    return Problem("landmarks swapped", f"{source.where}: {seen}, so {reason}")


def single_problems(files: np.ndarray, landmarks: np.ndarray, rows: np.ndarray) -> list[Problem]:
    """Faces whose own landmarks make no face in their picture: mirrored, off the picture, far too small or large, in one place.

    :param landmarks: ``(N, 68, 2)`` in fractions, of which ``rows`` are looked at; faces without any are left out.
    """
    problems, landmarks = [], landmarks[rows]
    with np.errstate(invalid="ignore", over="ignore"):
        span, middle = np.ptp(landmarks, axis=1).max(axis=1), np.median(landmarks, axis=1)
        reach = np.abs(landmarks - 0.5).max(axis=(1, 2)) - 0.5
        off, wrong = ((middle < 0) | (middle > 1)).any(axis=1), mirrored(landmarks)
        odd = (reach > FARTHEST) | (span < SPAN[0]) | (span > SPAN[1]) | wrong | off
    for place in np.flatnonzero(odd).tolist():
        kind, level, (x, y) = "landmarks elsewhere", "bias", middle[place]
        if reach[place] > FARTHEST:
            reason, level = f"are none of a face: one reaches {reach[place]:.3g} sides beyond the image; correct it", "refused"
        elif span[place] < NARROWEST:
            reason, level = "all lie in one place: leave the cells empty where no face was found", "refused"
        elif off[place]:
            reason = f"do not lie on its face: most lie off the image, around ({x:.2f}, {y:.2f}) of its sides"
        elif wrong[place]:
            how = "x and y" if upright(landmarks[[place], :, ::-1])[0] else "left and right, or up and down,"
            kind, reason = "landmarks swapped", f"are those of a face in a mirror: {how} are exchanged"
        else:
            reason = f"do not lie on its face: they span {span[place]:.2g} of the image's side"
        problems.append(Problem(kind, f"landmarks of {files[rows[place]]} {reason}", level, int(rows[place])))
    return problems


def shared_problems(files: np.ndarray, landmarks: np.ndarray, hashes: np.ndarray, rows: np.ndarray) -> list[Problem]:
    """Faces with exactly the landmarks of an earlier face whose picture differs; pictures that are nearly the same may share them.

    :param hashes: ``(N, 2)`` of ``palcore.data.faults.Look``; ``rows``: those that are looked at.
    """
    owners, problems = {}, []
    for row in rows[hashes[rows, 0] > 0].tolist():
        first = owners.setdefault(hash(landmarks[row].tobytes()), row)
        if int(hashes[row, 0] ^ hashes[first, 0]).bit_count() > NEAR and np.array_equal(landmarks[row], landmarks[first]):
            seen = f"landmarks of {files[row]} are exactly those of {files[first]}, another picture"
            problems.append(Problem("landmarks elsewhere", f"{seen}: one of the two is wrong", "bias", row))
    return problems


def _following_problem(name: str, arrays: dict, landmarks: np.ndarray, rows: np.ndarray) -> list[Problem]:
    """The first block of faces, in order, whose landmarks fit other faces as well as their own."""
    for block in np.array_split(rows, -(-len(rows) // BLOCK)) if len(rows) >= BLOCK else []:
        advantage = edge_advantage(arrays["grey"][block], landmarks[block])
        if np.ptp(landmarks[block], axis=0).any() and advantage < FOLLOWS:
            first, last = arrays["files"][block[[0, -1]]]
            sentence = (
                f"landmarks of {name} fit other faces as well as their own from {first} to {last} "
                f"(effect size {advantage:.2f}, at least {FOLLOWS} expected): they are on the wrong images"
            )
            return [Problem("landmarks elsewhere", sentence)]
    return []


def _resized_problem(reader: Reader, arrays: dict, landmarks: np.ndarray, rows: np.ndarray, where: str) -> list[Problem]:
    """What there is to say where pictures have another size than the owner's, and landmarks are in pixels."""
    sizes = arrays["boxes"][rows, 2:]
    values, counts = np.unique(sizes, axis=0, return_counts=True)
    usual = values[np.argmax(counts)] if len(rows) else np.full(2, reader.SIDE)
    if (usual == reader.SIDE).all():
        return []
    rows = rows[(sizes == usual).all(axis=1)][:BLOCK]
    sides = f"{usual[0]:g}x{usual[1]:g} pixels and its owner's {reader.SIDE}x{reader.SIDE}"
    seen = f"{where}: images of {reader.NAME} have {sides}, and they lie better on these"
    if edge_advantage(arrays["grey"][rows], landmarks[rows], landmarks[rows] * usual / reader.SIDE) > 0:
        return [Problem("note", f"{seen} taken for pixels of these images", "loss")]
    remedy = f"they must be of the images beside them, so scale them, take the owner's images, or make a table with {MAKE}"
    return [Problem("landmarks elsewhere", f"{seen} as pixels of the owner's: {remedy}")]


def _fractions(points, boxes, of_pictures):
    """Landmarks in pixels, which count from the box's corner or that ``of_pictures``, as fractions of the faces' boxes."""
    boxes = boxes[:, None].astype(points.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        corners = boxes[..., :2] if of_pictures else 0
        return (points + points.dtype.type(0.5) - corners) / np.where(boxes[..., 2:] > 0, boxes[..., 2:], np.nan)


def _read_source(reader: Reader, arrays: dict, source: Path | None, order: str) -> Landmarks:
    """Landmarks as they stand in a table, in a folder of text files, or, for None, with the owner's pictures."""
    try:
        if source is None:
            return Landmarks(arrays["points"], True, [], f"landmarks of {reader.NAME}", "correct them")
        if source.is_dir():
            return landmarks_in_files(arrays["files"], source, order)
        return landmarks_in_table(arrays["files"], source, reader.face_name, reader.ROW_NAMES)
    except (FileNotFoundError, ValueError) as error:
        return Landmarks(np.full((len(arrays["files"]), 68, 2), np.nan), False, [problem_of(error)], "", "")


def _split_problems(reader: Reader, arrays: dict, source: Landmarks, points: np.ndarray, rows: np.ndarray) -> list[Problem]:
    """What is wrong with the landmarks of a split, whose faces with landmarks and a picture are ``rows``: whole, or else single."""
    if whole := _whole_problem(points[rows], source):
        return [whole]
    problems = single_problems(arrays["files"], points, rows)
    rows = np.setdiff1d(rows, [problem.row for problem in problems])
    whole_pictures = not arrays["boxes"][rows, :2].any()
    resized = _resized_problem(reader, arrays, points, rows, source.where) if source.pixels and whole_pictures else []
    misplaced = any(problem.fatal for problem in resized)
    return problems + resized + ([] if misplaced else _following_problem(reader.NAME, arrays, points, rows))


def import_landmarks(reader: Reader, arrays: dict, source: Path | None, order: str, folder: Path) -> None:
    """Read the landmarks of a data set's faces, and write an index of them, in fractions, with all that is wrong with them.

    :param arrays: see ``palcore.data.pictures.import_pictures``.
    :param source: a table, or a folder of text files; None for the owner's own.
    :param order: of the text files, one of ``ORDERS``.
    :param folder: of the index: ``landmarks (N, 68, 2)`` float32, and its fact ``problems``.
    """
    read, splits = _read_source(reader, arrays, source, order), arrays["splits"]
    points = _fractions(read.points, arrays["boxes"], source is None) if read.pixels else read.points
    points = np.clip(points, -1e30, 1e30).astype(np.float32)  # what is too large is told of its face
    problems, usable = list(read.problems), np.isfinite(points).all(axis=(1, 2)) & (arrays["boxes"][:, 2] > 0)
    usable[[problem.row for problem in problems if problem.row >= 0]] = False
    for split in SPLITS:
        of_split = _split_problems(reader, arrays, read, points, np.flatnonzero(usable & (splits == split)))
        problems += [replace(problem, split=split) for problem in of_split]
    usable[[problem.row for problem in problems if problem.row >= 0]] = False
    problems += shared_problems(arrays["files"], points, arrays["hashes"], np.flatnonzero(usable))
    problems = [replace(problem, split=str(splits[problem.row])) if problem.row >= 0 else problem for problem in problems]
    write_index(folder, {"landmarks": points}, {"problems": [asdict(problem) for problem in problems]})
