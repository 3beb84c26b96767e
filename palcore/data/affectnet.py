"""AffectNet (Mollahosseini, Hasani and Mahoor, 2019): 287,401 faces from the web with one of seven expressions, in both forms."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from palcore import EMOTIONS
from palcore.data.landmark_table import TEXT, array_points, cell_points, table_pieces
from palcore.data.readers import Face, Problem, Reader, file_finder, first_file, image_names, seen_names
from palcore.files import read_array

EXPRESSIONS = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "none", "uncertain", "no face"
)  # fmt: skip
"""What the owner's numbers mean, from 0. Those after anger are left out and counted."""

PARTS = {"train": "train_set", "test": "val_set"}
TABLES = {"train": "training.csv", "test": "validation.csv"}
PICTURES, LISTS = "Manually_Annotated_Images", "Manually_Annotated_file_lists"
USED = ["subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression"]
COLUMNS = [*USED, "valence", "arousal"]


def _expression(path: Path) -> str:
    """The number in a face's ``_exp.npy``, as text."""
    values = read_array(path, "annotation").ravel()
    if values.size != 1:
        raise ValueError(f"annotation {path} has {values.size} values: it must be one whole number from 0 to 10")
    return str(values[0]).removesuffix(".0")


class AffectNet(Reader):
    """Either ``train_set/`` and ``val_set/`` with ``images/N.jpg``, ``annotations/N_exp.npy`` and ``N_lnd.npy``; or the older form,
    ``training.csv`` and ``validation.csv`` with whole pictures, which are cut to the face's box, landmarks moved along. Those come
    from the web, and copies differ: some may be missing.

    The owner's validation set is our test split; our validation split is a twentieth of train.
    """

    NAME, SIDE, VALIDATION_SHARE, MISSING_SHARE = "affectnet", 224, 0.05, 0.05
    CLASSES = {str(number): name for number, name in enumerate(EXPRESSIONS)}
    PUBLISHED = {
        "train": dict(zip(EMOTIONS, (14090, 6378, 3803, 134415, 25459, 24882, 74874), strict=True)),
        "test": dict.fromkeys(EMOTIONS, 500),
    }
    ONE_SIZE, OWN_LANDMARKS = False, True
    LAYOUT = f"data_dir must hold train_set/ and val_set/, or training.csv, validation.csv and {PICTURES}/"

    def fits(self, folder: Path) -> bool:
        return (folder / PARTS["test"] / "images").is_dir() or first_file(folder, TABLES["test"]) is not None

    def landmark_places(self, data_dir: Path) -> list[Path]:
        """None: AffectNet has its own."""
        return []

    def tables(self, data_dir: Path) -> dict[str, Path]:
        """The table of each part, where it is or should be; empty for the newer form."""
        there = {part: first_file(data_dir, name) or first_file(data_dir / LISTS, name) for part, name in TABLES.items()}
        if not any(there.values()) and not (data_dir / PICTURES).is_dir():
            return {}
        return {part: table or data_dir / TABLES[part] for part, table in there.items()}

    def sources(self, data_dir: Path) -> list[Path]:
        tables = self.tables(data_dir)
        folders = [data_dir / part / inner for part in PARTS.values() for inner in ("images", "annotations")]
        return [*tables.values(), data_dir / PICTURES] if tables else folders

    def faces(self, data_dir: Path) -> Iterator[Face | Problem]:
        tables = self.tables(data_dir)
        for part in PARTS:
            yield from self.in_table(data_dir / PICTURES, part, tables[part]) if tables else self.in_arrays(data_dir, part)

    def in_arrays(self, data_dir: Path, part: str) -> Iterator[Face | Problem]:
        """A face is whatever has an image, of any suffix, or an expression."""
        images, arrays, pictures = data_dir / PARTS[part] / "images", data_dir / PARTS[part] / "annotations", {}
        for name in image_names(images):
            other = pictures.setdefault(Path(name).stem, name)
            if other != name:
                yield Problem("table", f"both {other} and {name} in {images} are the image of one face: remove one", split=part)
        stems = {*pictures, *(name.removesuffix("_exp.npy") for name in seen_names(arrays) if name.endswith("_exp.npy"))}
        for stem in sorted(stems, key=lambda stem: (len(stem), stem)):
            name, number = pictures.get(stem, f"{stem}.jpg"), arrays / f"{stem}_exp.npy"
            label, points = partial(_expression, number), partial(array_points, arrays / f"{stem}_lnd.npy")
            yield Face(f"{PARTS[part]}/images/{name}", part, str(number), label, images / name, points=points)

    def in_table(self, images: Path, part: str, table: Path) -> Iterator[Face | Problem]:
        """With or without a header; pictures that lie outside their folder are never opened."""
        find, top = file_finder(images), next(table_pieces(table, "table", nrows=1, header=None, **TEXT))
        first = [name.strip() for name in top.iloc[0]]
        headed = COLUMNS[0] in first
        missing = [name for name in USED if name not in first] if headed else []
        if missing or not (headed or len(first) == len(COLUMNS)):
            lacking = f"lacks the column {missing[0]!r}" if missing else f"has {len(first)} columns"
            raise ValueError(f"{table} {lacking}: it has {', '.join(USED)}, ...")
        names = {"header": 0, "names": first} if headed else {"header": None, "names": COLUMNS}
        for piece in table_pieces(table, "table", **names, **TEXT):
            for row, name, *box, points, label in piece[USED].itertuples(name=None):
                name, where = name.replace("\\", "/").strip(), f"row {row} of {table}"
                if any(letter < " " for letter in name):
                    yield Problem("table", f"{where} names {name!r}, which can't be the name of a file: correct it", split=part)
                elif name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
                    yield Problem("table", f"{where} names {name}, which lies outside {images}: correct it", split=part)
                else:
                    yield Face(name, part, where, label, find(name), box=tuple(box), points=partial(cell_points, points, where))


READER = AffectNet()
