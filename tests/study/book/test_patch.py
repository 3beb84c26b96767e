"""The picture that one can touch computes what Keras computes, on faces painted as Python paints them, and obeys its reader."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from palcore import EMOTIONS
from palcore.data import load
from palcore.data.synthetic import PATCH_COLOURS
from palcore.models import build_classifier, with_attribution
from palcore.runs.records import read_record
from palcore.runs.reliance import share_in_boxes
from palcore.weights import weights_digest
from study.book import browser as networks
from study.book import check_site, serve, source
from study.book.readme_figure import PICTURE, draw, mean_maps
from study.book.slider import to_png

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "results" / "browser"
NAMES = ("none", "mean")
PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Page</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="_static/site.css">
<script src="_static/site.js"></script></head><body><main class="bd-article"><h1>Page</h1>
<figure><img alt="still" src="two_networks.png"></figure></main></body></html>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    html = tmp_path_factory.mktemp("html")
    shutil.copytree(ROOT / "book" / "_static", html / "_static")
    shutil.copyfile(ROOT / "book" / "figures" / "two_networks.png", html / "two_networks.png")
    (html / "page.html").write_text(PAGE)
    source.copy_records(html)
    return html


@pytest.fixture
def page(browser, site):
    """The page, its networks loaded, and what it complained of."""
    with serve.served(site) as address:
        context = browser.new_context(viewport=check_site.DESK, has_touch=True)
        page, problems = context.new_page(), []
        check_site.watch(page, address, problems)
        page.goto(f"{address}/page.html")
        page.get_by_role("button", name="Move the patch yourself").click()
        page.wait_for_selector(".patch tbody tr")
        yield page
        assert not problems
        context.close()


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
    for name in NAMES:
        seen = page.evaluate(
            """([name, images]) => { const network = new window.patch.Network(window.patchData[name]);
                return images.map(image => { const {logits, map} = network.look(image);
                    return {logits: Array.from(logits), map: Array.from(map)}; }); }""",
            [name, images.reshape(20, -1).tolist()],
        )
        wanted = with_attribution(networks.unpacked(name)).predict(images, verbose=0)
        logits, maps = (np.array([face[key] for face in seen]) for key in ("logits", "map"))
        assert np.abs(logits - wanted["expression"]).max() < 1e-3
        assert np.ptp(wanted["expression"], axis=0).min() > 1
        assert np.abs(maps.reshape(wanted["attribution"].shape) - wanted["attribution"]).max() < 1e-4 * wanted["attribution"].max()


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
    page.mouse.move(stage["x"] + 3, stage["y"] + stage["height"] - 3)
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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_picture_fits_every_screen_and_is_read_aloud(browser, site, width, theme):
    with serve.served(site) as address:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
        page.goto(f"{address}/page.html")
        page.locator(".patch-start").click()
        page.wait_for_selector(".patch tbody tr")
        assert page.evaluate(check_site.WIDE) is None
        page.evaluate(check_site.AXE_SCRIPT)
        assert page.evaluate(check_site.AXE) == []
        page.close()


def test_the_still_picture_stands_where_nothing_is_loaded(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "page.html").as_uri())
    assert page.locator("img").is_visible() and page.locator("button").count() == 0
    context.close()


def test_it_works_from_a_disk_and_leaves_the_still_in_print(browser, site):
    page, asked = browser.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "page.html").as_uri())
    assert not [url for url in asked if "/patch/" in url]
    page.locator(".patch-start").click()
    page.wait_for_selector(".patch tbody tr")
    assert all(url.startswith((site.as_uri(), "data:")) for url in asked)
    page.emulate_media(media="print")
    assert page.locator("img").is_visible() and page.locator(".patch").is_hidden()
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


def test_what_is_loaded_weighs_what_the_button_says(site):
    loaded = sum(path.stat().st_size for path in (site / "_static" / "patch").iterdir())
    assert f"loads {loaded / 1e6:.0f} MB" in (ROOT / "book" / "_static" / "site.js").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_network_is_the_one_of_its_record(name):
    record = read_record(COMMITTED / f"{name}.json")
    int8, committed = record["int8"], record["int8"]["committed"]
    assert (COMMITTED / f"{name}.npz").stat().st_size < 2**20
    assert weights_digest(networks.unpacked(name)) == int8["weights"]
    assert committed["same_options"] and committed["same_faces"] and record["config"]["strategy"] == name
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


def test_the_command_wants_names_and_folders():
    with pytest.raises(SystemExit, match="give names and run folders"):
        networks.main(["results/one"])


def test_the_committed_figure_is_drawn_from_the_committed_maps():
    new, old = (
        np.asarray(Image.open(file).convert("RGB"), float) for file in (io.BytesIO(to_png(draw(mean_maps()), 100)), PICTURE)
    )
    assert new.shape == old.shape and np.abs(new - old).mean() < 2
