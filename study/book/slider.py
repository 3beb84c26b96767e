"""A figure with a slider, made of frames that are drawn beforehand: for pages that are read without Python and offline."""

import html
import io
from base64 import b64encode

import matplotlib.pyplot as plt
from IPython.display import HTML
from PIL import Image

# The handler stands in the element itself: nothing has to be loaded, and several sliders on a page cannot meet.
SHOW_FRAME = (
    "const frames = this.closest('figure').querySelectorAll('img');"
    "frames.forEach((frame, index) => {frame.style.display = index == this.value ? 'block' : 'none';});"
    "this.nextElementSibling.value = frames[this.value].dataset.value;"
    "this.setAttribute('aria-valuetext', frames[this.value].dataset.value);"
)


def to_png(figure, dpi=90, colours=256):
    """A Matplotlib figure as PNG with a palette of ``colours``, in bytes. The figure is closed."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    plt.close(figure)
    small = io.BytesIO()
    Image.open(drawn).convert("RGB").quantize(colours).save(small, format="PNG", optimize=True)
    return small.getvalue()


def frame_slider(frames, label, alt, start=None):
    """Frames behind a slider, as one piece of HTML that holds all it needs. A notebook cell that ends with it shows it.

    :param frames: ``{value: png}``, the slider's values as text in their order, and each frame as ``to_png`` gives it.
    :param label: what the values are, shown before the slider.
    :param alt: describes the figure to a reader who cannot see it; the value of each frame is added.
    :param start: the value that is shown first; None for the first.
    :return: ``IPython.display.HTML``.
    """
    first = 0 if start is None else list(frames).index(start)
    shown, images = list(frames)[first], []
    for value, png in frames.items():
        words = html.escape(f"{alt} {label}: {value}.")
        images.append(
            f'<img src="data:image/png;base64,{b64encode(png).decode()}" data-value="{html.escape(value)}" '
            f'alt="{words}" style="display: {"block" if value == shown else "none"}; max-width: 100%; height: auto">'
        )
    label, shown = html.escape(label), html.escape(shown)
    slider = (
        f'<input type="range" min="0" max="{len(frames) - 1}" step="1" value="{first}" autocomplete="off" '
        f'aria-label="{label}" aria-valuetext="{shown}" '
        f'style="width: min(100%, 24em); height: 2em; display: block" oninput="{html.escape(SHOW_FRAME)}">'
    )
    return HTML(
        f'<figure style="margin: 0">{"".join(images)}'
        f'<div style="margin: 0.4em">{label} {slider} <output>{shown}</output></div></figure>'
    )
