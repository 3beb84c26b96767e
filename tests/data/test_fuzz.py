"""Readers of files that others made: whatever is in them, the answer is faces, problems or one sentence, and never another error.

Valid files are damaged at random places, cut, or replaced by anything. `python -m tests.data.test_fuzz 600 [READER ...]` tries for
ten minutes a reader, and writes how many files that were into results/quality/fuzz.json.
"""

import contextlib
import gzip
import json
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from palcore.data import affectnet, fer2013, images, landmark_table, rafdb
from palcore.data.readers import Face, Problem
from tests import copies
from tests.data.test_readers import write_ferplus
from tests.data.test_spoilt import LIST, NUMBER, POINTS, TEXT

EXAMPLES = 20


def one_face(path):
    raised(landmark_table.landmarks_in_files(np.array(["test_0003.jpg"]), path.parent, "row_column").problems)


def whole_table(path):
    files = np.array(["train_00001.jpg", "train_00002.jpg", "train_00003.jpg"])
    raised(landmark_table.landmarks_in_table(files, path).problems)


def faces_of(faces):
    """Each face's label, pixels and landmarks, where those stand in the table itself."""
    for face in faces:
        raised([face] if isinstance(face, Problem) else [])
        for part in (face.pixels, face.points) if isinstance(face, Face) else ():
            part and part()


def raised(problems):
    for problem in problems:
        if problem.level == "refused":
            raise problem.error(problem.sentence)


READERS = {
    "landmark file": (TEXT, one_face),
    "label list": (LIST, lambda path: faces_of(rafdb.READER.in_list(path.parent.parent))),
    "landmark table": ("table.csv", whole_table),
    "packed landmark table": ("table.csv.gz", whole_table),
    "expression": (NUMBER, affectnet._expression),
    "landmark array": (POINTS, landmark_table.array_points),
    "affectnet table": (
        "validation.csv",
        lambda path: faces_of(affectnet.READER.in_table(path.parent / "Manually_Annotated_Images", "test", path)),
    ),
    "fer2013 table": ("fer2013.csv", lambda path: faces_of(fer2013.READER.in_csv(path))),
    "votes": ("fer2013new.csv", fer2013.ferplus_labels),
    "jpeg": ("x.jpg", images.read_image),
    "png": ("x.png", images.read_image),
    "webp": ("x.webp", images.read_image),
}


