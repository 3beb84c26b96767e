"""Build the book, `make book`: run the notebooks where something changed (`workflow/chapters.py`), and make the pages.

It can be interrupted at any time, and goes on where it was.
"""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from workflow import chapters, watch  # noqa: E402

BUILD = ROOT / "_build"
PAGES = chapters.WITHOUT_GRAMMAR + "from jupyter_book.cli.main import main; main()"


def listed_files(contents):
    """Every file that a table of contents names, without suffix, in its order."""
    files = [contents["root"]] if "root" in contents else []
    for key in ("parts", "chapters", "sections"):
        for entry in contents.get(key, []):
            files += [entry["file"]] if "file" in entry else []
            files += listed_files(entry)
    return files


def listing_problems(files, root=ROOT):
    """One sentence for each file that is listed but absent, and for each notebook that is there but not listed."""
    problems = []
    for name in files:
        suffix = ".ipynb" if name.startswith("notebooks/") else ".md"
        if not (root / f"{name}{suffix}").exists():
            problems.append(f"_toc.yml lists {name}, but there is no {name}{suffix}: write it, or take it off the list")
    there = {f"notebooks/{path.stem}" for path in root.glob("notebooks/*.ipynb")}
    problems += [f"{name}.ipynb is not in _toc.yml: add it there" for name in sorted(there - set(files))]
    return problems


def reference_page(module):
    """The page of one module of the API reference."""
    lines = [f"# {module}", "", "```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(lines)


def modules(root=ROOT):
    """Every public module of palcore, by name."""
    names = []
    for path in sorted(root.glob("palcore/**/*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            names.append(".".join(parts))
    return sorted(names)


def source_files(contents):
    """``{path in the book's source folder: bytes}`` of the whole book, generated pages and all."""
    sections = [{"file": f"book/reference/{module}"} for module in modules()]
    pages = {f"{section['file']}.md": reference_page(Path(section["file"]).name) for section in sections}
    for part in contents["parts"]:
        for chapter in part["chapters"]:
            if chapter["file"] == "book/reference":
                chapter["sections"] = sections
    pages["_toc.yml"] = yaml.safe_dump(contents, sort_keys=False)
    for name in listed_files(contents):
        if name.startswith("notebooks/"):
            pages[f"{name}.ipynb"] = chapters.with_outputs((ROOT / f"{name}.ipynb").read_text(), chapters.last_run(Path(name).name))
    files = {name: text.encode() for name, text in pages.items()}
    for path in [ROOT / "_config.yml", ROOT / "workflow" / "site_extension.py", *ROOT.glob("book/**/*")]:
        if path.is_file():
            files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    return files


def stage(files, target=BUILD / "src"):
    """Make ``target`` hold these files and no others. Those that are the same are not touched, so Sphinx does not reread them."""
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in files:
            path.unlink()


def copy_records(root=ROOT, html=BUILD / "html"):
    """Put the run records beside the pages, where the result pages' links lead."""
    shutil.rmtree(html / "results", ignore_errors=True)
    for path in sorted(root.glob("results/*/*.json")):
        target = html / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def build_html():
    """Jupyter Book with warnings as errors, into _build/html; the `watch.Outcome`, and the warnings as a sentence, or None."""
    # While it stands, pages may be half-written, or read with a warning: Sphinx would take them as done, and say nothing again.
    unfinished, log = BUILD / "pages.unfinished", BUILD / "logs" / "pages.log"
    if unfinished.exists():
        shutil.rmtree(BUILD / ".doctrees", ignore_errors=True)
    unfinished.touch()
    # --path-output is the repository: the program adds `_build` itself.
    words = [sys.executable, "-c", PAGES, "build", BUILD / "src", "--path-output", ROOT, "-n", "-W", "--keep-going", "-q"]
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as file:
        outcome = watch.run(words, [log], cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    copy_records()
    if not outcome.code and not outcome.stuck:
        unfinished.unlink()
        return outcome, None
    found = re.findall(r"^.*(?:WARNING|ERROR|CRITICAL): .*$", log.read_text(errors="replace"), re.MULTILINE)
    found = found or [chapters.failure(outcome, BUILD / "none", log)]
    return outcome, "\n".join([*found, f"the pages failed (see {log.relative_to(ROOT)})"])


def build(pages=True, record=False):
    """The whole book; a list of sentences of what went wrong."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = listed_files(contents)
    sys.modules.setdefault("rfc3987_syntax", None)  # see WITHOUT_GRAMMAR
    from workflow.check_notebooks import unlike_pairs

    problems = listing_problems(files, ROOT) + unlike_pairs(ROOT / "notebooks")
    if problems:
        return problems
    costs, taken = chapters.read_costs(ROOT), {}
    print("minutes of processor time" + (f"; may take: on {costs['processor']}" if costs["processor"] else ""), flush=True)
    problems = chapters.run_notebooks([Path(name).name for name in files if name.startswith("notebooks/")], costs, taken, ROOT)
    if pages and not problems:
        stage(source_files(contents))
        anew = not (BUILD / ".doctrees").exists()
        problem = chapters.report("pages", build_html, costs, taken)
        problems = [problem] if problem else []
        if not anew:
            taken.pop("pages", None)  # what changed took that, not all of them
    if record:
        chapters.record_costs(taken, ROOT)
    return problems


def main():
    parser = argparse.ArgumentParser(description="Run the book's notebooks where something changed, and build the book.")
    parser.add_argument("--execute-only", action="store_true", help="run the notebooks, do not build the pages")
    parser.add_argument("--record-times", action="store_true", help="keep what each part takes in results/cost/notebooks.json")
    arguments = parser.parse_args()
    # The kernel must be this environment's: a `python3` kernel in the user's home folder would shadow it.
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix) / "share" / "jupyter")
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("the book is being built already: wait for it, or stop it first")
        watch.end_on_signals()
        try:
            problems = build(not arguments.execute_only, arguments.record_times)
        except KeyboardInterrupt:
            sys.exit("stopped: the same command goes on where it was")
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
