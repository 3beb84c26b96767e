"""Data sets by name. A fifth one is one module and one line here."""

from importlib import import_module
from inspect import signature
from numbers import Integral
from pathlib import Path
from types import ModuleType

from palcore import choose
from palcore.data.readers import SPLITS, Reader
from palcore.data.table import Faces

DATASETS = {
    "synthetic": "palcore.data.synthetic",
    "fer2013": "palcore.data.fer2013",
    "rafdb": "palcore.data.rafdb",
    "affectnet": "palcore.data.affectnet",
}
"""Module of each data set, imported when asked for. It offers ``READER``: of one that lies in a folder, a
``palcore.data.readers.Reader``; else an object with the two of its attributes that a run asks for."""


def load(name: str, data_dir: str | Path | None = None, split: str = "train", **options) -> Faces:
    """One split of a data set as ``palcore.data.table.Faces``: the table in memory, the images read on demand.

    A real data set is read once: every picture is decoded and all is looked at, as by ``python -m palcore check``, and what is
    there is kept in an index. What makes no sense in any split is refused; what would bias a run, or costs a face, is a warning.
    Later starts look at names, sizes and times of the files, and read them again where one has changed.

    :param name: one of ``DATASETS``.
    :param data_dir: the data set's folder; ``synthetic`` has none.
    :param split: ``train``, ``validation`` or ``test``.
    :param options: ``image_size``, side in pixels (None: the owner's). For drawn faces those of ``palcore.data.synthetic.load``;
        for real ones ``landmarks`` (a table, or a folder of text files; None for what lies in the folder, False for none),
        ``index_dir`` (where indexes are kept; None for ``palcore.data.index.INDEX_DIR``), and ``OPTIONS`` of the data set's
        reader: ``labels`` of fer2013 (``own`` or ``ferplus``), ``landmark_order`` of rafdb (``row_column`` or ``x_y``).
    :raises ValueError: for an unknown name, split or option, a missing ``data_dir``, or contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` or a file in it is missing.
    """
    choose(split, SPLITS, f"unknown split {split!r} of {name}")
    size = options.get("image_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral) or size < 1):
        raise ValueError(f"image_size {size!r} of dataset {name}: it must be a positive whole number of pixels, or None")
    if name == "synthetic":
        if data_dir is not None:
            raise ValueError(f"data_dir {data_dir} for the synthetic faces: they are drawn, leave it out")
        draw = data_module(name).load
        for option in options:
            choose(option, list(signature(draw).parameters)[1:], f"unknown option {option!r} of dataset {name}")
        return draw(split, **options)
    reader, folder = find_data_set(name, data_dir)
    from palcore.data.opening import faces_of

    return faces_of(reader, folder, split, options)


def data_module(name: str) -> ModuleType:
    """The module of a data set; a ``ValueError`` for an unknown name."""
    choose(name, DATASETS, f"unknown dataset {name!r}")
    return import_module(DATASETS[name])


def find_data_set(name: str, data_dir: str | Path | None) -> tuple[Reader, Path]:
    """The reader of a data set that lies in a folder, and the folder.

    :raises ValueError: for an unknown name, or one that has no folder; without a folder.
    :raises FileNotFoundError: where the folder is missing.
    """
    reader = data_module(name).READER
    if not isinstance(reader, Reader):
        raise ValueError(f"dataset {name} has no folder to look into: choose from {', '.join(list(DATASETS)[1:])}")
    if data_dir is None or not str(data_dir):
        raise ValueError(f"data_dir is missing for dataset {name}: give the folder that holds it")
    data_dir = Path(data_dir).expanduser()
    if not data_dir.is_dir():
        raise FileNotFoundError(f"no folder {data_dir} for dataset {name}: check data_dir")
    return reader, data_dir
