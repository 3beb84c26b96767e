# ruff: noqa: E501
import numpy as np
import pandas as pd
import pytest

from palcore import EMOTIONS, data
from palcore.data.fer2013 import USAGES, VOTES, majority
from tests.copies import write_fer2013, write_fer2013_csv


def votes(**counts):
    return [counts.get(name, 0) for name in VOTES]


@pytest.mark.parametrize(
    ("counts", "label", "reason"),
    [
        ({"happiness": 6, "neutral": 4}, "happiness", ""),
        ({"happiness": 5, "neutral": 5}, None, "no majority"),
        ({"anger": 5, "fear": 4}, "anger", ""),  # five of nine: one voter is missing
        ({"sadness": 4, "fear": 3, "disgust": 3}, None, "no majority"),
        ({"contempt": 8, "neutral": 2}, None, "contempt"),
        ({"unknown": 7, "anger": 3}, None, "unknown"),
        ({"NF": 10}, None, "no face"),
        ({"surprise": 5, "unknown": 4, "NF": 1}, None, "no majority"),  # votes for no expression count among all
    ],
)
def test_more_than_half_of_all_votes_make_a_label(counts, label, reason):
    assert majority(np.array([votes(**counts)])).tolist() == [label or reason]


def write_ferplus(folder, drawn, cells):
    """Nine votes for each face's own label but for ``cells``, ``{row: votes}``."""
    usages = [USAGES[face.part] for face in drawn.values()]
    rows = [cells.get(row, votes(**{EMOTIONS[face.label]: 9, "unknown": 1})) for row, face in enumerate(drawn.values())]
    table = pd.DataFrame(rows, columns=VOTES)
    table.insert(0, "Usage", usages)
    table.insert(1, "Image name", [f"fer{row:07d}.png" for row in range(len(rows))])
    table.to_csv(folder / "fer2013new.csv", index=False)
    return table


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the index goes
    drawn = write_fer2013_csv(tmp_path / "copy")
    cells = {
        0: votes(fear=9, neutral=1), 1: votes(NF=10), 2: votes(contempt=6, anger=4), 3: votes(anger=5, sadness=5), 4: votes(unknown=8),
        50: votes(disgust=6, anger=4), 51: votes(fear=5, anger=5),
    }  # fmt: skip
    write_ferplus(tmp_path / "copy", drawn, cells)
    return tmp_path / "copy", drawn


def test_faces_have_their_majority_s_label_and_the_others_are_counted(copy):
    folder, drawn = copy
    train, test = (data.load("fer2013", folder, split, labels="ferplus") for split in ("train", "test"))
    assert train.dropped == {"contempt": 1, "unknown": 1, "no face": 1, "no majority": 1} and test.dropped == {"no majority": 1}
    assert len(train) == 24 and len(test) == 13 and len(data.load("fer2013", folder, "validation", labels="ferplus")) == 14
    for faces in (train, test):
        own = {name: drawn[name].label for name in faces.files}
        own |= {name: EMOTIONS.index("fear") for name in own if name == "fer2013.csv:0"}
        own |= {name: EMOTIONS.index("disgust") for name in own if name == "fer2013.csv:50"}
        assert faces.labels.tolist() == list(own.values())
        np.testing.assert_allclose(faces.landmarks, [drawn[name].landmarks for name in faces.files], atol=2e-4)
        np.testing.assert_array_equal(faces.images[:], [drawn[name].image for name in faces.files])


def test_labels_are_the_owner_s_unless_asked_for(copy):
    folder, drawn = copy
    faces = data.load("fer2013", folder, "train")
    assert faces.labels.tolist() == [drawn[name].label for name in faces.files] and faces.dropped == {}
    assert data.load("fer2013", folder, "train", labels="own").fingerprint() == faces.fingerprint()


def rewritten(change):
    def spoil(folder):
        table = pd.read_csv(folder / "fer2013new.csv")
        change(table).to_csv(folder / "fer2013new.csv", index=False)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "fer2013new.csv").unlink(), "no labels ferplus for fer2013 in @: FER+'s fer2013new.csv must lie beside fer2013.csv"),
        (rewritten(lambda table: table.drop(index=30)), "@/fer2013new.csv has 55 rows and fer2013.csv 56, and not the same ones"),
        (rewritten(lambda table: table.drop(index=55)), "@/fer2013new.csv has 55 rows and fer2013.csv 56, and not the same ones"),
        (rewritten(lambda table: table.drop(columns="NF")), "@/fer2013new.csv lacks the column 'NF': it has Usage, Image name, neutral"),
        (rewritten(lambda table: table.assign(anger=["ten", *table["anger"].astype(str)[1:]])), "has 'ten' for anger in row 0: it must be a number of votes"),
        (rewritten(lambda table: table.assign(anger=[-1, *table["anger"][1:]])), "has '-1' for anger in row 0: it must be a number of votes"),
        (lambda folder: (folder / "fer2013new.csv").write_bytes(b""), "@/fer2013new.csv cannot be read (No columns to parse from file)"),
    ],
)  # fmt: skip
def test_votes_that_cannot_be_those_of_the_faces_are_refused(copy, spoil, sentence):
    folder, _ = copy
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError)) as refused:
        data.load("fer2013", folder, "validation", labels="ferplus")
    assert sentence.replace("@", str(folder)) in str(refused.value)
    assert len(data.load("fer2013", folder, "validation")) == 14  # whoever does not ask for them


def test_votes_in_another_order_are_noticed(copy, monkeypatch):
    folder, drawn = copy
    monkeypatch.setattr("palcore.data.faults.FEWEST", 10)
    write_ferplus(
        folder,
        dict(zip(drawn, [*list(drawn.values())[1:28], list(drawn.values())[0], *list(drawn.values())[28:]], strict=True)),
        {},
    )
    with pytest.raises(ValueError, match="agree with the owner's in 0% of 28 faces of train: the rows are in another order"):
        data.load("fer2013", folder, "train", labels="ferplus")


def test_folders_have_no_rows_to_match(tmp_path):
    write_fer2013(tmp_path)
    with pytest.raises(FileNotFoundError) as refused:
        data.load("fer2013", tmp_path, "test", labels="ferplus")
    assert "no labels ferplus for fer2013" in str(refused.value)
    with pytest.raises(ValueError, match="labels 'votes' of dataset fer2013: choose from own, ferplus"):
        data.load("fer2013", tmp_path, "test", labels="votes")
