"""Data sets by name. A fifth one is one module and one line here."""

import inspect
from importlib import import_module
from pathlib import Path

from palcore.data.images import NO_PERMISSION
from palcore.data.listing import faces_of
from palcore.data.table import SPLITS

DATASETS = {
    "synthetic": "palcore.data.synthetic",
    "fer2013": "palcore.data.fer2013",
    "rafdb": "palcore.data.rafdb",
    "affectnet": "palcore.data.affectnet",
}
"""Module of each data set, imported when asked for. One that lies in a folder offers ``list_faces(data_dir, split, ...)``
(``palcore.data.listing``); one that does not, ``load(data_dir, split, image_size=None, ...)``."""


def load(name, data_dir=None, split="train", **options):
    """One split of a data set as ``palcore.data.table.Faces``: the table in memory, the images read on demand.

    At each start it looks whether all files are there and whole by their headers and last bytes, labels are in range, sizes
    agree, and landmarks lie where faces have them and, by blocks of 100 faces, follow the edges of their own images. Only
    ``palcore.data.check.check``, which decodes every image, finds single faces with mirrored, displaced or shared landmarks,
    repaired or blank pictures, copies and near copies between the splits, and counts that are not the owner's.

    :param name: one of ``DATASETS``.
    :param data_dir: the data set's folder; ``synthetic`` has none.
    :param split: ``train``, ``validation`` or ``test``.
    :param options: ``image_size`` (side in pixels; None: as they are), and those of the data set's own ``list_faces`` or ``load``,
        such as ``seed`` (of whatever is drawn at random).
    :raises ValueError: for an unknown name, split or option, a missing ``data_dir``, or contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` or a file in it is missing.
    """
    module, data_dir = _module(name, data_dir, split)
    size = options.get("image_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"image_size {size!r} of dataset {name}: it must be a positive whole number of pixels, or None")
    if hasattr(module, "load"):
        return _called(module.load, name, data_dir, split, options)
    return faces_of(_called(module.list_faces, name, data_dir, split, options, ["image_size"]), size)


def list_faces(name, data_dir, split="train", **options):
    """One split of a real data set as it lies in its folder, with all problems, as ``palcore.data.listing.Listing``.

    :param options: of the data set's own ``list_faces``; ``landmarks=False`` leaves the landmarks out.
    :raises ValueError: as for ``load``, but not for contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` is missing.
    """
    module, data_dir = _module(name, data_dir, split)
    if not hasattr(module, "list_faces"):
        raise ValueError(f"dataset {name} has no folder to look into: choose from {', '.join(list(DATASETS)[1:])}")
    return _called(module.list_faces, name, data_dir, split, options)


def _module(name, data_dir, split):
    """The data set's module, and its folder as a path, once the arguments make sense."""
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
    return import_module(DATASETS[name]), data_dir


def _called(function, name, data_dir, split, options, others=()):
    """``function(data_dir, split, ...)`` with the options, but for the ``others``, which are not its own."""
    known = [*others, *list(inspect.signature(function).parameters)[2:]]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r} of dataset {name}: choose from {', '.join(known)}")
    try:
        return function(data_dir, split, **{option: value for option, value in options.items() if option not in others})
    except PermissionError as problem:
        raise ValueError(NO_PERMISSION.format(problem.filename)) from None
