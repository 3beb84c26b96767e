"""Jupyter's server as `make lab` starts it: a saved notebook has what its reader wrote, in both halves of its pair."""


def without_outputs(model, **_):
    """Take out of a notebook that is about to be saved what running it has put there. The page in the browser keeps it."""
    if model["type"] != "notebook" or model.get("content") is None:
        return
    model["content"]["metadata"].pop("language_info", None)
    for cell in model["content"]["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)


if configure := globals().get("get_config"):  # Jupyter runs this file with that name in it; the tests import it
    configure().ContentsManager.pre_save_hook = without_outputs
