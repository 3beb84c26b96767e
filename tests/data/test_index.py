"""A data set is read once: from its index, until a source changes."""

import os
import time
import warnings

import numpy as np
import pytest

from palcore.data import index, load, pictures
from palcore.data.index import indexed, open_index, signature, write_index
from tests.copies import WRITERS, write_affectnet, write_fer2013_csv, write_rafdb, write_table


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


def test_without_a_place_for_the_index_the_faces_come_all_the_same_and_once_a_process(tmp_path):
    (tmp_path / "taken").write_text("a file where the folder should be")
    build = Built()
    with pytest.warns(UserWarning, match="no index kept in .*taken/some .*: the files will be read again next time"):
        assert build.opened(tmp_path / "taken") == build.opened(tmp_path / "taken") == ([1, 2, 3], 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / "facts.json").write_bytes(b""),
        lambda kept: (kept / "facts.json").write_text('{"arrays": ["numb'),
        lambda kept: (kept / "facts.json").write_text("[]"),
        lambda kept: (kept / "facts.json").write_bytes(b"\xff"),
        lambda kept: os.truncate(kept / "numbers.npy", 140),
        lambda kept: (kept / "numbers.npy").write_bytes(b""),
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
def test_a_data_set_is_read_again_only_when_it_has_changed(layout, tmp_path, counted):
    name, write = WRITERS[layout]
    drawn = write(tmp_path / "copy")
    before = [load(name, tmp_path / "copy", split).fingerprint() for split in ("train", "validation", "test", "train")]
    assert len(counted) == len(drawn) and before[0] == before[3]
    path = next(iter(drawn.values())).path
    os.utime(path, ns=(1, time.time_ns() + 10**9))
    assert load(name, tmp_path / "copy", "train").fingerprint() == before[0]
    assert len(counted) == 2 * len(drawn)


def test_another_landmark_table_reads_no_picture_again(tmp_path, counted):
    drawn = write_rafdb(tmp_path / "copy")
    load("rafdb", tmp_path / "copy", "train")
    write_table(tmp_path / "table.csv", drawn)
    faces = load("rafdb", tmp_path / "copy", "train", landmarks=tmp_path / "table.csv")
    np.testing.assert_allclose(faces.landmarks, [drawn[file].landmarks for file in faces.files], atol=1e-5)
    write_table(tmp_path / "copy" / "other.csv.gz", drawn)
    load("rafdb", tmp_path / "copy", "test", landmarks=tmp_path / "copy" / "other.csv.gz")
    assert len(counted) == len(drawn)
    assert len(list((index.INDEX_DIR).iterdir())) == 4  # pictures, and three sources of landmarks


def test_two_copies_have_indexes_of_their_own(tmp_path):
    for name in ("first", "second"):
        write_affectnet(tmp_path / name)
        load("affectnet", tmp_path / name, "test")
    kept = [path.name for path in index.INDEX_DIR.iterdir()]
    assert len(kept) == 4 and all(name.startswith("affectnet-") for name in kept)


def test_pixels_are_copied_up_to_a_limit_and_the_same_from_their_files(tmp_path, monkeypatch, capsys):
    write_rafdb(tmp_path / "copy")
    copied = load("rafdb", tmp_path / "copy", "test", image_size=64)
    assert copied.images.read.pixels.shape == (42, 100, 100, 3)
    said = capsys.readouterr().err
    assert "every picture is looked at once, their pixels take up to 460 MB" in said
    monkeypatch.setattr(pictures, "MOST_COPIED", 300_000)
    read = load("rafdb", tmp_path / "copy", "test", image_size=64, index_dir=tmp_path / "other")
    assert "they are read where they are" in capsys.readouterr().err
    assert read.images.read.pixels is None
    np.testing.assert_array_equal(read.images[:], copied.images[:])
    monkeypatch.setattr(pictures, "expected_bytes", lambda reader: 1)  # nobody knew that there are so many
    more = load("rafdb", tmp_path / "copy", "test", image_size=64, index_dir=tmp_path / "third")
    assert more.images.read.pixels is None
    assert not list((tmp_path / "third").rglob("pixels.npy"))


def test_images_can_be_read_in_another_process(tmp_path):
    import pickle

    write_fer2013_csv(tmp_path / "copy")
    images = load("fer2013", tmp_path / "copy", "test").images
    content = pickle.dumps(images)
    assert len(content) < 5000
    np.testing.assert_array_equal(pickle.loads(content)[:], images[:])