def write_files(folder):
    """``{reader: (path, its valid content)}``, all in one folder."""
    drawn, faces = copies.write_rafdb(folder), copies.write_fer2013_csv(folder)
    copies.write_affectnet(folder)
    copies.write_affectnet_csv(folder)
    write_ferplus(folder, faces, {})
    for name in ("validation.csv", "fer2013.csv"):
        (folder / name).write_text("\n".join((folder / name).read_text().splitlines()[:4]))
    copies.write_table(folder / "table.csv", dict(list(drawn.items())[:3]))
    (folder / "table.csv.gz").write_bytes(gzip.compress((folder / "table.csv").read_bytes()))
    for name in ("x.jpg", "x.png", "x.webp"):
        copies.write_image(folder / name, copies.drawn_faces("test", 24)[0][0])
    return {reader: (folder / name, (folder / name).read_bytes()) for reader, (name, _) in READERS.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_files(tmp_path_factory.mktemp("fuzz"))


def damaged(content, damage):
    """Bytes put in the place of others, at fractions of the file."""
    changed = bytearray(content)
    for place, new, length in damage:
        start = int(place * len(changed))
        changed[start : start + length] = new
    return bytes(changed)


WORDS = [b"nan", b"inf", b"1e400", b"-1", b"\0", b"\xff", b",", b"\n", b'"', b";", b"{}", b"[", b"(", b"0" * 400, b"\r", b"\t"]
ANYTHING = st.one_of(st.sampled_from([*WORDS, "\u0663".encode()]), st.binary(max_size=8))
DAMAGE = st.lists(st.tuples(st.floats(0, 1), ANYTHING, st.integers(0, 12)), min_size=1, max_size=4)

CASE = {
    "damage": DAMAGE,
    "cut": st.floats(0, 1),
    "anything": st.binary(max_size=60),
    "kind": st.sampled_from(["damaged", "damaged", "cut", "anything"]),
}


def read_damaged(reader, files, damage, cut, anything, kind):
    """Read a file that is no longer what it was: faces, or an error with one line that names the file."""
    path, content = files[reader]
    data = {"damaged": damaged(content, damage), "cut": content[: int(cut * len(content))], "anything": anything}[kind]
    path.write_bytes(data)
    try:
        READERS[reader][1](path)
    except (ValueError, FileNotFoundError) as problem:
        assert "\n" not in str(problem) and (str(path) in str(problem) or "_0" in str(problem) or "fer2013.csv" in str(problem))
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(**CASE)
@example(damage=[], cut=0.0, anything=b"", kind="anything")
@example(damage=[(0.7482522436832072, b"nan", 3)], cut=0.0, anything=b"", kind="damaged")  # pandas' sentence has two lines
@example(damage=[(0.0, b"nan", 8)], cut=0.0, anything=b"", kind="damaged")  # a header with a name less: pandas warned only
@example(damage=[(0.984375, b"nan", 0)], cut=0.0, anything=b"", kind="damaged")  # an array of text with no character's number
@example(damage=[(0.0, b"\t", 0)], cut=0.0, anything=b"", kind="damaged")  # a header's name behind a tab was found, and not found
def test_nothing_in_a_file_is_a_surprise(reader, files, damage, cut, anything, kind):
    read_damaged(reader, files, damage, cut, anything, kind)


@pytest.mark.parametrize("reader", ["landmark table", "affectnet table", "fer2013 table", "votes"])
def test_a_name_less_in_the_header_shifts_no_column(reader, files):
    """pandas takes the first cells for row names then, and every other column for its neighbour."""
    path, content = files[reader]
    spare = {"affectnet table": b",arousal", "votes": b",Image name", "fer2013 table": b"emotion,"}.get(reader, b"file,")
    assert spare in content
    path.write_bytes(content.replace(spare, b"", 1))
    try:
        with pytest.raises(ValueError, match=str(path.name)):
            READERS[reader][1](path)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("reader", READERS)
def test_each_reader_reads_what_is_valid_and_goes_through_the_door(reader, files):
    """What ``tests/test_files.py`` asks of the door, of devices, links and sizes, holds for each."""
    path, content = files[reader]
    READERS[reader][1](path)
    path.unlink()
    os.mkfifo(path)
    try:
        with pytest.raises((ValueError, FileNotFoundError), match=f"{path.name} is a pipe or a device"):
            READERS[reader][1](path)
    finally:
        path.unlink()
        path.write_bytes(content)


def bmp(width, height):
    """The header of a BMP file, whose pixels are not there."""
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(/tmp/made-by-ghostscript) (w) file closefile\nshowpage\n"
NO_PICTURES = {
    "12,000 x 12,000 pixels in a few bytes": (bmp(12_000, 12_000), "has 12000x12000 pixels, and at most"),
    "60,000 x 60,000 pixels": (bmp(60_000, 60_000), "has too many pixels"),
    "20,000 pixels wide": (bmp(20_000, 1), "has 20000x1 pixels"),
    "an EPS file": (EPS, "cannot be read as an image (JPEG, PNG, BMP, WEBP)"),
}


@pytest.mark.parametrize("case", NO_PICTURES)
def test_a_picture_that_is_none_is_named_without_being_decoded(case, tmp_path):
    """Decoding would find no pixels and say that they were cut short."""
    content, sentence = NO_PICTURES[case]
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ValueError) as refused:
        images.read_image(tmp_path / "x.jpg")
    assert str(refused.value).startswith(f"{tmp_path / 'x.jpg'} {sentence}")
    assert not Path("/tmp/made-by-ghostscript").exists()


class Enough(BaseException):
    """The time is up: no error that Hypothesis would look into."""


def fuzz(reader, files, seconds):
    """`{"files", "seconds", "processor_seconds"}` of reading damaged files for so long; raises what a reader must not raise."""
    tried, start, used = 0, time.monotonic(), time.process_time()

    @settings(max_examples=10**9, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(**CASE)
    def go_on(damage, cut, anything, kind):
        nonlocal tried
        if time.monotonic() - start > seconds:
            raise Enough
        read_damaged(reader, files, damage, cut, anything, kind)
        tried += 1

    with contextlib.suppress(Enough):
        go_on()
    return {"files": tried, "seconds": round(time.monotonic() - start), "processor_seconds": round(time.process_time() - used)}


if __name__ == "__main__":
    from palcore.files import write_json
    from palcore.runs.records import commit, repository_root

    seconds, *names = sys.argv[1:]
    path = repository_root() / "results" / "quality" / "fuzz.json"
    record, at = json.loads(path.read_text()) if path.exists() else {}, commit()  # now: the record changes the tree
    with tempfile.TemporaryDirectory() as place:
        written = write_files(Path(place))
        for name in names or READERS:
            record[name] = {"commit": at, **fuzz(name, written, float(seconds))}
            write_json(path, record)
            print(name, record[name], flush=True)
