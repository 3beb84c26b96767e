"""One image file: its size before it is decoded, and its pixels.

One convention for the orientation that EXIF holds: an image is what a viewer shows, in sizes, boxes, landmarks and pixels.
"""

import os
import stat
import warnings

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from palcore.data.geometry import FLIP_INDEX

MOST_PIXELS, LONGEST = 50_000_000, 16_384
"""Larger images are refused by their header: decoding 144 million pixels takes a gigabyte, and a file of 17 KB can ask for that."""

ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""What the last bytes of a whole file hold."""

NO_PERMISSION = "no permission to read {}: change its mode or owner"

TAIL = 4096
ORIENTATION = 0x0112


def _open(path):
    """A regular file, opened.

    :raises FileNotFoundError: where there is none, or something else of that name.
    :raises ValueError: where it cannot be read.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            return open(path, "rb")
    except FileNotFoundError:
        what = f"{path} is a link to a file that is not there" if os.path.islink(path) else f"no image file {path}"
        raise FileNotFoundError(f"{what}: check data_dir") from None
    except PermissionError:
        raise ValueError(NO_PERMISSION.format(path)) from None
    except OSError as problem:  # a circle of links, say
        raise ValueError(f"{path} cannot be read ({problem.strerror}): replace the file, or remove its row") from None
    kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
    raise FileNotFoundError(f"{path} is {kind} and no image file: rename or remove it")


def _header(path, file):
    """Width and height as stored, orientation and format of an image in an open file.

    :raises ValueError: where it is no image, or too large to be decoded.
    """
    try:
        image = Image.open(file)
        orientation = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    except Image.DecompressionBombError:
        image = None
    except UnidentifiedImageError:
        raise ValueError(f"{path} cannot be read as an image: replace the file, or remove its row") from None
    except Exception:  # damaged bytes make Pillow's readers raise whatever their parts raise
        raise ValueError(f"{path} is cut short or damaged: replace the file, or remove its row") from None
    if image is None or max(image.size) > LONGEST or image.width * image.height > MOST_PIXELS:
        size = "too many pixels" if image is None else f"{image.width}x{image.height} pixels"
        limits = f"{MOST_PIXELS // 10**6} million, and {LONGEST:,} on a side"
        raise ValueError(f"{path} has {size}, and at most {limits}, are read: shrink it, or remove its row")
    return image.size, orientation if orientation in range(1, 9) else 1, image.format


def probe_image(path):
    """Width, height and EXIF orientation (1 to 8) of an image file, without decoding it.

    Width and height are those of the image as it is shown. A file whose end is not marked as such is decoded to see whether
    anything is missing.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where the file is no image, too large, or cut short.
    """
    # Pillow warns of large files and damaged EXIF data on its way; what matters of that is refused.
    with _open(path) as file, warnings.catch_warnings(action="ignore"):
        (width, height), orientation, form = _header(path, file)
        try:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            if form not in ENDS or ENDS[form] not in file.read():
                file.seek(0)
                Image.open(file).load()
        except Exception:
            raise ValueError(f"{path} is cut short or damaged: replace the file, or remove its row") from None
    return (height, width, orientation) if orientation > 4 else (width, height, orientation)


def read_image(path, probed=False):
    """Read an image file as ``(H, W, 3)`` uint8 RGB, turned as EXIF says (a grey image has three equal channels).

    :param probed: whether ``probe_image`` has seen the file, so that its header need not be read again.
    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where OpenCV cannot decode it, or it is too large.
    """
    with _open(path) as file:
        if not probed:
            with warnings.catch_warnings(action="ignore"):
                _header(path, file)
            file.seek(0)
        encoded = np.frombuffer(file.read(), np.uint8)
    try:
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(f"{path} cannot be read as an image: replace the file, or remove its row")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_probed(path):
    """``read_image`` of a file that ``probe_image`` has seen."""
    return read_image(path, True)


def resize(image, size):
    """Resize ``(H, W, 3)`` or ``(H, W)`` uint8 to ``(size, size, ...)``: area averages to shrink, linear interpolation to enlarge.

    Landmarks are fractions of the image's sides, so they stay as they are.
    """
    if image.shape[:2] == (size, size):
        return image
    shrinks = image.shape[0] >= size and image.shape[1] >= size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def turned(points, orientation):
    """Fractions ``(..., 2)`` of the image as stored, as fractions of the image as shown.

    :param orientation: EXIF's number, 1 to 8.
    """
    x, y = points[..., 0], points[..., 1]
    places = {
        1: (x, y), 2: (1 - x, y), 3: (1 - x, 1 - y), 4: (x, 1 - y), 5: (y, x), 6: (1 - y, x), 7: (1 - y, 1 - x), 8: (y, 1 - x),
    }  # fmt: skip
    return np.stack(places[orientation], axis=-1)


def turned_landmarks(landmarks, orientation):
    """Landmarks ``(68, 2)`` of the image as stored, as those of the image as shown; left and right too, where that mirrors."""
    points = turned(landmarks, orientation)
    return points[FLIP_INDEX] if orientation in (2, 4, 5, 7) else points
