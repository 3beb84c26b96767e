"""Batches: order, augmentation and threads; those of an accelerator; and the memory that each batch keeps."""

import hashlib
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from palcore.data import batches, load, memory
from palcore.data.batches import FaceBatches, epoch_order, given_to_fit
from palcore.data.changes import DRAWS, augmented
from palcore.data.table import Faces, LazyImages
from tests.conftest import on_jax


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", count=70, image_size=32)


def test_in_order_and_complete_and_each_keeps_freed_memory(faces, monkeypatch):
    pieces, kept = [], []
    monkeypatch.setattr(batches, "keep_freed_memory", lambda: kept.append(1))
    some = FaceBatches(replace(faces, images=replace(faces.images, size=40)), 32)
    assert isinstance(some, keras.utils.PyDataset)
    for index in range(len(some)):
        pieces.append(some[index])
        assert len(kept) == len(pieces)
    assert [len(images) for images, _ in pieces] == [32, 32, 6]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in pieces]), some.faces.images[:])
    np.testing.assert_array_equal(np.concatenate([targets["expression"] for _, targets in pieces]), faces.labels)
    np.testing.assert_array_equal(np.concatenate([targets["attribution"] for _, targets in pieces]), faces.landmarks)
    assert pieces[0][0].dtype == np.uint8 and pieces[0][0].shape[1:] == (40, 40, 3)
    assert pieces[0][1]["attribution"].dtype == np.float32


@pytest.mark.parametrize("threads", [1, 3])
def test_augmented_batches_are_those_of_the_records_whatever_the_number_of_threads(threads):
    """The same faces for the same seed as ever, bit for bit, or runs could not be repeated."""
    rng = np.random.default_rng(0)
    pixels, landmarks = rng.integers(0, 256, (40, 24, 24, 3), np.uint8), rng.random((40, 68, 2), np.float32)
    noise = Faces("noise", "train", LazyImages(pixels, np.asarray, 32), landmarks, np.arange(40) % 7, np.arange(40).astype(str))
    batches, other = (FaceBatches(noise, 16, augment=True, shuffle=True, seed=seed, threads=threads) for seed in (5, 6))
    digests = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        images, targets = batches[1]
        parts = (images, targets["expression"], targets["attribution"])
        digests.append(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16])
    assert digests == ["5d20607877538875", "47115c5c21fb4971"]
    other.set_epoch(1)
    assert np.any(images != other[1][0])


def test_keras_reads_each_face_once_an_epoch_in_the_order_of_the_epoch(faces):
    read = []

    class Recording(FaceBatches):
        def __getitem__(self, index):
            read.append((self.epoch, index, self.order.tolist()))
            return super().__getitem__(index)

    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(7)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(Recording(faces, 16, shuffle=True, attribution=False), epochs=2, verbose=0)
    for epoch in range(2):
        batches = {index for number, index, _ in read if number == epoch}
        assert batches == set(range(5))
        orders = {tuple(order) for number, _, order in read if number == epoch}
        assert orders == {tuple(epoch_order(faces.labels, 0, epoch, shuffle=True).tolist())}
        assert sorted(*orders) == list(range(70))


def test_fit_is_given_the_same_batches_and_no_thread_that_an_epoch_would_wait_for(faces):
    some = FaceBatches(faces, 32, shuffle=True, augment=True, class_weight={0: 2.0})
    dataset = given_to_fit(some)
    assert dataset.options().autotune.enabled is False and int(dataset.cardinality()) == len(some) == 3
    for epoch in (0, 1):
        some.set_epoch(epoch)
        for index, batch in enumerate(dataset):
            for given, own in zip(keras.tree.flatten(batch), keras.tree.flatten(some[index]), strict=True):
                assert given.numpy().dtype == own.dtype
                np.testing.assert_array_equal(given, own)


def test_a_batch_is_read_by_several_threads_at_once(faces):
    together = threading.Barrier(3, timeout=20)

    def read(item):
        together.wait()  # passes only where three faces are being read at the same time
        return np.full((32, 32, 3), item, np.uint8)

    images = LazyImages(np.arange(70), read, 32)
    batch, _ = FaceBatches(replace(faces, images=images), 12, threads=3)[0]
    np.testing.assert_array_equal(batch[:, 0, 0, 0], np.arange(12))


