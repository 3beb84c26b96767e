/* What scrolls in its own box can be reached, and scrolled, from the keyboard. */
const BOXES = 'pre, mjx-container[display="true"], .pst-scrollable-table-container, .cell_output, .cell_output .output, figure';

function reachScrollingBoxes() {
  for (const box of document.querySelectorAll(`.bd-article :is(${BOXES})`)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

window.addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(reachScrollingBoxes));
window.addEventListener("resize", reachScrollingBoxes);
