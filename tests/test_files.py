"""The door for files: regular ones only, sizes first, one sentence for any fault; what is written is whole, no link is followed."""

import errno
import os

import numpy as np
import pytest

from palcore import files
from palcore.data.images import read_image
from palcore.files import locked, pictures_of, read_array, read_arrays, read_json, read_text, whole_file, write_arrays, write_json

READERS = {
    "JSON": lambda path: read_json(path, "run record", "give another"),
    "arrays": lambda path: read_arrays(path, "predictions", "give another"),
    "picture": lambda path: pictures_of([path]),
}
KINDS = {
    "missing": (lambda path: None, FileNotFoundError, "give"),
    "pipe": (os.mkfifo, FileNotFoundError, "a pipe or a device"),
    "device": (lambda path: path.symlink_to("/dev/zero"), FileNotFoundError, "a pipe or a device"),
    "loop of links": (lambda path: path.symlink_to(path), ValueError, "cannot be read"),
    "folder": (os.mkdir, (FileNotFoundError, ValueError), "folder"),
    "dangling link": (lambda path: path.symlink_to("nothing"), FileNotFoundError, "a link to a file that is not there"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_named_and_not_waited_for(kind, reader, tmp_path):
    make, error, words = KINDS[kind]
    path = tmp_path / "x"
    make(path)
    with pytest.raises(error, match=words) as problem:
        READERS[reader](path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_may_not_be_read_is_not_called_damaged(reader, tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"{}")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(ValueError, match="no permission to read"):
        READERS[reader](path)


def test_arrays_come_back_as_they_were_and_a_flipped_byte_is_named_or_changes_nothing(tmp_path, rng):
    path, refused = tmp_path / "x.npz", 0
    arrays = {"a": np.asfortranarray(rng.normal(size=(40, 7))), "b": np.array(7, np.int8), "c": np.zeros((0, 7))}
    arrays |= {"d": np.array(["x", "yy"]), "e": np.arange(90, dtype=np.uint8)}
    for compressed in (True, False):
        write_arrays(path, arrays, compressed)
        whole = path.read_bytes()
        for place in [-1, *rng.integers(len(whole), size=500)]:
            changed = whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :]
            path.write_bytes(whole if place < 0 else changed)
            try:
                found = read_arrays(path, "predictions", "train again")
            except ValueError as problem:
                assert place >= 0 and "is damaged: train again" in str(problem)
                refused += 1
            else:  # unchanged; or a date, a permission, a name: nothing that is read
                assert place >= 0 or list(found) == list(arrays)
                for array, kept in zip(found.values(), arrays.values(), strict=True):
                    np.testing.assert_array_equal(array, kept, strict=True)
    assert refused > 500
    np.savez(path, a=np.array([{}]))
    with pytest.raises(ValueError, match="is damaged"):  # objects are never unpickled
        read_arrays(path, "predictions", "train again")


@pytest.mark.parametrize("read", [read_json, read_text, read_array, lambda path, what: read_image(path)])
def test_what_is_far_too_large_is_not_read(read, tmp_path):
    (tmp_path / "x").write_bytes(b"")
    os.truncate(tmp_path / "x", 40 << 30)  # of no block on the disk
    with pytest.raises(ValueError, match="42,949,672,960 bytes: at most"):
        read(tmp_path / "x", "run record")


@pytest.mark.parametrize("content", [b"", b'{"config": {', b"\xff\xfe{}", b"[" * 100_000, b"PK", b'{"accuracy": NaN}'])
def test_what_is_no_json_is_named(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match="is not a run record .*: give another"):
        read_json(tmp_path / "x", "run record", "give another")


@pytest.mark.parametrize("place", ["x.json", "x.json.tmp"])
def test_a_link_is_read_as_its_file_and_replaced_and_what_it_points_to_is_left_alone(place, tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / place).symlink_to("kept")
    assert read_text(tmp_path / place, "record") == "kept"
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json", "record") == {"a": 1}
    assert (tmp_path / "kept").read_text() == "kept" and sorted(os.listdir(tmp_path)) == ["kept", "x.json"]


def test_an_error_leaves_the_old_file_and_no_draft(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyError), whole_file(tmp_path / "x") as draft:
        draft.write_text("half")
        raise KeyError
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_text() == "old"


def test_a_lock_s_file_is_never_written_and_no_link_is_one(tmp_path):
    path = tmp_path / "lock"
    path.write_text("kept")
    with locked(path, "busy"):
        assert path.read_text() == "kept"
    for make in (lambda: path.symlink_to("other"), lambda: os.mkfifo(path)):
        path.unlink()
        make()
        with pytest.raises(ValueError, match="remove it"), locked(path, "busy"):
            pass
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_gone_on_with_and_said(number, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    if number == errno.EIO:  # a fault, and no lack of locks
        with pytest.raises(OSError, match="error"), locked(tmp_path / "lock", "busy"):
            pass
        return
    with locked(tmp_path / "lock", "busy"):
        assert "no locks on this file system" in capsys.readouterr().err
