import numpy as np
import pytest

from study.records import landmark_record


def test_distances_are_told_by_who_found_a_face(monkeypatch):
    monkeypatch.setattr(landmark_record, "FACES", 4)
    table = np.array([True, True, False, False])
    landmarks = np.full((4, 68, 2), 0.5)

    def detect(image):
        """Finds faces 0 and 2, and is off by 3 and 4 hundredths times one more than the face's number."""
        number = image[0, 0, 0]
        return number % 2 == 0, 0.5 + (1.0 + number) * np.tile([0.03, 0.04], (68, 1))

    record = landmark_record.agreement(lambda row: np.full((48, 48, 3), row, np.uint8), table, landmarks, detect)
    found = {name: record[name] for name in record if name.startswith("found")}
    assert found == {"found_by_both": 1, "found_by_table_only": 1, "found_by_detector_only": 1, "found_by_neither": 1}
    assert record["distance_of_landmarks"] == dict.fromkeys(("5", "25", "50", "75", "95"), 0.05)
    assert record["distance_of_faces_found_by_neither"]["50"] == pytest.approx(0.2)


def test_shape_is_of_the_faces_that_were_found(rng):
    landmarks = rng.normal(0.5, 0.1, (2000, 68, 2))
    landmarks[:1000] += 7
    found = np.arange(2000) >= 1000
    shape = landmark_record.shape(found, landmarks)
    assert (shape["faces"], shape["found"]) == (2000, 1000)
    assert shape["coordinates_outside"] == pytest.approx(0.5, abs=0.001)
    np.testing.assert_allclose(shape["mean"], 0.5, atol=0.02)
    np.testing.assert_allclose(shape["covariance"], np.tile([0.01, 0, 0.01], (68, 1)), atol=0.002)
    np.testing.assert_allclose(
        np.array(shape["covariance"])[3], np.cov(landmarks[1000:, 3].T, ddof=0)[[0, 0, 1], [0, 1, 1]], atol=1e-6
    )
