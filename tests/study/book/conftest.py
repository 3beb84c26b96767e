"""Chromium, for the tests that look at pages."""

import pytest

from study.book import serve


@pytest.fixture(scope="module")
def browser():
    if not serve.chromium():
        pytest.skip("no Chromium on this machine looks at pages: install it, or name it in CHROMIUM, which then must be there")
    with serve.browser() as browser:
        yield browser
