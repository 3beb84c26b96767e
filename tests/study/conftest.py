"""What the study's own records say, computed once for all tests that look at it."""

import pytest

from study.results import primary


@pytest.fixture(scope="session")
def measured():
    """The primary comparisons as the pages have them."""
    return primary.measure()


@pytest.fixture
def measured_once(measured, monkeypatch):
    """Pages and tables take them from here."""
    monkeypatch.setattr(primary, "measure", lambda results=None: measured)
    return measured
