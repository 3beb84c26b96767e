import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from palcore.data import load
from palcore.data.batches import FaceBatches
from palcore.data.changes import CONDITIONS, crop_faces
from palcore.runs import training
from palcore.runs.faces import pixel_fingerprint, run_faces
from palcore.runs.records import identity, predictions_of, read_record
from palcore.training import check_options, options_of, train
from palcore.weights import load_backbone_weights
from tests.copies import TEST, write_affectnet


def options(folder, **values):
    small = {"epochs": 1, "units": 16, "batch_size": 32, "image_size": 32, "width_multiplier": 0.25}
    return check_options(**{**small, "out_dir": str(folder), **values})


@pytest.mark.parametrize("changes", [{"strategy": "mean"}, {"strategy": "none", "crop": 0.1, "robustness": True}])
def test_a_run_writes_its_record_predictions_and_classifier(small, trained, tmp_path, capsys, changes):
    """With PAL; and without it on crops, every condition on one window for all faces."""
    folder, plain, conditions = trained[0], changes["strategy"] == "none", CONDITIONS if "robustness" in changes else ()
    if plain:
        folder = train(options(tmp_path / "run", epochs=2, **changes))
        assert len(capsys.readouterr().out.splitlines()) == 4, "a log gets no bar"
    record, arrays = read_record(folder), predictions_of(folder / "predictions.npz")
    assert set(record["metrics"]) == {"test", "shortcut_free", "validation", *conditions}
    assert set(record["data"]) == {"train", "validation", "test", "shortcut_free", *conditions}
    assert record["config"].items() >= changes.items() and "out_dir" not in record["config"]
    assert record["memory"].startswith(("glibc: freed memory kept", "nothing: "))
    assert str(tmp_path) not in (folder / "record.json").read_text()
    assert len(record["history"]["expression_accuracy"]) == len(record["history"]["val_expression_loss"]) == 2
    assert ("attribution_loss" in record["history"]) == (not plain)
    metrics = record["metrics"]["test"]
    assert set(metrics["reliance"]) == {"eyes", "mouth", "off", "patch"}
    assert set(metrics["integrated_gradients"]) == set(metrics["attribution"])
    assert set(metrics["reliance"]["eyes"]) == {"probability", "accuracy", "share", "share_integrated_gradients", "area"}
    test = load("synthetic", None, "test", image_size=32, count=70)
    if plain:
        left, top, side = record["window"]
        assert 0 < left < 0.3 and 0 < top < 0.4 and 0.5 < side < 1
        test = crop_faces(test, record["window"])
        # A patch or blur moves no landmark.
        assert record["data"]["patch_off"]["fingerprint"] == record["data"]["shortcut_free"]["fingerprint"]
    assert record["data"]["test"]["fingerprint"] == test.fingerprint()
    assert record["labels"] == dict.fromkeys(record["data"], test.counts())
    classifier = keras.models.load_model(folder / "classifier.keras")
    accuracy = np.mean(np.argmax(classifier.predict(test.images[:], verbose=0), axis=-1) == test.labels)
    confusion = np.array(metrics["confusion"])
    assert metrics["accuracy"] == pytest.approx(accuracy) == np.trace(confusion) / 70 and confusion.sum() == 70
    kept = ("labels", "probabilities", "correlation")
    assert {name for name in arrays if name.startswith("test_")} == {f"test_{name}" for name in kept}
    for split in ("test", "validation"):
        assert arrays[f"{split}_probabilities"].shape == (70, 7) and arrays[f"{split}_probabilities"].dtype == np.float32
        right = arrays[f"{split}_probabilities"].argmax(axis=-1) == arrays[f"{split}_labels"]
        assert right.mean() == pytest.approx(record["metrics"][split]["accuracy"])
    assert record["metrics"]["validation"]["accuracy"] == pytest.approx(record["history"]["val_expression_accuracy"][-1], abs=0.02)
    for condition in conditions:
        assert arrays[f"{condition}_called"].dtype == np.uint8 and f"{condition}_labels" not in arrays
        right = np.mean(arrays[f"{condition}_called"] == arrays["shortcut_free_labels"])
        assert right == pytest.approx(record["metrics"][condition]["accuracy"])


