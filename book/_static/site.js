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

/* The picture of two networks becomes one that can be touched where its reader asks for that; only then are they loaded. */
const STATIC = new URL(".", document.currentScript.src);

function loadScript(name) {
  return new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement("script"), {src: new URL(`patch/${name}.js`, STATIC), onload: resolve, onerror: reject});
    document.head.append(script);
  });
}

function offerTouch(figure) {
  const button = Object.assign(document.createElement("button"), {type: "button", className: "patch-start"});
  const ask = "Move the patch yourself (loads 3 MB)";
  button.textContent = ask;
  const offer = Object.assign(document.createElement("div"), {className: "patch-offer"});
  offer.append("Give the patch another colour, drag it elsewhere or take it away: two networks answer at once, here in your browser.", button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "Loading two networks …";
    try {
      await Promise.all(["patch", "faces", "none", "mean"].map(loadScript));
    } catch {
      button.disabled = false;
      button.textContent = `${ask}: it could not be loaded, try again`;
      return;
    }
    new window.patch.Touch(figure, window.patchData);
    figure.classList.add("patch-still");
    offer.remove();
    document.querySelector(".patch input:checked").focus();
  });
  figure.after(offer);
}

document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll('.bd-article img[src$="two_networks.png"]')) offerTouch(image.closest("figure, p"));
});
