"""Build the book, `make book`: run the notebooks where something changed (`study/book/chapters.py`), and make the pages.

It can be interrupted at any time, and goes on where it was.
"""

import argparse
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import yaml

from palcore.files import Busy, locked
from study.book import chapters, source

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
PAGES = chapters.WITHOUT_GRAMMAR + "from jupyter_book.cli.main import main; main()"


def listing_problems(files, root=ROOT):
    """One sentence for each notebook that is there but not listed; Sphinx says which files are listed and absent."""
    there = {f"notebooks/{path.stem}" for path in root.glob("notebooks/*.ipynb")}
    return [f"{name}.ipynb is not in _toc.yml: add it there" for name in sorted(there - set(files))]


def build_html():
    """Jupyter Book with warnings as errors, into _build/html; the warnings as a sentence, or None."""
    # While it stands, pages may be half-written, or read with a warning: Sphinx would take them as done, and say nothing again.
    unfinished, log = BUILD / "pages.unfinished", BUILD / "logs" / "pages.log"
    if unfinished.exists():
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    unfinished.touch()
    # --path-output is the repository: the program adds `_build` itself.
    words = [sys.executable, "-c", PAGES, "build", BUILD / "src", "--path-output", ROOT, "-n", "-W", "--keep-going", "-q"]
    log.parent.mkdir(exist_ok=True)
    code = chapters.run(words, log, ROOT)
    source.copy_records(BUILD / "html")
    if not code:
        unfinished.unlink()
        return None
    found = re.findall(r"^.*(?:WARNING|ERROR|CRITICAL): .*$", log.read_text(errors="replace"), re.MULTILINE)
    found = found or [chapters.failure(code, BUILD / "none", log)]
    return "\n".join([*found, f"the pages failed (see {log.relative_to(ROOT)})"])


def build(with_pages=True):
    """The whole book; a list of sentences of what went wrong."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = source.listed_files(contents)
    sys.modules.setdefault("rfc3987_syntax", None)  # see WITHOUT_GRAMMAR
    from study.book.pairs import unlike_pairs

    problems = listing_problems(files, ROOT) + unlike_pairs(ROOT / "notebooks")
    if problems:
        return problems
    problems = chapters.run_notebooks([Path(name).name for name in files if name.startswith("notebooks/")], ROOT)
    if with_pages and not problems:

        def notebook(name):
            return chapters.with_outputs((ROOT / "notebooks" / f"{name}.ipynb").read_text(), chapters.last_run(name))

        source.stage(source.source_files(contents, notebook), BUILD / "src")
        problem = chapters.report("pages", build_html)
        problems = [problem] if problem else []
    return problems


def main():
    parser = argparse.ArgumentParser(description="Run the book's notebooks where something changed, and build the book.")
    parser.add_argument("--execute-only", action="store_true", help="run the notebooks, do not build the pages")
    arguments = parser.parse_args()
    # The kernel must be this environment's: a `python3` kernel in the user's home folder would shadow it.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    BUILD.mkdir(exist_ok=True)
    try:
        with locked(BUILD / "lock", "the book is being built already: wait for it, or stop it first"):
            for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C does
                signal.signal(number, signal.default_int_handler)
            problems = build(not arguments.execute_only)
    except Busy as busy:
        sys.exit(str(busy))
    except KeyboardInterrupt:
        sys.exit("\nstopped: the same command goes on where it was")
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
