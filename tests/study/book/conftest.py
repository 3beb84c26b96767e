"""Chromium, for the tests that look at pages."""

import pytest

from study.book import check_site


@pytest.fixture(scope="module")
def browser():
    if not check_site.chromium():
        pytest.skip("no Chromium on this machine looks at pages: install it, or name it in CHROMIUM, which then must be there")
    with check_site.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=check_site.chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
