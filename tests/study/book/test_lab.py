"""In JupyterLab: opening, running and saving a notebook changes nothing in git but what its reader wrote."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from study.book.jupyter_server_config import without_outputs

ROOT = Path(__file__).resolve().parents[3]
EDITS = {"epochs = 8": "epochs = 1", "train_share = 1.0": "train_share = 0.05", "image_size = 48": "image_size = 32"}
WAIT = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
EDIT = """edits => { for (const {model} of window.jupyterapp.shell.currentWidget.content.widgets) {
    let source = model.sharedModel.getSource();
    for (const [old, better] of Object.entries(edits)) source = source.replace(old, better);
    if (source !== model.sharedModel.getSource()) model.sharedModel.setSource(source);
}}"""


def git(folder, *words):
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The study as it is, committed."""
    folder = tmp_path_factory.mktemp("study") / "copy"
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git(folder.parent, "init", "-q", "copy")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "All")
    return folder


@pytest.fixture(scope="module")
def lab(copy, tmp_path_factory):
    """The address of JupyterLab, started as `make lab` does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = next(line.split() for line in (ROOT / "Makefile").read_text().splitlines() if "-m jupyterlab" in line)
    words = [sys.executable, *words[words.index("-m") :], "--no-browser", "--allow-root", f"--port={port}"]
    words += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]
    place = tmp_path_factory.mktemp("jupyter")
    own = {f"JUPYTER_{name}": str(place / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}
    environment = {**os.environ, **own, "PYTHONPATH": str(copy), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # whoever starts the server
    environment.pop("MPLBACKEND", None)
    with (place / "log").open("w") as log:
        server = subprocess.Popen(words, cwd=copy, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5)
            break
        except OSError:
            assert server.poll() is None, (place / "log").read_text()
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(60)


@pytest.mark.parametrize("name, edits", [("cost", {}), ("train", EDITS)])
def test_a_notebook_is_run_and_saved_and_only_what_was_written_changes(browser, copy, lab, name, edits):
    git(copy, "checkout", "-q", ".")
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(600_000)
    page.goto(f"{lab}/lab/tree/{name}.ipynb?reset")
    page.wait_for_function(WAIT)
    page.evaluate(EDIT, edits)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    cells = page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.model.cells.length && "
        "[...window.jupyterapp.shell.currentWidget.content.widgets].map(cell => cell.model.toJSON())"
    )
    page.close()
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert all(cell["execution_count"] for cell in cells if cell["cell_type"] == "code")
    assert outputs and not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    changed = git(copy, "diff", "--unified=0", "--", "notebooks").splitlines()
    written = {line[1:].strip(' ",').removesuffix("\\n") for line in changed if line.startswith("+") and not line.startswith("+++")}
    assert {line.split("  #")[0] for line in written} == set(edits.values())
    assert set(git(copy, "status", "--porcelain").split()[1::2]) <= {f"notebooks/{name}.py", f"notebooks/{name}.ipynb"}
    assert not edits or (copy / "runs" / "synthetic-compact-mean-0" / "record.json").is_file()


def test_saving_takes_out_what_running_put_in():
    cell = nbformat.v4.new_code_cell("1", execution_count=3, outputs=[nbformat.v4.new_output("stream", text="1")])
    notebook = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_markdown_cell("a")], metadata={"language_info": {"name": "x"}})
    without_outputs({"type": "notebook", "content": notebook}, path="a.ipynb")
    assert notebook.cells[0].outputs == [] and notebook.cells[0].execution_count is None and not notebook.metadata
    without_outputs({"type": "file", "content": "text"})
    without_outputs({"type": "notebook", "content": None})
