"""What the study's notebooks need from the notebook's own side: papermill's parameters, and a picture from the camera."""

import ast
import json
import os
import sys

INJECTED = "# Parameters"
"""First line of the cell that papermill adds below the cell of parameters."""


def _assigned(cell):
    """Names that a cell's source assigns at its top level, in their order."""
    return [
        target.id
        for statement in ast.parse(cell).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]


def refuse_unknown_parameters(cells):
    """Fail where papermill was given a parameter that the notebook does not have.

    Papermill itself only logs a warning, and a misspelled name would run the defaults to the end.

    :param cells: sources of the cells that ran, as IPython keeps them in ``In``: the cell of parameters and, where papermill
        was given any, the cell that it added directly after it.
    :raises ValueError: naming the parameter, and those that there are.
    """
    for before, cell in zip(cells, cells[1:], strict=False):
        if not cell.startswith(INJECTED):
            continue
        known = _assigned(before)
        unknown = [name for name in _assigned(cell) if name not in known]
        if unknown:
            raise ValueError(f"unknown parameter {unknown[0]} of this notebook: choose from {', '.join(known)}")


def begin(cells):
    """What a notebook does first: refuse unknown parameters, and keep the log lines of compiled libraries out of its outputs.

    ipykernel copies whatever reaches the process's error stream below the running cell, TensorFlow's lines about processors and
    missing GPUs among it, which no setting silences altogether. From here on they go where Jupyter itself writes its log. What
    Python writes to ``sys.stderr`` is still shown.

    :param cells: see ``refuse_unknown_parameters``.
    """
    refuse_unknown_parameters(cells)
    log = getattr(sys.stderr, "_original_stdstream_copy", None)
    if log is not None:
        os.dup2(log, 2)


CAMERA = r"""
<div id="palcore-camera" style="max-width: 480px">
<video autoplay playsinline muted style="width: 100%; background: #000" aria-label="what the camera sees"></video>
<p><button type="button">Take the picture</button> <span role="status">Allow the use of the camera.</span></p>
</div>
<script>
(() => {
  const box = document.getElementById("palcore-camera"), name = NAME;
  box.removeAttribute("id");
  const [video, button, says] = ["video", "button", "span"].map(tag => box.querySelector(tag));
  const say = text => { says.textContent = text; };
  const other = " Or put a picture beside this notebook and give its name as photo.";
  if (!navigator.mediaDevices) {
    say("No camera can be used on a page that is neither from localhost nor by https." + other);
    return;
  }
  navigator.mediaDevices.getUserMedia({video: true}).then(stream => {
    video.srcObject = stream;
    say("");
    button.onclick = async () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext("2d").drawImage(video, 0, 0);
      const content = canvas.toDataURL("image/png").split(",")[1];
      const settings = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
      const cookie = (document.cookie.match(/(?:^|; )_xsrf=([^;]*)/) || [])[1] || "";
      const folder = (location.pathname.match(/\/(?:tree|notebooks)\/(.*\/)?[^/]*\.ipynb$/) || [])[1] || "";
      const address = (settings.baseUrl || "/") + "api/contents/" + folder + encodeURIComponent(name);
      const answer = await fetch(address, {
        method: "PUT",
        headers: {"Content-Type": "application/json", "X-XSRFToken": cookie,
                  ...(settings.token ? {Authorization: "token " + settings.token} : {})},
        body: JSON.stringify({type: "file", format: "base64", content}),
      }).catch(error => error);
      if (!answer.ok) { say("The picture could not be saved (" + (answer.status || answer.message) + ")." + other); return; }
      stream.getTracks().forEach(track => track.stop());
      say("Saved as " + name + ": run the cells below.");
    };
  }).catch(error => say("There is no camera to use (" + error.name + ")." + other));
})();
</script>
"""


def camera(name="webcam.png"):
    """A form for JupyterLab that takes a picture with the browser's camera and saves it beside the notebook.

    The browser hands the picture to Jupyter's own server; nothing else gets it. Where there is no camera, it says so.

    :param name: of the file.
    :return: an ``IPython.display.HTML``; the last value of a cell is shown.
    """
    from IPython.display import HTML

    return HTML(CAMERA.replace("NAME", json.dumps(name)))
