"""A data set is read once: from its index, until a source changes."""

import os
import time
import warnings

import numpy as np
import pytest

from palcore.data import index, load, pictures
from palcore.data.index import indexed, open_index, signature, write_index
from palcore.data.rafdb import READER as RAFDB
from tests.copies import WRITERS, write_table


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
    before = signature([folder], "x")
    assert signature([folder], "x") == before != signature([folder], "y")
    assert signature([folder / "b.txt"]) != signature([folder / "nowhere"]) == signature([folder / "nowhere"])
    change(folder)
    assert signature([folder], "x") != before


class Built:
    """Builds an index of three numbers, and counts how often."""

    def __init__(self, meanwhile=None):
        self.times, self.meanwhile = 0, meanwhile

    def __call__(self, folder):
        self.times += 1
        if self.meanwhile:
            self.meanwhile()
        write_index(folder, {"numbers": np.arange(3) + self.times, "none": np.zeros((0, 2))}, {"times": self.times})

    def opened(self, home, version="one"):
        arrays, facts = open_index(indexed(self, "some", version, home))
        return arrays["numbers"].tolist(), facts["times"]


def test_an_index_is_built_once_and_again_when_the_version_changes(tmp_path):
    build = Built()
    for version, times in (("one", 1), ("one", 1), ("two", 2), ("two", 2), ("one", 3)):
        assert build.opened(tmp_path, version) == ([times, times + 1, times + 2], times)
        assert [path.name for path in (tmp_path / "some").iterdir()] == [version]
    arrays, _ = open_index(tmp_path / "some" / "one")
    assert isinstance(arrays["numbers"], np.memmap) and arrays["none"].shape == (0, 2)


def test_a_second_process_that_was_faster_wins_without_a_lock(tmp_path):
    other = Built()
    other.times = 5
    build = Built(lambda: other.opened(tmp_path))
    assert build.opened(tmp_path)[1] == 6
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["one"]


def test_a_build_that_fails_leaves_nothing(tmp_path):
    def fails():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="no room for the index in .*some: make some"):
        Built(fails).opened(tmp_path)
    assert list((tmp_path / "some").iterdir()) == []


def test_a_place_where_no_index_can_be_kept_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"no index can be kept in .*taken/some \(.*\): give another folder as index_dir"):
        Built().opened(tmp_path / "taken")


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / "facts.json").write_bytes(b""),
        lambda kept: (kept / "facts.json").write_text("[]"),
        lambda kept: os.truncate(kept / "numbers.npy", 140),
        lambda kept: (kept / "numbers.npy").unlink(),
    ],
)
def test_a_damaged_index_is_made_again_with_a_warning(tmp_path, damage):
    build = Built()
    build.opened(tmp_path)
    damage(tmp_path / "some" / "one")
    with pytest.warns(UserWarning, match="index .*some/one is damaged .*: it is made again"):
        assert build.opened(tmp_path)[1] == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build.opened(tmp_path)[1] == 2


@pytest.fixture
def counted(monkeypatch):
    """How often pictures are decoded by the pass."""
    looks, look = [], pictures._look
    monkeypatch.setattr(pictures, "_look", lambda *given: looks.append(1) or look(*given))
    return looks


@pytest.mark.parametrize("layout", WRITERS)
def test_a_data_set_is_read_again_only_when_it_has_changed(layout, copy, drawn, counted):
    (name, _), folder, count = WRITERS[layout], copy(layout), len(drawn(layout))
    before = [load(name, folder, split).fingerprint() for split in ("train", "validation", "test", "train")]
    assert len(counted) == count and before[0] == before[3]
    path = next(path for path in folder.rglob("*") if path.suffix in (".jpg", ".csv"))
    os.utime(path, ns=(1, time.time_ns() + 10**9))
    assert load(name, folder, "train").fingerprint() == before[0]
    assert len(counted) == 2 * count
    assert all(path.name.startswith((f"{name}-", "landmarks-")) for path in index.INDEX_DIR.iterdir())


def test_another_landmark_table_reads_no_picture_again(copy, drawn, counted):
    folder = copy("rafdb")
    load("rafdb", folder, "train")
    for table in (folder.parent / "table.csv", folder / "other.csv.gz"):
        write_table(table, drawn("rafdb"))
        faces = load("rafdb", folder, "train", landmarks=table)
        np.testing.assert_allclose(faces.landmarks, [drawn("rafdb")[file].landmarks for file in faces.files], atol=1e-5)
    assert len(counted) == len(drawn("rafdb"))
    assert len(list(index.INDEX_DIR.iterdir())) == 4  # pictures, and three sources of landmarks


def test_pixels_are_copied_up_to_a_limit_and_the_same_from_their_files(copy, tmp_path, monkeypatch, capsys):
    folder = copy("rafdb")
    copied = load("rafdb", folder, "test", image_size=64)
    assert copied.images.read.pixels.shape == (42, 100, 100, 3)
    assert "every picture is looked at once, up to 1 GB of pixels are kept in" in capsys.readouterr().err
    monkeypatch.setattr(pictures, "MOST_COPIED", 300_000)
    for home, one_size in (("too many", True), ("of several sizes", False)):
        monkeypatch.setattr(type(RAFDB), "ONE_SIZE", one_size)
        read = load("rafdb", folder, "test", image_size=64, index_dir=tmp_path / home)
        assert ("they are read where they are" in capsys.readouterr().err) == (not one_size)
        assert read.images.read.pixels is None and not list((tmp_path / home).rglob("pixels.npy"))
        np.testing.assert_array_equal(read.images[:], copied.images[:])
