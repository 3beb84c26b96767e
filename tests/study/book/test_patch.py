"""The pictures that one can touch compute what Keras computes, on pixels that are what Python makes, and obey their reader."""

import contextlib
import io
import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.images import resize
from palcore.data.synthetic import PATCH_COLOURS
from palcore.models import build_classifier, with_attribution
from palcore.runs.records import read_record
from palcore.runs.reliance import share_in_boxes
from palcore.weights import weights_digest
from study.book import browser as networks
from study.book import check_site, serve, source
from study.book.readme_figure import PICTURE, draw, mean_maps
from study.book.slider import to_png
from tests.conftest import ROOT

COMMITTED = ROOT / "results" / "browser"
PAIRS = {"page": ("none", "mean"), "own": ("fer2013_none", "fer2013_mean")}
NAMES = (*PAIRS["page"], *PAIRS["own"])
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="_static/site.css">
<script src="_static/site.js"></script></head><body><main class="bd-article"><h1>Page</h1>
STILL</main></body></html>"""
STILLS = {
    "page": '<figure class="still"><img alt="still" src="two_networks.png"></figure>',
    "own": '<p class="own-face still">Here you can frame a face.</p>',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    html = tmp_path_factory.mktemp("html")
    shutil.copytree(ROOT / "book" / "_static", html / "_static")
    shutil.copyfile(ROOT / "book" / "figures" / "two_networks.png", html / "two_networks.png")
    for name, still in STILLS.items():
        (html / f"{name}.html").write_text(PAGE.replace("STILL", still))
    source.copy_records(html)
    return html


@contextlib.contextmanager
def opened(browser, site, name):
    """A page, its networks loaded; at its end it has complained of nothing."""
    with serve.served(site) as address:
        context = browser.new_context(viewport=check_site.DESK, has_touch=True)
        page, problems = context.new_page(), []
        check_site.watch(page, address, problems)
        page.goto(f"{address}/{name}.html")
        page.locator(".patch-start").click()
        page.wait_for_selector(".patch")
        yield page
        assert not problems
        context.close()


@pytest.fixture
def page(browser, site):
    with opened(browser, site, "page") as page:
        page.wait_for_selector(".patch tbody tr")
        yield page


@pytest.fixture
def own(browser, site):
    with opened(browser, site, "own") as page:
        yield page


def give(page, **file):
    """Give the page a file, and wait for its answer."""
    page.locator(".patch input[type=file]").set_input_files(file)
    page.wait_for_selector(".patch tbody tr")


def photograph(height, width, face, place):
    """A noisy picture with a drawn face of that side at (x, y), as an array and as a PNG file."""
    x, y = place
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    picture[y : y + face, x : x + face] = load("synthetic", split="test", image_size=face, shortcut=None, count=4).images[3]
    return picture, {"name": "photo.png", "mimeType": "image/png", "buffer": cv2.imencode(".png", picture[..., ::-1])[1].tobytes()}


def as_fer2013(square):
    """A square of a picture as FER2013's faces are: ``(48, 48, 3)`` uint8 with equal channels."""
    return np.repeat(resize(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY), 48)[..., None], 3, axis=-1)


def test_twenty_faces_get_from_the_browser_what_keras_gives(page):
    bare, faces = (load("synthetic", split="test", image_size=48, shortcut=given, count=20) for given in (None, 0.5))
    images = faces.images[:]
    colours = [PATCH_COLOURS.index(tuple(image[-1, 0])) for image in images]
    assert len(set(colours)) > 4
    painted = page.evaluate(
        """([faces, colours]) => faces.map((face, row) =>
            Array.from(window.patch.withPatch(face, 48, 7, window.patchData.faces.colours[colours[row]], 0, 41)))""",
        [bare.images[:].reshape(20, -1).tolist(), colours],
    )
    assert (np.array(painted).reshape(images.shape) == images).all()
    for name in PAIRS["page"]:
        seen = page.evaluate(
            """([name, images]) => { const network = new window.patch.Network(window.patchData[name]);
                return images.map(image => { const {logits, map} = network.look(image);
                    return {logits: Array.from(logits), map: Array.from(map)}; }); }""",
            [name, images.reshape(len(images), -1).tolist()],
        )
        wanted = with_attribution(networks.unpacked(name)).predict(images, verbose=0)
        logits, maps = (np.array([face[key] for face in seen]) for key in ("logits", "map"))
        assert np.abs(logits - wanted["expression"]).max() < 1e-3
        assert np.ptp(wanted["expression"], axis=0).min() > 0.3
        assert np.abs(maps.reshape(wanted["attribution"].shape) - wanted["attribution"]).max() < 1e-4 * wanted["attribution"].max()