def test_a_run_with_other_options_is_trained_on_a_copy_that_is_read_only_as_a_licensed_one_may_be(tmp_path):
    copy, out = tmp_path / "copy", tmp_path / "runs" / "one"
    drawn = write_affectnet(copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(copy.rglob("*"))
    changes = {"class_weight": "balanced", "label_noise": 0.2, "jaw": 0, "strategy": "half", "loss": "energy"}
    record = read_record(train(options(out, dataset="affectnet", data_dir=str(copy), batch_size=8, **changes), verbose=0))
    assert np.isfinite([record["history"]["loss"][0], record["history"]["attribution_loss"][0]]).all()
    assert record["config"].items() >= changes.items()
    assert sum(part["faces"] for part in record["data"].values()) == len(drawn)
    assert record["data"]["test"]["faces"] == record["metrics"]["test"]["faces"] == TEST
    dropped = [record["data"][split].get("dropped", {}) for split in ("train", "validation", "test")]
    assert dropped == [{"contempt": 1, "none": 1, "uncertain": 1, "no face": 1}, {}, dropped[0]]
    assert len(list((tmp_path / "runs" / "index").iterdir())) == 2  # of pictures and of landmarks
    assert sorted(copy.rglob("*")) == before and str(tmp_path) not in (out / "record.json").read_text()


def test_wrong_landmarks_are_trained_on_but_never_tested_on(small, tmp_path):
    def read(**changes):
        found = run_faces(options(tmp_path, **changes))
        return [faces.landmarks[:] for faces in (found.train, found.validation, *found.tests.values())]

    right = read()
    for wrong in (read(landmark_source="shuffled"), read(landmark_jitter=0.1)):
        assert np.abs(wrong[0] - right[0]).mean() > 0.01
        for one, other in zip(wrong[1:], right[1:], strict=True):
            np.testing.assert_array_equal(one, other)


def test_an_option_a_version_or_a_datum_changes_the_identity():
    record = {"config": {"seed": 0}, "data": {"train": {"pixels": "a"}}, "backend": "jax", "versions": {"keras": "3"}}
    changed = {"config": {"seed": 1}, "data": {"train": {"pixels": "b"}}, "backend": "tensorflow", "versions": {"keras": "4"}}
    changed |= {"window": [0, 0, 1], "weights_file": "c"}
    identities = {identity({**record, name: value}) for name, value in changed.items()}
    assert len({identity(record), *identities}) == 7
    assert identity({**record, "seconds": 3, "metrics": {}, "commit": "d"}) == identity(record)


def test_a_changed_pixel_changes_the_fingerprint():
    faces = load("synthetic", None, "test", image_size=32, count=7)
    before = pixel_fingerprint(faces.images, threads=3)
    assert before == pixel_fingerprint(faces.images)

    def read(row):
        image = faces.images.read(row)
        image[0, 0, 0] ^= row == 6
        return image

    changed = replace(faces, images=replace(faces.images, read=read))
    assert pixel_fingerprint(changed.images) != before
    assert changed.fingerprint() == faces.fingerprint()


@pytest.mark.parametrize(
    ("value", "changes", "advice"),
    [(np.nan, {}, "learning_rate than 0.0001;"), (np.inf, {"pal_weight": 1e6}, "pal_weight than 1000000.0;")],
)
def test_a_loss_that_is_no_number_stops_at_its_step(small, tmp_path, monkeypatch, value, changes, advice):
    class Poisoned(FaceBatches):
        def __getitem__(self, index):
            images, targets, *weights = super().__getitem__(index)
            if self.options.shuffle and (self.epoch, index) == (1, 1):
                weights[0]["expression"][0] = value
            return images, targets, *weights

    folder = tmp_path / "run"
    monkeypatch.setattr(training, "FaceBatches", Poisoned)
    given = options(folder, epochs=2, class_weight="balanced", **changes)
    with pytest.raises(FloatingPointError, match="the loss of .*run is not a number in epoch 2, step 2: try a lower " + advice):
        train(given, verbose=0)
    stopped = json.loads((folder / "stopped.json").read_text())
    assert (stopped["epoch"], stopped["step"]) == (2, 2) and stopped["losses"]["loss"] in ("nan", "inf")
    assert not (folder / "record.json").exists() and not (folder / "classifier.keras").exists()
    with pytest.raises(FileNotFoundError, match="its training has not ended"):
        read_record(folder)
    assert (folder / "resume.npz").exists()  # with a smaller learning_rate it is another run, but the cause may lie elsewhere


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"strategey": "mean"}, "unknown option 'strategey': choose from dataset"),
        ({"strategy": "median"}, "option strategy is 'median': choose from none, all, mean, half"),
        ({"dataset": "fer2013"}, "option data_dir is missing: dataset fer2013 needs the folder"),
        ({"data_dir": "x"}, "option data_dir is 'x' for the synthetic faces"),
        ({"epochs": 0}, "option epochs is 0: it must be a whole number of at least 1"),
        ({"epochs": 5, "warmup": 6}, "option warmup is 6.0 for 5 epochs"),
        ({"epochs": True}, "option epochs is True: it must be a whole number"),
        ({"pal_weight": float("nan")}, "option pal_weight is nan: it must be a number"),
        ({"width_multiplier": 0}, r"option width_multiplier is 0: it must be a number in \[0.125, 4\]"),
        ({"backbone": "vgg16", "width_multiplier": 0.5}, "option width_multiplier is 0.5 for backbone vgg16: only compact"),
        ({"dropout": 1}, r"option dropout is 1: it must be a number in \[0, 1\)"),
        ({"class_weight": "balanced", "sampling": "balanced"}, "class_weight and sampling are both balanced"),
        ({"augment": 2}, "option augment is 2: choose from True, False"),
        ({"out_dir": 7}, "option out_dir is 7: it must be text or None"),
        ({"landmark_order": "x_y"}, "option landmark_order is 'x_y' for dataset synthetic: only rafdb's text files have an order"),
        ({"dataset": "fer2013", "data_dir": "x", "shortcut": 0.5}, "option shortcut is 0.5 for dataset fer2013: only drawn faces"),
        ({"dataset": "rafdb", "data_dir": "x", "labels": "ferplus"}, "option labels is 'ferplus' for dataset rafdb: only fer2013"),
        ({"weights": "x.h5"}, "option weights is 'x.h5' for backbone compact: it has none to load, leave it out"),
        ({"strategy": "none", "loss": "energy"}, "option loss is 'energy' for strategy none: it has no loss of the attribution"),
        ({"strategy": "none", "pal_share": 0.5}, "option pal_share is 0.5 for strategy none"),
        ({"backbone": "vgg16", "normalisation": "convolution"}, "normalisation.*only compact and plain"),
        ({"schedule": "constant", "warmup": 1.0}, "warmup.*constant"),
    ],
)
def test_options_that_make_no_sense_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_options(**values)


