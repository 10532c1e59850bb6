"""A dial: pictures of one figure at several settings, behind a slider that needs no kernel and no network."""

import base64
import hashlib
from html import escape
import io
import json

from course.plots import basics
import matplotlib.pyplot as plt
import numpy as np

LARGEST = 400_000  # bytes of all that a dial puts into the notebook

# The slider is made by the script, so that whoever runs none sees one picture, its caption, and nothing that is dead.
SCRIPT = """
(() => {
  const dial = document.currentScript.parentElement, frames = JSON.parse(dial.querySelector("script").textContent);
  const [picture, caption] = [dial.querySelector("img"), dial.querySelector("figcaption")];
  const [label, slider, value] = ["label", "input", "output"].map(name => document.createElement(name));
  Object.assign(slider, {type: "range", min: 0, max: frames.length - 1, step: 1, value: START});
  const turn = () => {
    const frame = frames[slider.value];
    [picture.src, picture.alt, caption.textContent] = [frame.src, frame.alt, frame.caption];
    value.textContent = " " + frame.value;
    slider.setAttribute("aria-valuetext", frame.value);
  };
  label.append(LABEL + ": ", slider, value);
  label.style.display = "block";
  slider.style.cssText = "width: 18em; max-width: 60%; vertical-align: middle";
  caption.setAttribute("aria-live", "polite");
  slider.addEventListener("input", turn);
  slider.dataset.lmSuppressShortcuts = "true";  // JupyterLab would take the arrow keys
  dial.prepend(label);
  turn();
})();
"""


def dial(frames, *, label, values, captions, alts=None, start=0, dpi=100):
    """Display `frames` behind a slider, turned by mouse or keyboard, and close their figures.

    frames: axes, or arrays of axes, one figure for each setting; of the same size.
    label: what is turned, with its unit; plain text. values: the settings, one for each frame, as they are to be read.
    captions: a sentence for each frame, with its number.
    alts: says for each frame what is to be seen; by default what the functions that drew it said of it.
    start: the place of the frame that is shown first; it is the plain picture where no script runs.
    dpi: pixels per inch.

    Raises ValueError naming the argument if there are fewer than two frames, if values, captions or alts are not one
    for each frame, if an alternative text is missing, or if the pictures are larger than 400 kB together.
    """
    from IPython.display import display

    frames = list(frames)
    alts = [basics.described(frame) for frame in frames] if alts is None else alts
    if len(frames) < 2:
        raise ValueError(f"frames must be at least two, got {len(frames)}.")
    for name, given in (("values", values), ("captions", captions), ("alts", alts)):
        if len(given) != len(frames):
            raise ValueError(f"{name} must be {len(frames)}, one for each frame, got {len(given)}.")
        if not all(text is not None and str(text).strip() for text in given):
            raise ValueError(f"{name} must say something of each frame, got {given!r}.")
    if not 0 <= start < len(frames):
        raise ValueError(f"start must be the place of a frame, 0 to {len(frames) - 1}, got {start!r}.")
    pictures = [_picture(frame, dpi) for frame in frames]
    shown = {
        "text/html": _html(pictures, label, [str(value) for value in values], captions, alts, start),
        "image/png": pictures[start],
        "text/plain": f"{label}: {values[start]}. {captions[start]}",
    }
    size = sum(map(len, shown.values()))
    if size > LARGEST:
        raise ValueError(
            f"frames must fit into {LARGEST // 1000} kB, got {size // 1000}: take fewer, or a lower dpi."
        )
    display(shown, raw=True, metadata={"image/png": {"alt": alts[start]}})


def _html(pictures, label, values, captions, alts, start):
    frames = [
        {"src": f"data:image/png;base64,{picture}", "value": value, "caption": caption, "alt": alt}
        for picture, value, caption, alt in zip(pictures, values, captions, alts, strict=True)
    ]
    # In a script element only "<" could end it early.
    data, name = (json.dumps(said, ensure_ascii=False).replace("<", "\\u003c") for said in (frames, label))
    # The name depends on what is shown alone, so that a stored notebook does not change when it is run again.
    mark = hashlib.sha256((data + name).encode()).hexdigest()[:12]
    return (
        f'<figure class="dial" id="dial-{mark}" style="margin: 0">'
        f'<img src="{frames[start]["src"]}" alt="{escape(alts[start])}" style="max-width: 100%">'
        f"<figcaption>{escape(captions[start])}</figcaption>"
        f'<script type="application/json">{data}</script>'
        f"<script>{SCRIPT.replace('LABEL', name).replace('START', str(start))}</script></figure>"
    )


def _picture(frame, dpi):
    """The figure of a frame as PNG in base64, in few colours, which halves it; closes the figure."""
    from PIL import Image

    figure, drawn, small = np.ravel(frame)[0].figure, io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()
