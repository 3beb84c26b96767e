import keras
import numpy as np
import pytest

from palcore.data import load
from palcore.data.changes import boxes_of, covered
from palcore.data.synthetic import PATCH_BOX, PATCH_COLOURS
from palcore.models import build_classifier, with_attribution
from palcore.runs.reliance import covering_costs, reliance, share_in_boxes

SIDE = 32


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", split="test", count=35, image_size=SIDE, shortcut=1.0)


def reader_of_the_patch():
    """A classifier that looks at nothing but the colour of the patch: its logits are minus the distance to each colour."""
    image = keras.Input((SIDE, SIDE, 3))
    side = round(PATCH_BOX[2] * SIDE)
    seen = keras.layers.Conv2D(3, 1, use_bias=False, name="seen")(keras.layers.Rescaling(1 / 255)(image))
    corner = keras.layers.Cropping2D(((SIDE - side, 0), (0, SIDE - side)))(seen)
    colour = keras.layers.GlobalAveragePooling2D()(corner)
    logits = keras.layers.Dense(7, name="logits")(colour)
    model = keras.Model(image, logits)
    model.get_layer("seen").set_weights([np.eye(3)[None, None]])  # a map to attribute, which changes nothing
    colours = np.array(PATCH_COLOURS) / 255
    model.get_layer("logits").set_weights([2 * 200 * colours.T, -200 * (colours**2).sum(axis=1)])
    return model


def test_what_an_answer_depends_on_is_what_costs_when_it_is_covered(faces):
    boxes = {place: boxes_of(faces, place, np.array(PATCH_BOX)) for place in ("eyes", "off")}
    costs = covering_costs(reader_of_the_patch(), faces, boxes | {"patch": boxes_of(faces, PATCH_BOX)})
    assert costs["patch"]["accuracy"] == pytest.approx(-1 + 1 / 7, abs=0.15)
    assert costs["patch"]["probability"] < -0.7
    for place in ("eyes", "off"):
        assert costs[place] == {"probability": pytest.approx(0, abs=1e-6), "accuracy": 0.0}


def test_the_place_off_the_face_leaves_the_patch_alone(faces):
    for image, whole in zip(covered(faces, boxes_of(faces, "off", np.array(PATCH_BOX))).images[:], faces.images[:], strict=True):
        side = round(PATCH_BOX[2] * SIDE)
        np.testing.assert_array_equal(image[-side:, :side], whole[-side:, :side])
        assert np.any(image != whole)


def test_share_in_a_box_by_hand():
    maps = np.array([[[1.0, -5.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_allclose(share_in_boxes(maps, [(0, 0.5, 0.5, 1), (0, 0, 1, 1)]), [3 / 8, 0])
    np.testing.assert_allclose(share_in_boxes(maps[[0, 0]], [(0, 0.75, 1, 1), (0, 0, 1, 1)]), [3.5 / 8, 1])


def test_integrated_gradients_find_the_patch_that_the_answer_depends_on(faces):
    classifier = build_classifier("compact", SIDE, units=8, width_multiplier=0.125)
    found = reliance(classifier, with_attribution(classifier), faces, 3 / 112, patch=True)
    assert set(found["reliance"]) == {"eyes", "mouth", "off", "patch"}
    assert 0 <= found["reliance"]["patch"]["share"] <= 1
    patched = reader_of_the_patch()
    # Its own attribution is of no interest here.
    found = reliance(patched, with_attribution(classifier), faces, 3 / 112, patch=True)
    assert found["reliance"]["patch"]["share_integrated_gradients"] > 0.99
    assert found["reliance"]["patch"]["area"] == pytest.approx(0.14**2)
