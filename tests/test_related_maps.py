import keras
import numpy as np
import pytest

from palcore.related_maps import class_score, grad_cam, integrated_gradients
from tests.backend_case import SMOOTH, faces, network


def linear_network(softmax=False):
    """Two channels, the second minus twice the first, and one dense layer on the flattened map of 1 x 2 cells."""
    image = keras.Input((1, 2, 1))
    features = keras.layers.Conv2D(2, 1, use_bias=False, name="last")
    dense = keras.layers.Dense(2, use_bias=False, activation="softmax" if softmax else None)
    model = keras.Model(image, dense(keras.layers.Flatten()(features(image))))
    features.kernel.assign(np.array([1.0, -2.0]).reshape(1, 1, 1, 2))
    dense.kernel.assign([[1.0, -1.0], [2.0, 0.0], [3.0, -3.0], [0.0, 4.0]])
    return model


IMAGE = np.array([1.0, 2.0], np.float32).reshape(1, 1, 2, 1)


@pytest.mark.parametrize("softmax", [False, True])
def test_grad_cam_by_hand(softmax):
    """Features (1, -2) and (2, -4). Mean derivatives of class 0: (1 + 3) / 2, (2 + 0) / 2; of class 1: -2 and 2."""
    model = linear_network(softmax)
    # Class 0: 2 * 1 + 1 * -2 = 0 and 2 * 2 + 1 * -4 = 0. Class 1: -2 - 4 and -4 - 8, negative, cut off.
    assert np.ravel(grad_cam(model, IMAGE, [0])).tolist() == [0, 0]
    assert np.ravel(grad_cam(model, IMAGE, [1])).tolist() == [0, 0]
    assert np.ravel(grad_cam(model, -IMAGE, [1])).tolist() == [6, 12]


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("softmax", [False, True])
def test_integrated_gradients_of_a_linear_network_by_hand(steps, softmax):
    """z0 = x1 - 4 x1 + 3 x2 = -3 x1 + 3 x2: each pixel's attribution is its weight times its distance from the baseline."""
    model = linear_network(softmax)
    found = integrated_gradients(model, IMAGE, [0], steps=steps)
    np.testing.assert_allclose(found.ravel(), [-3, 6], rtol=1e-6)
    shifted = integrated_gradients(model, IMAGE, [0], baseline=1.0, steps=steps)
    np.testing.assert_allclose(shifted.ravel(), [0, 3], rtol=1e-6)


def test_integrated_gradients_are_complete_and_those_of_some_images_at_a_time_are_those_of_all():
    model = network(SMOOTH)
    images, _ = faces()
    classes = np.array([0, 3, 5, 6])
    found = integrated_gradients(model, images, classes, steps=64)
    assert found.shape == images.shape
    gained = (model(images).numpy() - model(np.zeros_like(images)).numpy())[np.arange(4), classes]
    assert np.abs(gained).min() > 1e-3
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), gained, rtol=1e-3, atol=1e-4)
    coarse = integrated_gradients(model, images, classes, steps=3)
    assert np.abs(coarse.sum(axis=(1, 2, 3)) - gained).max() > 10 * np.abs(found.sum(axis=(1, 2, 3)) - gained).max()
    for together in (1, 3, 4, 9):
        some = integrated_gradients(model, images, classes, steps=3, together=together)
        np.testing.assert_allclose(some, coarse, rtol=1e-4, atol=1e-6)


def test_each_face_is_explained_for_its_own_class():
    model = network("relu")
    images, _ = faces()
    together = np.asarray(grad_cam(model, images, [0, 3, 5, 6], "last"))
    alone = np.asarray(grad_cam(model, images[2:3], [5], "last"))
    np.testing.assert_allclose(together[2:3], alone, rtol=1e-5, atol=1e-7)
    assert together.min() >= 0 and together.max() > 0
    assert float(class_score(np.array([[1.0, 2.0], [3.0, 4.0]]), [1, 0])) == 5


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match="steps 0 of integrated gradients: it must be at least 1"):
        integrated_gradients(linear_network(), IMAGE, [0], steps=0)
    for function in (grad_cam, integrated_gradients):
        with pytest.raises(ValueError, match="1 images and 2 classes: give one class for each image"):
            function(linear_network(), IMAGE, [0, 1])
