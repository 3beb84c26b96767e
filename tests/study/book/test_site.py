"""The look at the built book notices each fault that it is there for, and what is written while the book is built is right."""

import json
import pkgutil
import re

import numpy as np
import pytest

import palcore
from study.book import check_site, front_page, serve, source
from study.book.site_extension import repair, used_icons
from study.results.pages import Page

GOOD = """<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head>
<body><main><h1 id="top">Page</h1>{}</main></body></html>"""
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
FAULTS = {
    "a script stops": "<script>const a = 1; const a = 2;</script>",
    "could not load": '<img alt="" src="http://elsewhere.invalid/picture.png">',
    "the console says": "<script>console.error('lost')</script>",
    "scrolls sideways at 768 px": "<p style='white-space: nowrap; width: 900px'>a word</p>",
    "breaks no line of code": f"<pre style='overflow-x: auto' tabindex=0>{'x' * 400}</pre>",
    "cuts off what no reader can scroll to": f"<p style='overflow: hidden; white-space: nowrap'>{'x' * 400}</p>",
    "axe, light: scrollable-region-focusable": f"<div style='overflow: auto; white-space: nowrap'>{'x' * 400}</div>",
    "does not say that a figure scrolls": "<figure tabindex=0 style='overflow: auto'><canvas width=2000></canvas></figure>",
    "has 1 sliders that change nothing": "<figure><input type=range aria-label=value max=3><output>1</output></figure>",
    "axe, light: region": "</main><p>outside</p><main>",
    "has a picture that does not open large": f'<a data-lightbox="one" href="#top"><img alt="a dot" width=9 src="{DOT}"></a>',
    "weighs 1.": "<style>/*" + " ".join(str(n * 7919 % 1000003) for n in range(330_000)) + "*/</style>",
    "axe, light: image-alt": f'<img src="{DOT}">',
    "axe, dark: color-contrast": "<style>[data-theme=dark] p {color: #ccc; background: #fff}</style><p>pale</p>",
}


