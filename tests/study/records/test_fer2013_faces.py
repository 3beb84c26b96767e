from palcore.data import load
from study.records import fer2013_faces
from tests.copies import write_fer2013_csv


def test_rows_are_those_of_copies_and_of_guesses(tmp_path):
    write_fer2013_csv(tmp_path)
    lines = (tmp_path / "fer2013.csv").read_text().splitlines()
    header, rows = lines[0], lines[1:]
    first, third = (next(row for row in rows if row.endswith("Training")), [row for row in rows if row.endswith("PrivateTest")][2])
    # The third test face gets the pixels of a training face, and its own label.
    rows[rows.index(third)] = ",".join([third.split(",")[0], first.split(",")[1], "PrivateTest"])
    (tmp_path / "fer2013.csv").write_text("\n".join([header, *rows]) + "\n")
    train, test = load("fer2013", tmp_path, "train"), load("fer2013", tmp_path, "test")
    found = {file: row != 1 for row, file in enumerate(test.files)}
    assert fer2013_faces.doubtful_rows(train, test, found) == {"faces": len(test), "copies": [2], "guessed": [1]}
