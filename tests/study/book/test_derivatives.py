import numpy as np
import pytest
from keras import ops

from palcore.attribution import value_and_gradient
from palcore.losses import PrivilegedAttributionLoss
from palcore.models import with_attribution
from study.book.derivatives import size_by_layer, weight_difference, weight_gradients
from tests.backend_case import SMOOTH, faces, network


def test_no_way_back_is_a_gradient_of_zero():
    _, gradient = value_and_gradient(lambda x: ops.sum(ops.ones(3)), np.ones(3))
    assert ops.convert_to_numpy(gradient).tolist() == [0, 0, 0]


@pytest.fixture(scope="module")
def case():
    model = with_attribution(network(SMOOTH), "last")
    images, landmarks = faces()
    loss = PrivilegedAttributionLoss(sigma=0.1)
    return model, images, landmarks, lambda outputs: loss(landmarks, outputs["attribution"])


def test_slope_equals_difference_and_the_weights_are_put_back(case):
    model, images, _, loss = case
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    _, gradients = weight_gradients(model, images, loss)
    slope = np.sqrt(sum(np.sum(np.square(gradient)) for gradient in gradients.values()))
    assert weight_difference(model, images, loss, gradients, 4e-3) == pytest.approx(slope, rel=0.02)
    backwards = {path: -3 * gradient for path, gradient in gradients.items()}
    assert weight_difference(model, images, loss, backwards, 4e-3) == pytest.approx(-slope, rel=0.02)
    with pytest.raises(KeyError):
        weight_difference(model, images, lambda outputs: outputs["missing"], gradients, 4e-3)
    for variable, weight in zip(model.trainable_variables, before, strict=True):
        assert np.array_equal(variable.numpy(), weight)


def test_size_by_layer_by_hand():
    gradients = {"model/conv/kernel": np.array([[3.0, 0.0, 0.0]]), "model/conv/bias": np.array([1.0]), "last/bias": np.zeros(2)}
    assert size_by_layer(gradients) == {"conv": pytest.approx(np.sqrt(10 / 4)), "last": 0}