def test_a_browser_that_is_named_and_not_there_is_no_skip(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(FileNotFoundError, match="which is no program here: give the path of Chromium, or unset it"):
        serve.chromium()


def look(browser, folder, body):
    (folder / "page.html").write_text(GOOD.format(body))
    with serve.served(folder) as site:
        return check_site.look_at(browser, site, "page.html", folder)


def test_a_page_without_faults_passes(browser, tmp_path):
    box = "<div style='overflow-x: auto' tabindex='0'><p style='width: 900px'>what scrolls in its own box</p></div>"
    assert look(browser, tmp_path, f"<p>All is well.</p>{box}") == []


def test_each_fault_is_noticed(browser, tmp_path):
    problems = look(browser, tmp_path, "".join(FAULTS.values()))
    assert [said for said in FAULTS if not any(problem.startswith(f"page.html {said}") for problem in problems)] == []


def test_an_alt_text_counts_once_somebody_has_read_it(tmp_path, monkeypatch):
    monkeypatch.setattr(check_site, "SIGNED", tmp_path / "alt.json")
    (tmp_path / "page.html").write_text(
        GOOD.format('<img alt="a cat" src="a.png"><img alt="later" style="display: none" src="b.png">')
    )
    monkeypatch.setattr(check_site.sys, "argv", ["check_site", str(tmp_path), "--sign", "Ada"])
    check_site.main()
    assert json.loads((tmp_path / "alt.json").read_text())["texts"] == {"page.html": ["a cat"]}
    assert check_site.unsigned(tmp_path, tmp_path / "alt.json") == []
    (tmp_path / "page.html").write_text(GOOD.format('<img alt="a dog" src="a.png">'))
    [said] = check_site.unsigned(tmp_path, tmp_path / "alt.json")
    assert said.startswith("page.html: nobody has compared 'a dog' with its picture")


def test_the_book_is_served_as_pages_would_from_a_folder_of_its_own(browser, tmp_path):
    (tmp_path / "page.html").write_text('<link rel="stylesheet" href="/_static/site.css">')
    with serve.published(tmp_path) as site:
        [said] = [said for said in check_site.look_at(browser, site, "page.html", tmp_path) if "site.css" in said]
        assert "could not load" in said, "a link to the server's root leads nowhere under a sub-path"


def test_broken_links_are_noticed(tmp_path):
    (tmp_path / "other.html").write_text(GOOD.format("<p>here</p>"))
    links = ["other.html", "other.html#top", "other.html#lost", "gone.html", "https://elsewhere.invalid/", "#top"]
    (tmp_path / "page.html").write_text(GOOD.format("".join(f'<a href="{link}">link</a>' for link in links)))
    said = [problem.partition(", but")[0] for problem in check_site.broken_links(tmp_path)]
    assert said == ["page.html links to other.html#lost", "page.html links to gone.html"]


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no book: run `make book` first"):
        check_site.check(tmp_path)


def test_pages_are_repaired_once():
    html = '<div class="citation" id="id1" role="doc-biblioentry"><summary><span class="toctree-toggle">'
    html += '<button class="btn search-button-field x" title="Search" aria-label="Search">'
    html += '<th></th><th class="blank level0" >&nbsp;</th><th>kept</th>'
    better = repair(html)
    assert '<td></td><td class="blank level0" ></td><th>kept</th>' in better
    assert 'id="id1" role="listitem"' in better and "<summary aria-label=" in better and 'title="Search">' in better
    assert repair(better) == better


def test_mathjax_and_half_addresses_go_where_they_help_nobody():
    scripts = '<script>window.MathJax = {"loader": 1}</script>\n<script defer="defer" src="../_static/mathjax/startup.js"></script>'
    image = '<meta property="og:image" content="_static/two_networks.png" />'
    assert repair(f"{scripts}{image}<p>words</p>", published=False) == "<p>words</p>"
    formula = f'{scripts}{image}<span class="math notranslate">x</span>'
    assert repair(formula) == formula


def test_unused_icons_go():
    script = '{"sun":[512,512,[9728],"f185","M1"],"moon":[384,512,[],"f186",["M2","M3"]],house:[1,1,[],"f0","M4"]}'
    assert used_icons(script, {"moon"}) == '{"moon":[384,512,[],"f186",["M2","M3"]],}'


def test_the_reference_has_every_public_module_once_those_named_first_in_their_order():
    pages = [source.with_modules(path.read_text()) for path in (source.ROOT / "book" / "reference").glob("*.md")]
    documented = [name for page in pages for name in re.findall(r"automodule:: (\S+)", page)]
    public = {"palcore", *(module.name for module in pkgutil.walk_packages(palcore.__path__, "palcore."))} - {"palcore.__main__"}
    assert sorted(documented) == sorted(public)
    place = documented.index("palcore")
    assert documented[place : place + 3] == ["palcore", "palcore.heatmaps", "palcore.attribution"]


@pytest.mark.parametrize("address, button, colab", [("", False, None), ("https://github.com/a/b", True, "https://colab")])
def test_buttons_follow_the_one_address(monkeypatch, address, button, colab):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    config = source.with_buttons({"repository": {"url": address, "branch": "main"}, "html": {}, "launch_buttons": {}})
    assert config["html"]["use_repository_button"] is button
    assert config["html"].get("baseurl") == ("https://a.github.io/b/" if button else None)
    assert (config["launch_buttons"].get("colab_url") or "").startswith(colab or "") and bool(colab) is button
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    assert source.repository({"repository": {"url": ""}}) == "https://github.com/someone/fork"


def test_the_front_page_says_what_the_records_say(measured_once, monkeypatch):
    front, report = ((source.ROOT / "book" / name).read_text() for name in ("intro.md", "reproducibility.md"))
    marks = (front_page.MARK, front_page.TABLE, front_page.MORE, front_page.PATCH)
    assert all(mark in front for mark in marks) and front_page.TABLE in report
    text = front_page.with_answers("\n\n".join(marks))
    assert " %" not in text
    text = text.replace("\u00a0%", " %")
    page, tenth = Page([]), measured_once.loc["C6"]
    plain, guided = (f"{100 * level:.1f} %" for level in tenth["levels"][::-1])
    difference, low, high = (f"{100 * tenth[name]:+.1f}" for name in ("difference", "low", "high"))
    [row] = [line for line in text.splitlines() if line.startswith("| C6, ")]
    assert f"{difference} points ({low} to {high}; " in row and f"with PAL: {guided}" in row and f"without it: {plain}" in row
    curves, needed = page._curves("tenth"), []
    for seed, curve in curves["without PAL"].items():
        [mine, its] = (int(np.argmax(np.array(one) >= curve[-1] - 0.005)) for one in (curves["PAL"][seed], curve))
        needed.append(its - mine)
    [paragraph] = [line for line in text.splitlines() if "With a tenth and the good baseline" in line]
    assert f"{np.mean(needed):.1f} of 100 epochs sooner (" in paragraph
    twice = page.lengthened("tenth", "tenth-twice-as-long")
    plain, guided = (f"{change:+.1f} points" for change in 100 * (twice["after"] - twice["before"]))
    assert f"on validation faces by {plain} without PAL and by {guided} with it" in paragraph
    assert "points on the faces that it trains on; 2 seeds." in paragraph
    other = page.differences("why")[0].loc["another face's landmarks"]
    assert f"another face's {100 * other['difference']:+.1f} ({100 * other['low']:+.1f} to " in text
    assert text.startswith(front_page.SUMMARY) and text.count("\n- **") == 5
    with pytest.raises(ValueError, match="the answer has no place"):
        front_page.with_answers("no mark")
    changed = measured_once.copy()
    monkeypatch.setattr(front_page.primary, "measure", lambda results=None: changed)
    for outcome, said in (
        ("missing", "P1 is missing in results/ and not higher"),
        ("same", "P1 is same in results/ and not higher"),
    ):
        changed.loc["P1", "outcome"] = outcome
        with pytest.raises(ValueError, match=said):
            front_page.answer()
