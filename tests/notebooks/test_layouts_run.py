"""A run has the faces of each layout of the real data sets, and is trained on one of them."""

import json

import pytest

from palcore.runs.faces import run_faces
from palcore.runs.options import check_options
from palcore.runs.training import train
from tests.copies import TEST, WRITERS

TINY = {"image_size": 32, "epochs": 1, "units": 8, "batch_size": 8, "width_multiplier": 0.125}


def read_only_copy(layout, folder):
    """The data set's name, the faces drawn, and the files: a licensed folder may be read-only."""
    name, write = WRITERS[layout]
    drawn = write(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return name, drawn, sorted(folder.rglob("*"))


@pytest.mark.filterwarnings("ignore:not tested as ferplus")  # the votes are not among the files that are drawn
@pytest.mark.parametrize("layout", WRITERS)
def test_a_run_has_all_faces_of_each_layout(layout, tmp_path):
    name, drawn, before = read_only_copy(layout, tmp_path / "copy")
    options = check_options(dataset=name, data_dir=str(tmp_path / "copy"), **TINY)
    found = run_faces(options, index_dir=tmp_path / "index")
    assert set(found.tests) == {"test"} and len(found.tests["test"]) == TEST
    assert len(found.train) + len(found.validation) + TEST == len(drawn)
    for faces in (found.train, found.validation, found.tests["test"]):
        assert faces.images[0:2].shape == (2, 32, 32, 3) and faces.landmarks.shape == (len(faces), 68, 2)
    assert sorted((tmp_path / "copy").rglob("*")) == before


def test_a_run_is_trained_on_a_copy(tmp_path):
    name, drawn, before = read_only_copy("affectnet", tmp_path / "copy")
    out = tmp_path / "runs" / "one"
    train(check_options(dataset=name, data_dir=str(tmp_path / "copy"), out_dir=str(out), **TINY), verbose=0)
    record = json.loads((out / "record.json").read_text())
    assert sum(part["faces"] for part in record["data"].values()) == len(drawn)
    assert record["data"]["test"]["faces"] == record["metrics"]["test"]["faces"] == TEST
    assert record["config"]["dataset"] == name
    assert record["data"]["train"]["dropped"] == {"contempt": 1, "none": 1, "uncertain": 1, "no face": 1}
    assert len(list((tmp_path / "runs" / "index").iterdir())) == 2  # of pictures and of landmarks
    assert sorted((tmp_path / "copy").rglob("*")) == before
    assert str(tmp_path) not in (out / "record.json").read_text()