@pytest.mark.parametrize("size", [48, 100])
def test_landmarks_move_with_every_change_and_resize(size):
    """Of each face only a bright dot is drawn, at the tip of the nose, which stays itself when the face is mirrored."""
    rng = np.random.default_rng(1)
    places = rng.uniform(0.4, 0.6, (12, 2)).astype(np.float32)
    centres = (np.arange(64) + 0.5) / 64

    def read(item):
        x, y = places[item]
        light = 250 * np.exp(-((centres - x) ** 2 + (centres[:, None] - y) ** 2) / (2 * 0.04**2))
        return np.repeat(light.round().astype(np.uint8)[..., None], 3, axis=2)

    landmarks = np.repeat(places[:, None], 68, axis=1)
    dots = Faces("dots", "train", LazyImages(np.arange(12), read, size), landmarks, np.arange(12) % 7, np.arange(12).astype(str))
    moved = augmented(dots, rng.random((12, DRAWS)))
    images = moved.images[:]
    light = images[..., 0].astype(float)
    grid = (np.arange(size) + 0.5) / size
    seen = np.stack([(light.sum(axis=1) * grid).sum(axis=1), (light.sum(axis=2) * grid).sum(axis=1)], axis=-1)
    seen /= light.sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(seen, moved.landmarks[:, 30], atol=0.005)
    assert np.abs(moved.landmarks[:, 30] - places).max() > 0.01


def test_balanced_batches_show_each_class_as_often_as_any_other():
    labels = np.repeat(np.arange(7), [1290, 281, 717, 4772, 1982, 705, 2524])
    orders = [epoch_order(labels, 0, epoch, balanced=True) for epoch in range(3)]
    for order in orders:
        counts = np.bincount(labels[order], minlength=7)
        # Seven classes, 12,271 draws: 1,753 each, give or take four standard deviations.
        assert np.abs(counts - len(labels) / 7).max() < 4 * np.sqrt(len(labels) / 7)
    # Within a class each face is as likely as the others: the rarest 281 all come, some six times each.
    shown = np.bincount(orders[0][labels[orders[0]] == 1], minlength=len(labels))[labels == 1]
    assert shown.mean() == pytest.approx(6.24, rel=0.1) and shown.max() < 20
    assert np.any(orders[0] != orders[1])


COMPARED = """
import numpy as np
from palcore.data import load
from palcore.data.batches import DeviceBatches, FaceBatches

faces = load("synthetic", None, "test", image_size=48).subset(slice(0, 96))
settings = {"batch_size": 32, "augment": True, "shuffle": True, "seed": 5, "strength": 1.5}
host, device = FaceBatches(faces, **settings), DeviceBatches(faces, **settings)
pairs = [(host[index], device[index]) for index in range(len(host))]
off = np.abs([there.astype(int) - np.asarray(here).astype(int) for (there, _), (here, *_) in pairs])
assert off.mean() < 1 and (off > 16).mean() < 0.005
for (_, expected), (_, given, _) in pairs:
    assert np.abs(expected["attribution"] - given["attribution"]).max() < 1e-6
    assert np.array_equal(expected["expression"], given["expression"])
plain = np.asarray(DeviceBatches(faces, batch_size=96)[0][0])
assert np.array_equal(plain, faces.images[:])  # not augmented: to the last bit
"""


def test_a_batch_on_the_device_is_the_processors_batch():
    on_jax(COMPARED)


EFFECT = """
import ctypes, resource
import numpy as np
from palcore.data import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 17)  # 1 MiB taken and freed; NumPy asks for huge pages from 4 MiB on
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

library = ctypes.CDLL(None)
for option in (memory.TRIM_THRESHOLD, memory.MMAP_THRESHOLD):
    assert library.mallopt(option, 128 << 10)  # as a generator dataset does when it is made
assert faults() > 20 * 200
assert memory.keep_freed_memory() == "glibc: freed memory kept"
faults()
assert faults() < 200
"""


def test_it_undoes_what_tensorflow_did_to_the_allocator():
    if memory.keep_freed_memory() == "nothing: not glibc":
        assert sys.platform != "linux" or not hasattr(memory.ctypes.CDLL(None), "gnu_get_libc_version")
        return
    # In a process of its own: the other threads of this one take memory too.
    subprocess.run([sys.executable, "-c", EFFECT], check=True)


@pytest.mark.parametrize("library", [{}, {"gnu_get_libc_version": 1, "mallopt": lambda *values: 0}])
def test_another_c_library_is_left_alone(library, monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: SimpleNamespace(**library))
    assert memory.keep_freed_memory() == "nothing: not glibc"
