import os
import time
import warnings

import numpy as np
import pytest

from palcore import data
from palcore.data import affectnet, folder_index
from palcore.data.folder_index import folder_signature, indexed
from tests.copies import write_affectnet, write_affectnet_csv


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "folder"
    (place / "deep").mkdir(parents=True)
    for name in ("a.npy", "b.txt", "deep/c.npy"):
        (place / name).write_text(name)
    return place


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.npy").write_text("x"),
        lambda folder: (folder / "deep" / "c.npy").unlink(),
        lambda folder: (folder / "a.npy").rename(folder / "z.npy"),
        lambda folder: (folder / "a.npy").rename(folder / "deep" / "a.npy"),
        lambda folder: (folder / "deep" / "c.npy").write_text("longer than before"),
        lambda folder: os.utime(folder / "a.npy", ns=(1, time.time_ns() + 10**9)),
    ],
)
def test_the_signature_changes_with_the_folder(folder, change):
    before = folder_signature([folder])
    assert folder_signature([folder]) == before
    change(folder)
    assert folder_signature([folder]) != before


def test_the_signature_leaves_out_what_is_not_wanted(folder):
    before = folder_signature([folder], (".npy",))
    (folder / "d.txt").write_text("another")
    assert folder_signature([folder], (".npy",)) == before
    assert folder_signature([folder / "b.txt"]) != folder_signature([folder / "a.npy"])
    assert folder_signature([folder / "nowhere"]) == folder_signature([folder / "nowhere"])


def test_an_index_is_built_once_and_again_when_the_version_changes(tmp_path):
    built = []

    def build():
        built.append(len(built))
        return {"numbers": np.arange(3) + built[-1]}, {"facts": built[-1]}

    for version, number in (("one", 0), ("one", 0), ("two", 1), ("two", 1), ("one", 2)):
        arrays, facts = indexed(build, "some", version, tmp_path)
        assert arrays["numbers"].tolist() == [number, number + 1, number + 2] and facts == {"facts": number}
        assert [path.name for path in (tmp_path / "some").iterdir()] == [version]
    assert len(built) == 3
    assert isinstance(arrays["numbers"], np.memmap)


def test_a_second_process_that_was_faster_wins(tmp_path):
    def build():
        indexed(lambda: ({"numbers": np.array([1])}, {}), "some", "one", tmp_path)  # the other one, in the meantime
        return {"numbers": np.array([2])}, {}

    assert indexed(build, "some", "one", tmp_path)[0]["numbers"].tolist() == [1]
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["one"]


def test_without_a_place_for_the_index_the_faces_come_all_the_same(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="no index kept in .*taken/some .*: the files will be read again next time"):
        arrays, _ = indexed(lambda: ({"numbers": np.arange(3)}, {}), "some", "one", tmp_path / "taken")
    assert arrays["numbers"].tolist() == [0, 1, 2]


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: emptied(kept / "facts.json"),
        lambda kept: (kept / "facts.json").write_text('{"arrays": ["numb'),
        lambda kept: (kept / "facts.json").write_text("[]"),
        lambda kept: (kept / "facts.json").write_bytes(b"\xff"),
        lambda kept: os.truncate(kept / "numbers.npy", 140),
        lambda kept: os.truncate(kept / "numbers.npy", 20),
        lambda kept: emptied(kept / "numbers.npy"),
        lambda kept: (kept / "numbers.npy").unlink(),
    ],
)
def test_a_damaged_index_is_made_again_with_a_warning(tmp_path, damage):
    def read():
        arrays, facts = indexed(lambda: ({"numbers": np.arange(3)}, {"a": 1}), "some", "one", tmp_path)
        return arrays["numbers"].tolist(), facts

    whole = read()
    damage(tmp_path / "some" / "one")
    with pytest.warns(UserWarning, match="index .*some/one is damaged .*: it is made again from the files"):
        assert read() == whole
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read() == whole == ([0, 1, 2], {"a": 1})


@pytest.mark.parametrize("form", ["npy", "csv"])
def test_affectnet_is_read_again_only_when_its_folder_has_changed(form, tmp_path, monkeypatch):
    reader = f"read_{form}_form"
    read, calls = getattr(affectnet, reader), []

    def counted(*arguments):
        calls.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(affectnet, reader, counted)
    (write_affectnet if form == "npy" else write_affectnet_csv)(tmp_path / "copy")

    def test_labels():
        faces = data.load("affectnet", tmp_path / "copy", "test", index_dir=tmp_path / "index")
        return dict(zip(faces.files.tolist(), faces.labels.tolist(), strict=True))

    before = test_labels()
    assert test_labels() == before and len(calls) == 1
    name = next(name for name, label in before.items() if label != 3)
    if form == "npy":
        stem = name.split("/")[-1].removesuffix(".jpg")
        path = tmp_path / "copy" / "val_set" / "annotations" / f"{stem}_exp.npy"
        time.sleep(0.02)  # the clock of some file systems
        np.save(path, np.array("1"))
    else:
        path = tmp_path / "copy" / "validation.csv"
        lines = path.read_text().splitlines()
        row = next(number for number, text in enumerate(lines) if text.startswith(f"{name},"))
        cells = lines[row].split(",")
        cells[6] = "1"
        lines[row] = ",".join(cells)
        time.sleep(0.02)
        path.write_text("\n".join(lines))
    assert test_labels() == before | {name: 3} and len(calls) == 2
    data.load("affectnet", tmp_path / "copy", "train", index_dir=tmp_path / "index")
    data.load("affectnet", tmp_path / "copy", "validation", index_dir=tmp_path / "index")
    assert len(calls) == 3


def test_two_copies_have_indexes_of_their_own(tmp_path):
    for name in ("first", "second"):
        write_affectnet(tmp_path / name)
        data.load("affectnet", tmp_path / name, "test")
    kept = [path.name for path in folder_index.INDEX_DIR.iterdir()]
    assert len(kept) == 2 and all(name.startswith("affectnet-test-") for name in kept)


def test_many_files_are_read_by_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("palcore.data.probe.MANY", 10)
    monkeypatch.setattr("palcore.data.probe.CHUNK", 4)
    drawn = write_affectnet(tmp_path / "copy")
    faces = data.load("affectnet", tmp_path / "copy", "test", index_dir=tmp_path / "index")
    assert faces.labels.tolist() == [drawn[file].label for file in faces.files]
