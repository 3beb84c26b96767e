"""Data sets by name. A fifth one is one module with a ``load`` function and one line here."""

import inspect
from importlib import import_module
from pathlib import Path

from palcore.data.images import NO_PERMISSION
from palcore.data.table import SPLITS

DATASETS = {
    "synthetic": "palcore.data.synthetic",
    "fer2013": "palcore.data.fer2013",
    "rafdb": "palcore.data.rafdb",
    "affectnet": "palcore.data.affectnet",
}
"""Module of each data set. It offers ``load(data_dir, split, image_size=None, seed=0, ...)`` and, where there is a folder to
look into, ``list_faces(data_dir, split, ...)`` (``palcore.data.listing``). It is imported when asked for."""


def load(name, data_dir=None, split="train", **options):
    """One split of a data set as ``palcore.data.table.Faces``: the table in memory, the images read on demand.

    :param name: one of ``DATASETS``.
    :param data_dir: the data set's folder; ``synthetic`` has none.
    :param split: ``train``, ``validation`` or ``test``.
    :param options: passed to the data set's own ``load``; all take ``image_size`` (side in pixels; None: as they are) and
        ``seed`` (of whatever is drawn at random).
    :raises ValueError: for an unknown name, split or option, a missing ``data_dir``, or contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` or a file in it is missing.
    """
    data_dir = _check(name, data_dir, split, options)
    return _permitted(import_module(DATASETS[name]).load, data_dir, split, options)


def list_faces(name, data_dir, split="train", **options):
    """One split of a real data set as it lies in its folder, with all problems, as ``palcore.data.listing.Listing``.

    :param options: of the data set's own ``list_faces``: ``landmarks`` (False: leave them out) and the options of ``load`` that say
        how a folder is read.
    :raises ValueError: as for ``load``, but not for contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` is missing.
    """
    data_dir = _check(name, data_dir, split, options, "list_faces")
    return _permitted(import_module(DATASETS[name]).list_faces, data_dir, split, options)


def _permitted(function, data_dir, split, options):
    try:
        return function(data_dir, split, **options)
    except PermissionError as problem:
        raise ValueError(NO_PERMISSION.format(problem.filename)) from None


def _check(name, data_dir, split, options, function="load"):
    """The folder as a path, once the arguments of ``load`` or ``list_faces`` make sense."""
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}: choose from {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r} of {name}: choose from {', '.join(SPLITS)}")
    if name == "synthetic":
        if data_dir is not None:
            raise ValueError(f"data_dir {data_dir} for the synthetic faces: they are drawn, leave it out")
    elif data_dir is None:
        raise ValueError(f"data_dir is missing for dataset {name}: give the folder that holds it")
    else:
        data_dir = Path(data_dir).expanduser()
        if not data_dir.exists():
            raise FileNotFoundError(f"no folder {data_dir} for dataset {name}: check data_dir")
    image_size = options.get("image_size")
    if image_size is not None and (isinstance(image_size, bool) or not isinstance(image_size, int) or image_size < 1):
        raise ValueError(f"image_size {image_size!r} of dataset {name}: it must be a positive whole number of pixels, or None")
    loader = getattr(import_module(DATASETS[name]), function, None)
    if loader is None:
        raise ValueError(f"dataset {name} has no folder to look into: choose from {', '.join(list(DATASETS)[1:])}")
    known = list(inspect.signature(loader).parameters)[2:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} of dataset {name}: choose from {', '.join(known)}")
    return data_dir
