"""Sound copies of each layout, drawn once for all tests here; each test spoils a copy of its own."""

import functools
import shutil

import pytest

from tests.copies import WRITERS, write_rafdb

LAYOUTS = WRITERS | {"rafdb_table": ("rafdb", lambda folder: write_rafdb(folder, landmarks="table"))}


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    """``original(layout)``: the folder of a sound copy, and the faces in it."""

    @functools.cache
    def original(layout):
        folder = tmp_path_factory.mktemp(layout)
        return folder, LAYOUTS[layout][1](folder)

    return original


@pytest.fixture
def copy(originals, tmp_path, monkeypatch):
    """``copy(layout)`` gives a copy to spoil, in an empty folder in which nothing else may be left."""
    monkeypatch.chdir(tmp_path)
    return lambda layout: shutil.copytree(originals(layout)[0], tmp_path / "copy")


@pytest.fixture
def drawn(originals):
    """``drawn(layout)``: what is in a sound copy, ``{name: Drawn}``."""
    return lambda layout: originals(layout)[1]