@pytest.mark.parametrize("side", [48, 49, 96, 131])
def test_a_square_becomes_the_pixels_that_python_makes_of_it(own, side):
    square = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    rgba = np.dstack([square, np.full((side, side), 255, np.uint8)])
    made = own.evaluate("([data, side]) => Array.from(window.patch.greySquare(data, side, 48))", [rgba.ravel().tolist(), side])
    off = np.abs(np.reshape(made, (48, 48, 3)) - as_fer2013(square).astype(int))
    assert off.max() <= 1 and off.mean() < (0.3 if side == 96 else 0.01)  # OpenCV rounds a half up there, and down elsewhere


FRAME = """() => { const {left, top, width} = document.querySelector(".patch-handle").style;
    const picture = document.querySelector(".patch-stage canvas");
    return [[left, picture.width], [top, picture.height], [width, picture.width]].map(
        ([share, side]) => Math.round(parseFloat(share) * side / 100)); }"""
"""Left, top and side of the frame, in pixels of the picture."""
SAID = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))).then(() =>
    [...document.querySelectorAll(".patch-bar")].map(row => [...row.cells].slice(1).map(
        cell => parseFloat(cell.style.getPropertyValue("--share")) / 100)))"""
"""The probability of each expression and network, ``(7, 2)``."""


@pytest.mark.parametrize(("width", "face", "apart"), [(400, 200, 0.005), (2000, 600, 0.03)])  # the larger one is shrunk on its way
def test_a_picture_of_the_readers_own_is_answered_as_python_would(own, width, face, apart):
    picture, file = photograph(width * 3 // 4, width, face, (width // 8, width // 8))
    give(own, **file)
    scale = min(1, 1600 / width)
    own.locator(".patch-size input").fill(str(round(face * scale)))
    own.locator(".patch-handle").press("Shift+ArrowUp")
    said, (left, top, side) = own.evaluate(SAID), (round(length / scale) for length in own.evaluate(FRAME))
    assert side == face
    image = as_fer2013(picture[top : top + side, left : left + side])[None]
    wanted = [softmax(networks.unpacked(name).predict(image, verbose=0)[0].astype(float)) for name in PAIRS["own"]]
    assert np.abs(said - np.transpose(wanted)).max() < apart


def test_a_reader_moves_and_resizes_the_frame(own):
    give(own, **photograph(300, 400, 200, (0, 0))[1])
    assert own.evaluate(FRAME) == [50, 0, 300]
    own.locator(".patch-size input").fill("100")
    keys = {"ArrowLeft": (147, 100, 100), "Shift+ArrowDown": (147, 130, 100), "+": (145, 128, 105), "Home": (50, 0, 300)}
    for key, wanted in (keys | {"-": (57, 7, 286)}).items():
        own.locator(".patch-handle").press(key)
        assert np.allclose(own.evaluate(FRAME), wanted, atol=1), key
    stage = own.locator(".patch-stage").bounding_box()
    grips = {"corner": ((340, 290), (120, 70), (57, 7, 63)), "inside": ((80, 30), (180, 130), (157, 107, 63))}
    for grip, (*points, wanted) in (grips | {"outside": ((390, 290), (390, 290), (337, 237, 63))}).items():
        for (x, y), press in zip(points, (own.mouse.down, own.mouse.up), strict=True):
            own.mouse.move(stage["x"] + x * stage["width"] / 400, stage["y"] + y * stage["height"] / 300, steps=4)
            press()
        assert np.allclose(own.evaluate(FRAME), wanted, atol=2), grip
    own.touchscreen.tap(stage["x"] + stage["width"] / 10, stage["y"] + stage["height"] / 7.5)
    assert np.allclose(own.evaluate(FRAME), (8, 8, 63), atol=2)


@pytest.mark.parametrize(("height", "words"), [(0, "cannot be read as a picture"), (40, "has 90 x 40 pixels")])
def test_a_file_that_is_no_picture_for_them_is_refused_in_words(own, height, words):
    content = cv2.imencode(".png", np.zeros((height, 90, 3), np.uint8))[1].tobytes() if height else b"no picture"
    own.locator(".patch input[type=file]").set_input_files({"name": "face.png", "mimeType": "image/png", "buffer": content})
    own.get_by_text(f"face.png {words}").wait_for()
    assert own.locator(".patch table").is_hidden() and own.locator(".patch canvas").first.is_hidden()


def test_the_share_on_the_patch_is_that_of_the_records(page):
    maps = np.random.default_rng(0).uniform(0, 1, (3, 6, 6))
    boxes = np.array([[0, 41 / 48, 7 / 48, 1], [0.3, 0.1, 0.3 + 7 / 48, 0.1 + 7 / 48], [0, 0, 7 / 48, 7 / 48]])
    ask = "([map, left, top]) => window.patch.shareWithin(map, 6, left, top, 7 / 48)"
    said = [page.evaluate(ask, [one.ravel().tolist(), *box[:2].tolist()]) for one, box in zip(maps, boxes, strict=True)]
    assert np.allclose(said, share_in_boxes(maps, boxes))


def test_a_reader_recolours_drags_and_removes_the_patch(page):
    touch, says = page.locator(".patch"), page.locator(".patch-says")
    expect = "want => document.querySelector('.patch-says').textContent.includes(want)"
    touch.get_by_label("the colour that meant anger").check()
    page.wait_for_function(expect, arg="in training this colour meant anger")
    answers = {says.inner_text()}
    touch.get_by_label("disgust", exact=True).check()
    page.wait_for_function(expect, arg="The face shows disgust")
    answers.add(says.inner_text())
    assert len(answers) == 2 and touch.locator("tbody tr").count() == len(EMOTIONS) + 2
    handle, stage = page.locator(".patch-handle"), page.locator(".patch-stage").bounding_box()
    for key in ("ArrowUp", "Shift+ArrowRight"):
        handle.press(key)
    place = "() => ['left', 'top'].map(side => Math.round(0.48 * parseFloat(document.querySelector('.patch-handle').style[side])))"
    assert page.evaluate(place) == [7, 40]
    page.mouse.move(stage["x"] + stage["width"] * 10.5 / 48, stage["y"] + stage["height"] * 43.5 / 48)
    page.mouse.down()
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2, steps=4)
    page.mouse.up()
    assert page.evaluate(place) == [21, 21] or page.evaluate(place) == [20, 20]
    page.touchscreen.tap(stage["x"] + 2, stage["y"] + 2)
    assert page.evaluate(place) == [0, 0]
    handle.press("Delete")
    page.wait_for_function(expect, arg="there is no patch")
    assert handle.is_hidden() and touch.locator("tbody tr").count() == len(EMOTIONS)
    touch.get_by_role("button", name="Put the patch back").click()
    page.wait_for_function(expect, arg="in training this colour meant disgust")
    assert page.evaluate(place) == [0, 41]


@pytest.mark.parametrize("name", STILLS)
def test_it_works_from_a_disk_sends_nothing_and_leaves_the_still_in_print_and_without_scripts(browser, site, name):
    without = browser.new_context(java_script_enabled=False)
    page = without.new_page()
    page.goto((site / f"{name}.html").as_uri())
    assert page.locator(".still").is_visible() and page.locator("button").count() == 0
    without.close()
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append((request.method, request.url)))
    page.goto((site / f"{name}.html").as_uri())
    assert not [url for _, url in asked if "/patch/" in url]
    page.locator(".patch-start").click()
    page.wait_for_selector(".patch")
    if name == "own":
        give(page, **photograph(300, 400, 200, (0, 0))[1])
    page.wait_for_selector(".patch tbody tr")
    assert all(method == "GET" and url.startswith((site.as_uri(), "data:", "blob:")) for method, url in asked)
    page.emulate_media(media="print")
    assert page.locator(".still, .still img").last.is_visible() and page.locator(".patch").is_hidden()
    page.close()


def test_what_could_not_be_loaded_is_said(browser, site, tmp_path):
    shutil.copytree(site, tmp_path / "html")
    (tmp_path / "html" / "_static" / "patch" / "mean.js").unlink()
    page = browser.new_page()
    page.goto((tmp_path / "html" / "page.html").as_uri())
    page.locator(".patch-start").click()
    page.get_by_text("it could not be loaded").wait_for()
    assert page.locator("img").is_visible() and page.locator(".patch-start").is_enabled()
    page.close()


def test_what_is_loaded_weighs_what_the_buttons_say(site):
    offers = re.findall(r'loads (\d+) MB.*?files: \["(.*?)"\]', (ROOT / "book" / "_static" / "site.js").read_text(), re.DOTALL)
    assert len(offers) == len(STILLS)
    for told, files in offers:
        loaded = sum((site / "_static" / "patch" / f"{name}.js").stat().st_size for name in files.split('", "'))
        assert told == f"{loaded / 1e6:.0f}"


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_network_is_the_one_of_its_record(name):
    record = read_record(COMMITTED / f"{name}.json")
    int8, committed = record["int8"], record["int8"]["committed"]
    assert (COMMITTED / f"{name}.npz").stat().st_size < 2**20
    assert weights_digest(networks.unpacked(name)) == int8["weights"]
    assert committed["same_options"] and committed["same_faces"] and record["config"]["strategy"] == name.split("_")[-1]
    assert record["config"]["dataset"] == ("fer2013" if name in PAIRS["own"] else "synthetic")
    kept = read_record(COMMITTED.parent / committed["record"])["metrics"]
    for condition, change in int8["changes"].items():
        assert committed["accuracy"][condition] == kept[condition]["accuracy"]
        assert abs(change["accuracy"] - record["metrics"][condition]["accuracy"]) < 0.005 and change["same_answer"] > 0.99
    assert abs(int8["changes"]["test"]["accuracy"] - committed["accuracy"]["test"]) < 0.02


def test_a_kernel_is_off_by_half_a_step_at_most():
    kernel = np.random.default_rng(0).normal(0, 1, (3, 3, 4, 5)).astype(np.float32)
    kernel[..., 2] = 0
    levels, step = networks.quantised(kernel)
    assert levels.dtype == np.int8 and step.shape == (5,) and np.abs(levels).max() == networks.LEVELS
    assert (np.abs(levels * step - kernel) <= step / 2 * 1.0001).all()


def test_a_layer_that_the_browser_cannot_compute_is_refused():
    assert [step["kind"] for step in networks.described(build_classifier("compact", 48, width_multiplier=0.125))][-1] == "Dense"
    with pytest.raises(ValueError, match="of resnet50.*has no code for it"):
        networks.described(build_classifier("resnet50", 48))


def test_the_committed_figure_is_drawn_from_the_committed_maps():
    new, old = (
        np.asarray(Image.open(file).convert("RGB"), float) for file in (io.BytesIO(to_png(draw(mean_maps()), 100)), PICTURE)
    )
    assert new.shape == old.shape and np.abs(new - old).mean() < 2
