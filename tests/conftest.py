"""Settings that every test shares."""

import os
import secrets

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("study", deadline=None)
settings.load_profile("study")


@pytest.fixture
def rng():
    return np.random.default_rng(20220323)


@pytest.fixture(autouse=True)
def own_index(monkeypatch, tmp_path_factory):
    """No test finds an index of another, or leaves one in the working folder."""
    from palcore.data import folder_index

    monkeypatch.setattr(folder_index, "INDEX_DIR", tmp_path_factory.getbasetemp() / "indexes" / secrets.token_hex(4))


@pytest.fixture
def small(monkeypatch):
    """Training on 70 faces of 32 pixels a split."""
    from palcore.data import load
    from palcore.runs import faces

    def load_faces(options, split, index_dir=None, **changes):
        given = {"shortcut": options.shortcut, "seed": options.seed, **changes}
        return load("synthetic", None, split, image_size=32, count=70, **given)

    monkeypatch.setattr(faces, "load_faces", load_faces)
