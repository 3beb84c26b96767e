"""One picture: read whole or not at all, resized, cut out."""

import io
import os
import warnings

import cv2
import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from palcore.files import read_bytes

# Larger images are refused by their header: decoding 144 million pixels takes a gigabyte, and a file of 17 KB can ask for that.
MOST_PIXELS, LONGEST, MOST_BYTES = 50_000_000, 16_384, 2**28
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # whatever a file's name: Pillow would start another program for an EPS file
ORIENTATION = 0x0112
# Of large files and damaged EXIF data: what matters of that is refused. Not in a context, which threads would leave open.
warnings.filterwarnings("ignore", module=r"PIL\.")

REMEDY = "replace the file, or remove its row"


def _checked_format(path: str | os.PathLike, content: bytes) -> str:
    """``FORMAT MODE`` of an image; refuses what is none, too large to be decoded, or stored turned."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        orientation = image.getexif().get(ORIENTATION, 1) if "exif" in image.info else 1
    except Image.DecompressionBombError:
        raise ValueError(f"{path} has too many pixels: shrink it, or remove its row") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path} cannot be read as an image ({', '.join(FORMATS)}): {REMEDY}") from None
    except Exception:  # damaged bytes make Pillow's readers raise whatever their parts raise
        raise ValueError(f"{path} is cut short or damaged: {REMEDY}") from None
    if max(image.size) > LONGEST or image.width * image.height > MOST_PIXELS:
        limits = f"{MOST_PIXELS // 10**6} million, and {LONGEST:,} on a side"
        size = f"{image.width}x{image.height} pixels"
        raise ValueError(f"{path} has {size}, and at most {limits}, are read: shrink it, or remove its row")
    if orientation in range(2, 9):
        turned = f"{path} is stored turned (EXIF orientation {orientation})"
        raise ValueError(f"{turned}: save it upright, with its landmarks and box, or remove its row")
    return f"{image.format} {image.mode}"


def decoded(content: bytes) -> np.ndarray:
    """The pixels ``(H, W, 3)`` uint8 RGB of an encoded image that was read before; missing data are filled in silently."""
    if content[:2] == b"\xff\xd8":
        try:
            return simplejpeg.decode_jpeg(content, strict=False)
        except ValueError:  # four colours: OpenCV reads those
            pass
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("no image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """An image file as ``(H, W, 3)`` uint8 RGB; a grey image has three equal channels.

    :raises FileNotFoundError: where there is no such file.
    :raises ValueError: where it is none of ``FORMATS``, too large, turned by EXIF, or lacks some of its data, even if its end was
        repaired: decoders fill in a plain area there and say nothing.
    """
    content = read_bytes(path, "image file", MOST_BYTES)
    form = _checked_format(path, content)
    try:
        if form not in ("JPEG RGB", "JPEG L"):
            Image.open(io.BytesIO(content), formats=FORMATS).load()  # which OpenCV does not refuse where it is cut
            return decoded(content)
        try:
            return simplejpeg.decode_jpeg(content, strict=True)
        except ValueError as problem:
            if "premature end" in str(problem).lower():
                raise
            return simplejpeg.decode_jpeg(content, strict=False)  # other complaints, as of bytes too many, cost no pixel
    except Exception:  # likewise
        raise ValueError(f"{path} is cut short or damaged: {REMEDY}") from None


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """``(H, W, 3)`` or ``(H, W)`` uint8 as ``(size, size, ...)``: area averages to shrink, linear interpolation to enlarge."""
    if image.shape[:2] == (size, size):
        return image
    shrinks = image.shape[0] >= size and image.shape[1] >= size
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def cut_out(image: np.ndarray, box: np.ndarray) -> np.ndarray | None:
    """A box of a picture; what lies outside repeats the edge. None where all of it does.

    :param box: ``(4,)`` x, y, width and height in pixels, which are rounded.
    """
    x, y, width, height = np.round(box).astype(int)
    face = image[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]
    if not face.size:
        return None
    edges = max(-y, 0), max(y + height - image.shape[0], 0), max(-x, 0), max(x + width - image.shape[1], 0)
    return cv2.copyMakeBorder(face, *edges, cv2.BORDER_REPLICATE) if any(edges) else face
