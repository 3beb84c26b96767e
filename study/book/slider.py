"""A figure with a slider, made of frames that are drawn beforehand: for pages that are read without Python and offline."""

import html
import io
from base64 import b64encode

import matplotlib.pyplot as plt
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


class FrameSlider:
    """Frames behind a slider, as one piece of HTML that holds all it needs. A notebook cell that ends with one shows it.

    :param frames: ``{value: png}``, the slider's values as text in their order, and each frame as ``to_png`` gives it.
    :param label: what the values are, shown before the slider.
    :param alt: describes the figure to a reader who cannot see it; the value of each frame is added.
    :param start: the value that is shown first; None for the first.
    :raises ValueError: for no frames, or a ``start`` that is none of the values.
    """

    def __init__(self, frames, label, alt, start=None):
        if not frames:
            raise ValueError("no frames for a slider: give at least one")
        self.frames = dict(frames)
        self.label = label
        self.alt = alt
        self.start = next(iter(self.frames)) if start is None else start
        if self.start not in self.frames:
            raise ValueError(f"start {start!r} of a slider: it must be one of {', '.join(map(str, self.frames))}")

    def to_html(self):
        """The slider with all frames inside, as text."""
        images = []
        for value, png in self.frames.items():
            shown = "block" if value == self.start else "none"
            alt = html.escape(f"{self.alt} {self.label}: {value}.")
            images.append(
                f'<img src="data:image/png;base64,{b64encode(png).decode()}" data-value="{html.escape(str(value))}" '
                f'alt="{alt}" style="display: {shown}; max-width: 100%; height: auto">'
            )
        first = list(self.frames).index(self.start)
        slider = (
            f'<input type="range" min="0" max="{len(self.frames) - 1}" step="1" value="{first}" autocomplete="off" '
            f'aria-label="{html.escape(self.label)}" aria-valuetext="{html.escape(str(self.start))}" '
            f'style="width: min(100%, 24em); height: 2em; display: block" oninput="{html.escape(SHOW_FRAME)}">'
        )
        value = f"<output>{html.escape(str(self.start))}</output>"
        return (
            f'<figure style="margin: 0">{"".join(images)}'
            f'<div style="margin: 0.4em">{html.escape(self.label)} {slider} {value}</div></figure>'
        )

    _repr_html_ = to_html
