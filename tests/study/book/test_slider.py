"""The slider holds all it needs, and its handler shows the frame of its value."""

import html
import io
import re
from base64 import b64decode

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from study.book.slider import FrameSlider, to_png


def frame(level):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.imshow([[0, level]])
    return to_png(figure, dpi=50)


@pytest.fixture
def slider():
    return FrameSlider({"1/112": frame(1), "<3>": frame(2), "last": frame(3)}, "sigma & width", 'A "map".', start="<3>")


def attributes(text, tag):
    """The attributes of each element of a kind, as text."""
    elements = [re.findall(r'([\w-]+)="([^"]*)"', element) for element in re.findall(f"<{tag} [^>]*>", text)]
    return [{name: html.unescape(value) for name, value in element} for element in elements]


def test_figures_become_small_pngs_and_are_closed():
    before = plt.get_fignums()
    png = frame(1)
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "P", (100, 50))
    assert plt.get_fignums() == before


def test_html_has_every_frame_shows_the_first_and_loads_nothing(slider):
    images, [control] = (attributes(slider.to_html(), tag) for tag in ("img", "input"))
    assert [image["data-value"] for image in images] == ["1/112", "<3>", "last"]
    assert [image["style"].split(";")[0] for image in images] == ["display: none", "display: block", "display: none"]
    assert images[1]["alt"] == 'A "map". sigma & width: <3>.'
    assert (control["min"], control["max"], control["value"]) == ("0", "2", "1")
    assert control["aria-label"] == "sigma & width"
    for image, png in zip(images, slider.frames.values(), strict=True):
        assert b64decode(image["src"].removeprefix("data:image/png;base64,")) == png
    assert not re.search(r"https?:|<script|<link|require\(", slider.to_html())


def test_a_cell_gets_html_for_pages_and_the_start_for_print(slider):
    bundle = slider._repr_mimebundle_()
    assert bundle["text/html"] == slider.to_html()
    assert b64decode(bundle["image/png"]) == slider.frames["<3>"]
    assert bundle["text/plain"] == "sigma & width: 1/112, <3>, last"


def test_the_first_frame_is_the_start_and_nonsense_is_refused():
    assert FrameSlider({"a": b"1", "b": b"2"}, "value", "Alt.").start == "a"
    with pytest.raises(ValueError, match="no frames for a slider"):
        FrameSlider({}, "sigma", "Alt.")
    with pytest.raises(ValueError, match="start '9' of a slider: it must be one of 1, 2"):
        FrameSlider({"1": b"", "2": b""}, "sigma", "Alt.", start="9")
