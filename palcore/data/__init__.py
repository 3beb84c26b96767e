"""Data sets by name. A fourth one is one module with a ``load`` function and one line here."""

from importlib import import_module
from pathlib import Path

from palcore.data.table import SPLITS

DATASETS = {
    "synthetic": "palcore.data.synthetic",
    "fer2013": "palcore.data.fer2013",
}
"""Module of each data set; it offers ``load(data_dir, split, **options)`` and is imported when it is asked for."""


def load(name, data_dir=None, split="train", **options):
    """One split of a data set as ``palcore.data.table.Faces``: the table in memory, the images read on demand.

    :param name: one of ``DATASETS``.
    :param data_dir: the data set's folder; ``synthetic`` has none.
    :param split: ``train``, ``validation`` or ``test``.
    :param options: passed to the data set's own ``load``; all take ``image_size`` (None: as they are).
    :raises ValueError: for an unknown name or split, or contents that make no sense.
    :raises FileNotFoundError: where ``data_dir`` or a file in it is missing.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}: choose from {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r} of {name}: choose from {', '.join(SPLITS)}")
    if data_dir is not None:
        data_dir = Path(data_dir).expanduser()
        if not data_dir.exists():
            raise FileNotFoundError(f"no folder {data_dir} for dataset {name}: check data_dir")
    return import_module(DATASETS[name]).load(data_dir, split, **options)
