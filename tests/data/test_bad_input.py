# ruff: noqa: E501
"""What people have by mistake, or were sent: each ends `python -m palcore check` with one sentence and exit code 1, and `load` too.

``@`` in a sentence stands for the copy's folder. What a copy may have all the same is in the second table.
"""

import io
import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from palcore import data
from palcore.__main__ import app
from palcore.data import images
from palcore.data.images import probe_image
from tests.copies import WRITERS, drawn_faces, write_image

PICTURES = {
    "rafdb": "Image/aligned/test_0003_aligned.jpg",
    "affectnet": "val_set/images/3.jpg",
    "fer2013": "test/sad/PrivateTest_4.jpg",
}
NAMES = {"rafdb": "test_0003.jpg", "affectnet": "val_set/images/3.jpg", "fer2013": "test/sad/PrivateTest_4.jpg"}
LIST, TEXT = "EmoLabel/list_patition_label.txt", "landmarks/test_0003_aligned.txt"
# Older versions of pandas end a cell at a null byte.
NULL = (
    "no image file @/Manually_Annotated_Images/2/a: check data_dir"
    if pd.read_csv(io.StringIO("name\na\0b\n"))["name"][0] == "a"
    else r"row 2 of @/validation.csv names '2/a\x00b.jpg', which can't be the name of a file: correct it"
)
NUMBER, POINTS = "val_set/annotations/3_exp.npy", "val_set/annotations/3_lnd.npy"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in WRITERS}
    for layout, (_, write) in WRITERS.items():
        write(folders[layout])
    return folders


