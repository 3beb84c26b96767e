import matplotlib.pyplot as plt
import numpy as np
import pytest

from palcore.landmarks import REGIONS
from study.book.figures import MARKERS, draw_grid, draw_landmarks


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_grid_shows_each_map_under_its_names(rng):
    rows = {
        "sum": {"7 x 7": rng.random((7, 7)), "face": np.zeros((9, 9, 3), np.uint8)},
        "blur": {"a": np.ones((3, 3)), "b": np.ones((2, 2))},
    }
    figure = draw_grid(rows)
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == ["7 x 7", "face", "", ""]
    assert [text.get_text() for axis in axes for text in axis.texts] == ["sum", "blur"]
    assert [axis.images[0].get_array().shape for axis in axes] == [(7, 7), (9, 9, 3), (3, 3), (2, 2)]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), rows["sum"]["7 x 7"])


def test_one_scale_for_all_maps_or_each_its_own(rng):
    rows = {"": {"a": rng.random((4, 4)), "b": 9 * rng.random((4, 4))}}
    shared = draw_grid(rows, limits=(0, 9), unit="heatmap")
    assert [axis.images[0].get_clim() for axis in shared.axes[:2]] == [(0, 9), (0, 9)]
    assert shared.axes[2].get_ylabel() == "heatmap"
    own = [axis.images[0].get_clim() for axis in draw_grid(rows).axes]
    assert own == [(maps.min(), maps.max()) for maps in rows[""].values()]


def test_images_lie_under_the_maps_of_their_row_or_column(rng):
    rows = {"one": {"a": rng.random((2, 2)), "b": rng.random((2, 2))}, "two": {"a": rng.random((2, 2)), "b": rng.random((2, 2))}}
    face = np.full((8, 8, 3), 7, np.uint8)
    counts = [len(axis.images) for axis in draw_grid(rows, images={"one": face, "b": face}).axes]
    assert counts == [2, 2, 1, 2]


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match="no rows for a grid of maps"):
        draw_grid({})


def test_landmarks_are_drawn_by_region_in_colours_and_shapes_of_their_own(rng):
    assert MARKERS.keys() == REGIONS.keys() and len(set(MARKERS.values())) == len(REGIONS)
    landmarks = rng.random((68, 2))
    _, axes = plt.subplots()
    draw_landmarks(axes, landmarks)
    drawn = {collection.get_label(): np.asarray(collection.get_offsets()) for collection in axes.collections}
    for region, indices in REGIONS.items():
        np.testing.assert_allclose(drawn[region], landmarks[list(indices)])
    assert len({tuple(collection.get_facecolor()[0]) for collection in axes.collections}) == len(REGIONS)
