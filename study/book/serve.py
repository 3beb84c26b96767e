"""The built book as its readers get it: served as GitHub's Pages would, and opened in Chromium."""

import contextlib
import functools
import http.server
import os
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(folder):
    """Serve a folder on a free port of this machine; yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def published(html):
    """Serve a book as Pages does, under a sub-path; yields its address."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "palcore").symlink_to(html)
        with served(place) as site:
            yield f"{site}/palcore"


def chromium():
    """Where Chromium is, or None. ``CHROMIUM`` names one that is not on the path.

    :raises FileNotFoundError: where that is no program.
    """
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    path = next((path for name in names if (path := shutil.which(name))), None)
    if named and not path:
        raise FileNotFoundError(f"CHROMIUM is {named!r}, which is no program here: give the path of Chromium, or unset it")
    return path


@contextlib.contextmanager
def browser():
    """Playwright's browser, without a sandbox: CI runs as root, and the pages are our own.

    :raises FileNotFoundError: where there is no Chromium.
    """
    if not chromium():
        raise FileNotFoundError("there is no Chromium on the path: install Debian's `chromium`, or name one in CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()