@pytest.fixture
def copy(originals, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where indexes go

    def make(layout):
        shutil.copytree(originals[layout], tmp_path / "copy")
        return tmp_path / "copy"

    return make


def png(width, height, rows=None):
    """A whole PNG file of one colour that takes a few kilobytes, whatever its size."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    row = zlib.compressobj(9)
    lines = b"".join(row.compress(bytes(1 + (width + 7) // 8)) for _ in range(rows or height)) + row.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def instead(make):
    """Something else in the place of a picture."""

    def change(copy, name):
        path = copy / PICTURES[name]
        path.unlink()
        make(path)

    return change


def bomb(width, height):
    return instead(lambda path: path.write_bytes(png(width, height)))


def repaired(copy, name):
    path = copy / PICTURES[name]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff\xd9")


def renamed(copy, name):
    path = copy / PICTURES[name]
    os.rename(os.fsencode(path), os.fsencode(path.parent) + b"/caf\xe9.jpg")


CUT = "is cut short or damaged: replace the file, or remove its row"
SIZE = "and at most 50 million, and 16,384 on a side, are read: shrink it, or remove its row"
ANY = {
    "12,000 x 12,000 pixels in a few kilobytes": (bomb(12_000, 12_000), f"@ has 12000x12000 pixels, {SIZE}"),
    "60,000 x 60,000 pixels": (
        instead(lambda path: path.write_bytes(png(60_000, 60_000, 1))),
        f"@ has too many pixels, {SIZE}",
    ),
    "20,000 pixels wide": (bomb(20_000, 1), f"@ has 20000x1 pixels, {SIZE}"),
    "empty": (instead(lambda path: path.write_bytes(b"")), "@ cannot be read as an image: replace the file, or remove its row"),
    "a text": (
        instead(lambda path: path.write_text("<html>404</html>")),
        "@ cannot be read as an image: replace the file, or remove its row",
    ),
    "cut": (lambda copy, name: os.truncate(copy / PICTURES[name], 900), f"@ {CUT}"),
    "a folder": (instead(lambda path: path.mkdir()), "@ is a folder and no image file: rename or remove it"),
    "a pipe": (instead(os.mkfifo), "@ is a pipe or a device and no image file: rename or remove it"),
    "a link to nothing": (
        instead(lambda path: path.symlink_to("nowhere.jpg")),
        "@ is a link to a file that is not there: check data_dir",
    ),
    "a circle of links": (
        instead(lambda path: path.symlink_to(path.name)),
        "@ cannot be read (Too many levels of symbolic links): replace the file, or remove its row",
    ),
}
"""Of a picture in any data set; ``@`` is the picture."""


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("case", ANY)
def test_a_picture_that_is_none_is_named_without_being_decoded(case, name, copy, monkeypatch):
    folder = copy(name)
    change, sentence = ANY[case]
    change(folder, name)
    sentence = sentence.replace("@", f"{folder}/{PICTURES[name]}")
    decoded = []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda content, flags: decoded.append(len(content)) or decode(content, flags))
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        data.load(name, folder, "test")
    assert str(refused.value) == sentence and decoded == []


def refused(folder, name, sentence, before=()):
    """The check and load both say it, and leave nothing behind but the index."""
    result = CliRunner().invoke(app, ["check", name, "--data-dir", str(folder), "--json", str(folder.parent / "report.json")])
    seen = result.stdout if result.exception is None or isinstance(result.exception, SystemExit) else str(result.exception)
    assert sentence in seen, seen
    assert result.exit_code == 1
    left = {path.name for path in folder.parent.iterdir()} - {"copy", "runs", "report.json", *before}
    assert not left


def edit(file, change):
    def spoil(copy, name):
        path = copy / file
        path.write_text(change(path.read_text()))

    return spoil


def cell(row, column, value):
    def change(text):
        lines = text.splitlines()
        cells = lines[row].split(",")
        cells[column] = value
        lines[row] = ",".join(cells)
        return "\n".join(lines) + "\n"

    return change


def array(file, value):
    return lambda copy, name: np.save(copy / file, value)


def deeper(copy, name):
    (copy.parent / "moved").mkdir()
    copy.rename(copy.parent / "moved" / "inner")
    (copy.parent / "moved").rename(copy)


FAR = ";".join(["1e8"] + ["60"] * 135)
CASES = {
    "a jpeg whose end was repaired": ("rafdb", repaired, f"@/{PICTURES['rafdb']} is cut short, though its end was repaired: replace the file, or remove its row"),
    "the same in affectnet": ("affectnet", repaired, f"@/{PICTURES['affectnet']} is cut short, though its end was repaired: replace the file, or remove its row"),
    "a name that is not utf-8": ("fer2013", renamed, r"the name 'caf\udce9.jpg' in @/test/sad is not UTF-8: rename the file"),
    "the same in affectnet's images": ("affectnet", renamed, r"the name 'caf\udce9.jpg' in @/val_set/images is not UTF-8: rename the file"),
    "one coordinate of 1e8": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[4], "1e8", 1)), "landmarks of test_0003.jpg are none of a face: one reaches 1e+06 of its sides"),
    "one coordinate of 1e300": ("rafdb", edit(TEXT, lambda text: text.replace(text.split()[4], "1e300", 1)), "landmarks of test_0003.jpg are none of a face: one reaches inf of its sides"),
    "a landmark file of zeros": ("rafdb", edit(TEXT, lambda text: "0\t0\n" * 68), "landmarks of test_0003.jpg are none of a face: all lie in one place"),
    "an array of zeros": ("affectnet", array(POINTS, np.zeros(136)), "landmarks of val_set/images/3.jpg are none of a face: all lie in one place"),
    "1e8 in an array": ("affectnet", array(POINTS, np.array([1e8] + [60.0] * 135)), "landmarks of val_set/images/3.jpg are none of a face: one reaches 4.46e+05 of its sides"),
    "1e8 in a table": ("affectnet_csv", edit("validation.csv", cell(3, 5, FAR)), "landmarks of 2/test0002.jpg are none of a face: one reaches 8.33e+05 of its sides"),
    "an array with an object": ("affectnet", array(NUMBER, np.array({"a": 1})), f"annotation @/{NUMBER} cannot be read (Object arrays cannot be loaded when allow_pickle=False): it must be a whole .npy file"),
    "an array that claims a terabyte": ("affectnet", lambda copy, name: (copy / POINTS).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 70) + b"{'descr': '<f8', 'fortran_order': False, 'shape': (200000000000,), }".ljust(69) + b"\n"), f"annotation @/{POINTS} cannot be read ("),
    "an annotation that is a pipe": ("affectnet", lambda copy, name: ((copy / POINTS).unlink(), os.mkfifo(copy / POINTS)), f"no annotation @/{POINTS} for affectnet: each face needs one"),
    "a landmark file that is a pipe": ("rafdb", lambda copy, name: ((copy / TEXT).unlink(), os.mkfifo(copy / TEXT)), f"no landmark file @/{TEXT}: `python -m palcore landmarks` makes a table instead"),
    "a list that is a pipe": ("rafdb", lambda copy, name: ((copy / LIST).unlink(), os.mkfifo(copy / LIST)), f"no @/{LIST} for rafdb:"),
    "a list in utf-16": ("rafdb", lambda copy, name: (copy / LIST).write_text((copy / LIST).read_text(), "utf-16"), f"@/{LIST} is no text: it must have lines such as `train_00001.jpg 5`"),
    "one bad emotion of 56": ("fer2013_csv", edit("fer2013.csv", cell(45, 0, "x")), "PROBLEM: test, label: 1\n  emotion x in row 44 of @/fer2013.csv: it must be in 0..6"),
    "an emotion that is missing": ("fer2013_csv", edit("fer2013.csv", cell(45, 0, "")), "PROBLEM: test, label: 1\n  emotion  in row 44 of @/fer2013.csv: it must be in 0..6"),
    "an emotion of 1e400": ("fer2013_csv", edit("fer2013.csv", cell(45, 0, "1e400")), "PROBLEM: test, label: 1\n  emotion 1e400 in row 44 of @/fer2013.csv: it must be in 0..6"),
    "a row removed from the csv file": ("fer2013_csv", edit("fer2013.csv", lambda text: "".join(text.splitlines(True)[:5] + text.splitlines(True)[6:])), "landmark table @/landmarks.csv.gz has 1 rows that the csv file lacks, fer2013.csv:55 first: rows were removed from it, and its numbers may mean other faces now; take the file as it was published, or make the table again"),
    "a name with a null byte": ("affectnet_csv", edit("validation.csv", cell(3, 0, "2/a\0b.jpg")), NULL),
    "a folder with too long a name": ("affectnet_csv", edit("validation.csv", cell(3, 0, "2" * 300 + "/a.jpg")), "/a.jpg cannot be read (File name too long): replace the file, or remove its row"),
    "a picture outside the folder": ("affectnet_csv", edit("validation.csv", cell(3, 0, "../../secret.jpg")), "row 2 of @/validation.csv names ../../secret.jpg, which lies outside @/Manually_Annotated_Images: correct it"),
    "the same with a backslash": ("affectnet_csv", edit("validation.csv", cell(3, 0, r"1\..\..\secret.jpg")), "row 2 of @/validation.csv names 1/../../secret.jpg, which lies outside @/Manually_Annotated_Images: correct it"),
    "an absolute path": ("affectnet_csv", edit("validation.csv", cell(3, 0, "/etc/secret.jpg")), "row 2 of @/validation.csv names /etc/secret.jpg, which lies outside @/Manually_Annotated_Images: correct it"),
    "a drive": ("affectnet_csv", edit("validation.csv", cell(3, 0, r"C:\secret.jpg")), "row 2 of @/validation.csv names C:/secret.jpg, which lies outside @/Manually_Annotated_Images: correct it"),
    "two images of one annotation": ("affectnet", lambda copy, name: shutil.copy(copy / "val_set/images/3.jpg", copy / "val_set/images/3.png"), "both 3.jpg and 3.png in @/val_set/images are the image of one face: remove one"),
    "fer2013 one level too high": ("fer2013", deeper, "no folder @/train for fer2013: data_dir must hold train/, validation/, test/, or fer2013.csv; @/inner does: give that as data_dir"),
    "its csv form one level too high": ("fer2013_csv", deeper, "no folder @/train for fer2013: data_dir must hold train/, validation/, test/, or fer2013.csv; @/inner does: give that as data_dir"),
    "rafdb one level too high": ("rafdb", deeper, "@/inner does: give that as data_dir"),
    "rafdb's folders one level too high": ("rafdb_folders", deeper, "does: give that as data_dir"),
    "affectnet one level too high": ("affectnet", deeper, "@/inner does: give that as data_dir"),
    "its tables one level too high": ("affectnet_csv", deeper, "@/inner does: give that as data_dir"),
    "a packed table that is cut": ("fer2013", lambda copy, name: os.truncate(copy / "landmarks.csv.gz", 30), "landmark table @/landmarks.csv.gz cannot be read ("),
    "a packed table that is none": ("fer2013", lambda copy, name: (copy / "landmarks.csv.gz").write_text("file,found"), "landmark table @/landmarks.csv.gz cannot be read (Not a gzipped file (b'fi')): it must be a whole .csv or .csv.gz file"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_check_ends_with_one_sentence(case, copy):
    layout, change, sentence = CASES[case]
    folder = copy(layout)
    change(folder, WRITERS[layout][0])
    refused(folder, WRITERS[layout][0], sentence.replace("@", str(folder)))


@pytest.mark.parametrize(
    "inner", [("fer2013", "test"), ("rafdb", "Image"), ("affectnet", "val_set"), ("affectnet_csv", "Manually_Annotated_Images")]
)
def test_a_folder_too_deep_is_told_where_it_is(inner, copy):
    layout, place = inner
    folder = copy(layout)
    with pytest.raises(FileNotFoundError, match=f"; {folder} does: give that as data_dir"):
        data.load(WRITERS[layout][0], folder / place, "test")


def test_a_file_outside_the_folder_is_never_opened(copy, monkeypatch):
    folder = copy("affectnet_csv")
    write_image(folder.parent / "secret.jpg", drawn_faces("test", 120)[0][0])
    edit("validation.csv", cell(3, 0, "../../secret.jpg"))(folder, "affectnet")
    opened = []
    for module in (images, __import__("palcore.data.probe", fromlist=["probe"])):
        monkeypatch.setattr(module, "probe_image", lambda path: opened.append(str(path)) or probe_image(path))
    with pytest.raises(ValueError, match="lies outside"):
        data.load("affectnet", folder, "test")
    assert not any("secret" in path for path in opened)


def forbidden(monkeypatch, path):
    """As for someone without permission; tests may run as one who has all."""
    for module, name in ((os, "stat"), (os, "scandir"), (__import__("builtins"), "open"), (__import__("io"), "open")):
        real = getattr(module, name)

        def guarded(place, *rest, real=real, **options):
            if not isinstance(place, int) and str(place) == str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return real(place, *rest, **options)

        monkeypatch.setattr(module, name, guarded)


@pytest.mark.parametrize(
    ("layout", "file"),
    [
        ("rafdb", PICTURES["rafdb"]), ("rafdb", LIST), ("rafdb", TEXT), ("fer2013", "test/sad"), ("fer2013", "landmarks.csv.gz"),
        ("fer2013", PICTURES["fer2013"]), ("fer2013_csv", "fer2013.csv"), ("affectnet", POINTS), ("affectnet", "val_set/images"),
        ("affectnet_csv", "validation.csv"),
    ],
)  # fmt: skip
def test_a_missing_permission_is_told_from_a_broken_file(layout, file, copy, monkeypatch):
    folder = copy(layout)
    forbidden(monkeypatch, folder / file)
    with pytest.raises(ValueError) as said:
        data.load(WRITERS[layout][0], folder, "test")
    assert str(said.value) == f"no permission to read {folder / file}: change its mode or owner"


def hidden_files(copy):
    for folder in [path for path in copy.rglob("*") if path.is_dir()]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"\0\1")
        for path in [path for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "T", "d"))]:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7Mac OS X")
        (folder / ".ipynb_checkpoints").mkdir()


def with_suffix(suffix, upper=False):
    def change(copy):
        for path in list(copy.rglob("*.jpg")):
            image = cv2.imread(str(path))
            path.unlink()
            new = path.with_suffix(suffix)
            cv2.imwrite(str(new), image)
            if upper:
                new.rename(new.with_suffix(suffix.upper()))

    return change


def backslashes(copy):
    table = copy / "validation.csv"
    table.write_text(table.read_text().replace("/", "\\"))


FINE = {
    "hidden files": hidden_files,
    "png": with_suffix(".png"),
    "upper case": with_suffix(".jpg", True),
    "jpeg": with_suffix(".jpeg"),
    "webp": with_suffix(".webp", True),
}


@pytest.mark.parametrize("layout", ["rafdb", "rafdb_folders", "affectnet", "affectnet_csv"])
@pytest.mark.parametrize("case", FINE)
def test_what_is_fine_all_the_same(case, layout, copy):
    folder = copy(layout)
    name = WRITERS[layout][0]
    before = (
        data.load(name, folder, "test", index_dir=folder.parent / "one") if name == "affectnet" else data.load(name, folder, "test")
    )
    before_images = before.images[:]
    FINE[case](folder)
    after = (
        data.load(name, folder, "test", index_dir=folder.parent / "two") if name == "affectnet" else data.load(name, folder, "test")
    )
    assert len(after) == len(before)
    np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_array_equal(after.landmarks, before.landmarks)
    assert np.abs(after.images[:].astype(int) - before_images).mean() < 3


def test_hidden_files_are_no_faces_of_fer2013(copy):
    folder = copy("fer2013")
    hidden_files(folder)
    assert [len(data.load("fer2013", folder, split)) for split in ("train", "validation", "test")] == [28, 14, 14]


def test_tables_from_another_system_may_have_backslashes_and_be_packed(copy):
    folder = copy("affectnet_csv")
    before = data.load("affectnet", folder, "test", index_dir=folder.parent / "one")
    backslashes(folder)
    after = data.load("affectnet", folder, "test", index_dir=folder.parent / "two")
    assert after.fingerprint() == before.fingerprint()
    import gzip

    table = folder / "validation.csv"
    (folder / "Validation.csv.gz").write_bytes(gzip.compress(table.read_bytes()))
    table.unlink()
    assert data.load("affectnet", folder, "test", index_dir=folder.parent / "two").fingerprint() == before.fingerprint()


@pytest.mark.parametrize("name", ["icml_face_data.csv", "icml_face_data.csv.gz", "fer2013.csv.gz"])
def test_fer2013_s_csv_file_under_its_public_names(name, copy):
    folder = copy("fer2013_csv")
    before = data.load("fer2013", folder, "test")
    text = (folder / "fer2013.csv").read_text()
    if "icml" in name:  # other order of columns, a space before their names
        lines = [line.split(",") for line in text.splitlines()]
        text = "\n".join(f"{emotion}, {usage}, {pixels}" for emotion, pixels, usage in lines)
    (folder / "fer2013.csv").unlink()
    import gzip

    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert data.load("fer2013", folder, "test").fingerprint() == before.fingerprint()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_size_and_pixels_are_those_of_the_picture_as_it_is_shown(orientation, suffix, tmp_path):
    shown = np.zeros((40, 60, 3), np.uint8)
    shown[:10, :10], shown[-10:, :10] = 255, 90
    stored = Image.fromarray(shown)
    back = {2: (0,), 3: (3,), 4: (1,), 5: (5,), 6: (2,), 7: (6,), 8: (4,)}.get(orientation, ())
    for step in back:
        stored = stored.transpose(Image.Transpose(step))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"x{suffix}", exif=exif.tobytes(), quality=100)
    assert probe_image(tmp_path / f"x{suffix}") == (60, 40, orientation)
    assert np.abs(images.read_image(tmp_path / f"x{suffix}").astype(int) - shown).max() < 30
    width, height = stored.size
    corner = np.argwhere(np.asarray(stored)[..., 0] > 200).mean(axis=0)[::-1] + 0.5
    np.testing.assert_allclose(images.turned(corner / (width, height), orientation) * (60, 40), (5, 5), atol=0.6)