def test_words_of_the_command_line_and_records_older_than_some_options_are_understood():
    known = options_of({"dataset": "fer2013", "strategy": "half", "gone": 1}, data_dir="DIR")
    assert (known.strategy, known.loss, known.data_dir) == ("half", "pal", "DIR")
    options = check_options(augment="false", shortcut="none", layer="None", strategy="none", weights="")
    assert (options.augment, options.strategy) == (False, "none")
    assert options.shortcut is options.layer is options.weights is None
    assert [check_options(augment=value).augment for value in (0, 1, "0", "TRUE")] == [False, True, False, True]
    assert check_options(robustness=1).robustness is True
    given = check_options(seed=np.int64(3), learning_rate=np.float32(0.5))
    assert (type(given.seed), given.seed, given.learning_rate) == (int, 3, 0.5)
    # A notebook gives every option; what means nothing may have its default.
    assert check_options(dataset="fer2013", data_dir="x", shortcut=0.9, strategy="none", loss="pal", weights=None)


def test_a_home_folder_is_understood_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    options = check_options(
        dataset="rafdb", data_dir="~/faces", landmarks="~/l.csv", out_dir="~/run", backbone="vgg16", weights="~/w.h5"
    )
    assert (options.data_dir, options.landmarks) == ("/home/someone/faces", "/home/someone/l.csv")
    assert (options.out_dir, options.weights) == ("/home/someone/run", "/home/someone/w.h5")
    with pytest.raises(FileNotFoundError, match="no weights file /home/someone/w.h5"):
        load_backbone_weights(None, "~/w.h5")
