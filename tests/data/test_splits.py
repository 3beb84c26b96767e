import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palcore.data import load
from palcore.data.splits import noisy_labels, stratified_split, take_share


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.1, 0.9))
def test_a_stratified_split_keeps_the_mixture(seed, share):
    labels = np.repeat(np.arange(7), np.arange(20, 90, 10))
    first, second = stratified_split(labels, share, seed)
    assert sorted([*first, *second]) == list(range(len(labels)))
    for label in range(7):
        assert np.sum(labels[second] == label) == pytest.approx(share * np.sum(labels == label), abs=1.5)
    again = stratified_split(labels, share, seed)
    np.testing.assert_array_equal(second, again[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0, 1))
def test_noise_changes_exactly_the_share_asked_for(seed, rate):
    labels = np.arange(200) % 7
    noisy = noisy_labels(labels, rate, seed)
    assert np.sum(noisy != labels) == round(rate * 200)
    assert noisy.min() >= 0
    assert noisy.max() <= 6


def test_each_other_class_is_equally_likely():
    noisy = noisy_labels(np.zeros(6000, int), 1.0, 0)
    np.testing.assert_allclose(np.bincount(noisy, minlength=7), [0, *[1000] * 6], atol=120)


def test_a_share_of_some_faces():
    faces = load("synthetic", count=140)
    part = take_share(faces, 0.25, 0)
    assert len(part) == 35
    assert set(part.counts().values()) == {5}
    assert take_share(faces, 1, 0) is faces


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: stratified_split(np.arange(14) % 7, 1.5, 0), "share 1.5 of a stratified split"),
        (lambda: stratified_split(np.arange(14) % 7, 0.1, 0), "share 0.1 of 14 faces"),
        (lambda: stratified_split(np.array([0, 0, 1]), 0.5, 0), "class 1 has a single face"),
        (lambda: noisy_labels(np.zeros(3, int), 2, 0), "rate 2 of label noise"),
    ],
)
def test_nonsense_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
