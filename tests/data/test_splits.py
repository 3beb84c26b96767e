import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palcore.data.splits import stratified_split


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


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: stratified_split(np.arange(14) % 7, 1.5, 0), "share 1.5 of a stratified split"),
        (lambda: stratified_split(np.arange(14) % 7, 0.1, 0), "share 0.1 of 14 faces"),
        (lambda: stratified_split(np.array([0, 0, 1]), 0.5, 0), "class 1 has a single face"),
    ],
)
def test_nonsense_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
