"""The grid of runs, ``workflow/grid.yml``, as the result pages read it."""

import importlib.util
import sys
from pathlib import Path

from palcore.runs.records import repository_root


def grid_module(root=None):
    """The module ``workflow/cells.py`` and all cells of the grid."""
    root = repository_root() if root is None else Path(root)
    module = sys.modules.get("palcore_grid_cells")
    if module is None:
        spec = importlib.util.spec_from_file_location("palcore_grid_cells", root / "workflow" / "cells.py")
        module = sys.modules.setdefault("palcore_grid_cells", importlib.util.module_from_spec(spec))
        spec.loader.exec_module(module)
    return module, module.expand(module.read_grid(root / "workflow" / "grid.yml"), module.defaults(root))


def settings_sentence(dataset, root=None):
    """What all runs of a data set share unless a table says otherwise, in words, from ``workflow/grid.yml`` and the defaults.

    :param dataset: a data set that the grid has settings for.
    """
    module, _ = grid_module(root)
    root = repository_root() if root is None else Path(root)
    settings = module.defaults(root) | module.read_grid(root / "workflow" / "grid.yml")["settings"][dataset]
    width, share = settings["width_multiplier"], settings["train_share"]
    parts = [
        f"the backbone {settings['backbone']}" + ("" if width == 1 else f" with {100 * width:g} % of its channels"),
        f"{settings['image_size']} pixels",
        f"{settings['epochs']} epochs in batches of {settings['batch_size']}",
        f"Adam at a learning rate of {settings['learning_rate']:g}",
        f"a dropout of {settings['dropout']:g}",
        f"{'all' if share == 1 else f'{100 * share:g} % of the'} training faces",
    ]
    return f"Unless a table says otherwise, every run has {', '.join(parts[:-1])}, and {parts[-1]}: the same for all its arms."
