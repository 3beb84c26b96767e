import numpy as np
import pandas as pd
import pytest

from palcore.data.landmark_table import COORDINATES, append_rows, read_landmark_table


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_what_is_written_in_parts_is_read_back(tmp_path, rng, name):
    points = rng.uniform(-0.1, 1.1, (3, 68, 2))
    points[1] = np.nan
    found = [True, False, True]
    append_rows(tmp_path / name, ["a", "b"], found[:2], points[:2])
    append_rows(tmp_path / name, ["c"], found[2:], points[2:])
    files, seen, read = read_landmark_table(tmp_path / name)
    assert files == ["a", "b", "c"]
    assert seen.tolist() == found
    np.testing.assert_allclose(read, points, atol=1e-5)


def test_pixels_become_fractions_counted_from_the_corner(tmp_path):
    frame = pd.DataFrame([["a", 1, *[0.0] * 136]], columns=["file", "detected", *COORDINATES])
    frame.to_csv(tmp_path / "pixels.csv", index=False)
    _, _, read = read_landmark_table(tmp_path / "pixels.csv", (50, 100))
    np.testing.assert_allclose(read[0, 5], [0.01, 0.005])
    with pytest.raises(ValueError, match="is in pixels"):
        read_landmark_table(tmp_path / "pixels.csv")


def malformed(change):
    frame = pd.DataFrame([["a", 1, *[0.5] * 136], ["b", 1, *[0.5] * 136]], columns=["file", "found", *COORDINATES])
    return change(frame)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: frame.drop(columns="y67"), "has 137 columns beginning file, found, x0, y0"),
        (lambda frame: frame.assign(file="a"), "names a more than once"),
        (lambda frame: frame.assign(x3=[0.5, np.nan]), "landmarks of b .*not finite"),
        (lambda frame: frame.assign(found=[1, 2]), "found"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, change, sentence):
    malformed(change).to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(ValueError, match=sentence):
        read_landmark_table(tmp_path / "table.csv")


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no landmark table .*none.csv"):
        read_landmark_table(tmp_path / "none.csv")
