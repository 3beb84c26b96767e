"""Run the book's notebooks where something changed, one after the other, and say what each takes: part of `make book`.

Each is run by papermill in a process and an empty folder of its own. What it printed, and what the libraries had to say, is in
`_build/logs/NAME.log`. A notebook is done once it has run to its end, and its outputs hold until something changes that they depend
on (`study/fingerprints.py`).
"""

import ctypes
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from palcore.files import whole_file
from study.fingerprints import notebook_fingerprint

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_GRAMMAR = "import sys; sys.modules['rfc3987_syntax'] = None; "
"""Begins a program that reads notebooks: jsonschema would build a parser of addresses first, which takes 1.5 processor seconds."""

PAPERMILL = WITHOUT_GRAMMAR + "from papermill.__main__ import papermill; papermill()"


def die_with_parent():
    """In a new process, on Linux: be killed when the parent is, by whatever signal."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def run(words, log, cwd=None):
    """Run a command to its end, what it says in the file `log`; its exit code. No clock says how long it may take."""
    with log.open("w") as file:
        told = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": file}
        return subprocess.run(words, cwd=cwd, preexec_fn=die_with_parent, **told).returncode


def report(name, work):
    """Do one part of the build, and print its name and the minutes and seconds that it took, on one line.

    :param work: a function that returns a sentence of what went wrong or None.
    :return: the same.
    """
    print(f"{name:20} ", end="", flush=True)
    start = time.monotonic()
    problem = work()
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"{minutes:2}:{seconds:02} by the clock{', failed' if problem else ''}", flush=True)
    return problem


def last_run(name, root=ROOT):
    """A notebook as it was last run to its end, or None; `metadata.palcore` is the fingerprint of what it depended on."""
    path = Path(root) / "_build" / "executed" / f"{name}.ipynb"
    return json.loads(path.read_text()) if path.exists() else None


def failure(code, notebook, log):
    """The sentence of a run that failed: that of its error, or of its end, or the last line of its log."""
    cells = json.loads(notebook.read_text())["cells"] if notebook.exists() else []
    for output in (output for cell in cells for output in cell.get("outputs", [])):
        if output["output_type"] == "error":
            return f"{output['ename']}: {output['evalue']}"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"it ended with {code}"


def execute(name, fingerprint, root=ROOT):
    """Run one notebook; the sentence of what went wrong or None.

    Its outputs are kept in one file with the fingerprint, so that neither is there without the other.
    """
    root = Path(root)
    build = root / "_build"
    running, log, scratch = build / "logs" / f"{name}.ipynb", build / "logs" / f"{name}.log", build / "scratch" / name
    # An empty folder of its own: what the notebook writes stays in _build, and it cannot lean on where it stands.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    log.parent.mkdir(exist_ok=True)
    running.unlink(missing_ok=True)
    words = [root / "notebooks" / f"{name}.ipynb", running, "--cwd", scratch, "--kernel", "python3"]
    words = [sys.executable, "-c", PAPERMILL, *words, "--no-progress-bar", "--log-output"]
    if code := run(words, log):
        return failure(code, running, log)
    notebook = json.loads(running.read_text())
    notebook["metadata"]["palcore"] = fingerprint
    with whole_file(build / "executed" / f"{name}.ipynb") as draft:
        draft.write_text(json.dumps(notebook))
    running.unlink()
    return None


def run_notebooks(names, root=ROOT):
    """Run each notebook whose outputs do not hold any more. One that fails stops no other: a sentence for each."""
    problems = []
    for name in names:
        try:
            wanted, done = notebook_fingerprint(Path(root) / "notebooks" / f"{name}.ipynb", root), last_run(name, root)
        except (ValueError, OSError) as error:
            problems.append(f"notebook {name} failed: {error}")
            continue
        if done and done["metadata"].get("palcore") == wanted:
            print(f"{name:20} unchanged", flush=True)
            continue
        problem = report(name, lambda name=name, wanted=wanted: execute(name, wanted, root))
        if problem:
            problems.append(f"notebook {name} failed: {problem} (see _build/logs/{name}.log)")
    return problems


def with_outputs(notebook, executed):
    """A notebook's text as it is now, with the outputs of its last run: since then its words may have changed, but not its code.

    :param notebook: its text.
    :param executed: from `last_run`. What papermill adds is left out: it differs from run to run.
    """
    notebook = json.loads(notebook)
    code, ran = ([cell for cell in one["cells"] if cell["cell_type"] == "code"] for one in (notebook, executed))
    for cell, source in zip(ran, code, strict=True):
        source.update(outputs=cell["outputs"], execution_count=cell["execution_count"])
    notebook["metadata"]["language_info"] = executed["metadata"]["language_info"]
    return json.dumps(notebook, indent=1)
