/* What scrolls in its own box can be reached, and scrolled, from the keyboard; a figure that does so says it. */
const BOXES = 'pre, mjx-container[display="true"], .pst-scrollable-table-container, .cell_output, .cell_output .output, figure';

function reachScrollingBoxes() {
  for (const box of document.querySelectorAll(`.bd-article :is(${BOXES})`)) {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
    if (box.matches("figure, .cell_output")) box.classList.toggle("scrolls", scrolls);
  }
}

window.addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reachScrollingBoxes));
window.addEventListener("resize", reachScrollingBoxes);

/* Where two networks answer a reader who asks for it; only then are they loaded. */
const OFFERS = [{
  at: 'img[src$="two_networks.png"]',
  words: "Give the patch another colour, drag it elsewhere or take it away: two networks answer at once, here in your browser.",
  ask: "Move the patch yourself (loads 3 MB)",
  kind: "Touch",
  files: ["patch", "faces", "none", "mean"],
}, {
  at: ".own-face",
  words: "",
  ask: "Show them a picture of yours (loads 3 MB)",
  kind: "OwnFace",
  files: ["patch", "fer2013_none", "fer2013_mean"],
}];
const STATIC = new URL(".", document.currentScript.src);

function loadScript(name) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), {src: new URL(`patch/${name}.js`, STATIC), onload: resolve, onerror: reject});
    document.head.append(script);
  });
}

function offer(figure, {words, ask, kind, files}) {
  const button = Object.assign(document.createElement("button"), {type: "button", className: "patch-start", textContent: ask});
  const box = Object.assign(document.createElement("div"), {className: "patch-offer"});
  box.append(words, button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "Loading two networks …";
    try {
      await Promise.all(files.map(loadScript));
    } catch {
      button.disabled = false;
      button.textContent = `${ask}: it could not be loaded, try again`;
      return;
    }
    new window.patch[kind](figure, window.patchData);
    figure.classList.add("patch-still");
    box.remove();
    document.querySelector(".patch :is(input:checked, input[type=file])").focus();
  });
  figure.after(box);
}

document.addEventListener("DOMContentLoaded", () => {
  for (const one of OFFERS) for (const place of document.querySelectorAll(`.bd-article ${one.at}`)) offer(place.closest("figure, p"), one);
});
