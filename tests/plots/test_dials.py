import base64
from html.parser import HTMLParser
import json
import re

from course import plots
import matplotlib.pyplot as plt
import numpy as np
import pytest

SAID = {"label": "scale of U", "values": [0.5, 1, 2], "captions": ["It falls.", "It stays: 1 < 2.", "It grows."]}
ALTS = ["A falling line.", 'A "level" line.', "A rising line."]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, **kwargs: displayed.append((data, kwargs)))
    return displayed


def frames(n=3):
    return [plots.lines([0, 1], {"curve": [1, value]}) for value in range(n)]


class Parsed(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.inside, self.texts = {}, None, {}
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.setdefault(tag, []).append(dict(attrs))
        self.inside = tag

    def handle_data(self, data):
        self.texts.setdefault(self.inside, []).append(data)


def test_a_dial_holds_every_frame_and_shows_one_where_no_script_runs(shown):
    plots.dial(frames(), **SAID, alts=ALTS, start=1)
    ((data, how),) = shown
    parsed = Parsed(data["text/html"])
    (picture,) = parsed.tags["img"]
    assert (picture["src"], picture["alt"]) == (f"data:image/png;base64,{data['image/png']}", ALTS[1])
    assert parsed.texts["figcaption"] == ["It stays: 1 < 2."]
    assert "input" not in parsed.tags  # nothing dead
    kept = json.loads(parsed.texts["script"][0])
    assert [(frame["value"], frame["caption"], frame["alt"]) for frame in kept] == [
        ("0.5", "It falls.", ALTS[0]),
        ("1", "It stays: 1 < 2.", ALTS[1]),
        ("2", "It grows.", ALTS[2]),
    ]
    assert len({frame["src"] for frame in kept}) == 3
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert how == {"raw": True, "metadata": {"image/png": {"alt": ALTS[1]}}}
    assert not plt.get_fignums()


def test_a_dial_asks_nothing_of_the_network(shown):
    plots.dial(frames(), **SAID, alts=ALTS)
    assert not re.search(r"https?:|src=\"(?!data:)|import", shown[0][0]["text/html"])


def test_the_same_frames_give_the_same_output_and_others_another_name(shown):
    for captions in (SAID["captions"], SAID["captions"], ["a", "b", "c"]):
        plots.dial(frames(), **{**SAID, "captions": captions}, alts=ALTS)
    first, again, other = (data for data, _ in shown)
    assert first == again
    names = [Parsed(data["text/html"]).tags["figure"][0]["id"] for data in (first, other)]
    assert names[0] != names[1]


def test_what_would_end_the_script_early_is_kept_as_text(shown):
    plots.dial(frames(), **{**SAID, "captions": ["</script><b>", "b", "c"], "label": "</script>"}, alts=ALTS)
    html = shown[0][0]["text/html"]
    assert html.count("</script>") == 2
    kept = json.loads(Parsed(html).texts["script"][0])
    assert kept[0]["caption"] == "</script><b>"
    assert "&lt;/script&gt;&lt;b&gt;" in html


def test_what_drew_a_frame_describes_it(shown):
    drawn = [plots.norm_by_distance({"rnn": rate ** np.arange(5)}) for rate in (2.0, 3.0)]
    plots.dial(drawn, label="rate", values=[2, 3], captions=["two", "three"])
    (data, how) = shown[0]
    assert "Gradient norm against distance" in how["metadata"]["image/png"]["alt"]
    assert "from 1.6e+01" in data["text/html"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 1}, "frames must be at least two, got 1"),
        ({"values": [1, 2]}, "values must be 3"),
        ({"captions": ["a", "b"]}, "captions must be 3"),
        ({"captions": ["a", "b", " "]}, "captions must say something"),
        ({"alts": ["a", "b"]}, "alts must be 3"),
        ({"alts": None}, "alts must say something"),
        ({"start": 3}, "start must be the place of a frame, 0 to 2, got 3"),
    ],
)
def test_bad_input_names_the_argument(change, message, shown):
    drawn = frames(change.pop("frames", 3))
    with pytest.raises(ValueError, match=message):
        plots.dial(drawn, **{**SAID, "alts": ALTS, **change})


def test_a_dial_that_is_too_large_is_refused(shown):
    noise = np.random.default_rng(0).normal(size=(400, 400))
    drawn = []
    for _ in range(3):
        ax = plots.axes()
        ax.imshow(noise)
        drawn.append(ax)
    with pytest.raises(ValueError, match="frames must fit into 400 kB"):
        plots.dial(drawn, **SAID, alts=ALTS, dpi=200)
