from course import plots
from course.plots.basics import use_style
import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_lines_draw_the_median_and_the_range_over_seeds():
    values = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 9.0], [3.0, 9.0, 27.0]])
    ax = plots.lines([1, 2, 3], {"seeds": values})
    assert ax.lines[0].get_ydata().tolist() == [2.0, 4.0, 9.0]
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1.0, 27.0)


def test_every_line_differs_in_dash_and_marker_as_well_as_colour():
    ax = plots.lines([1, 2], {name: [0, 1] for name in "abcdef"})
    looks = [(line._dash_pattern, line.get_marker()) for line in ax.lines]
    assert len({str(look) for look in looks}) == 6
    assert len({line.get_color() for line in ax.lines}) == 6


def test_a_level_is_drawn_where_it_is_said():
    ax = plots.lines([1, 2], {"curve": [0, 1]})
    plots.level(ax, 0.25, "chance")
    plots.level(ax, 1.5, "split", axis="x")
    assert ax.lines[1].get_ydata()[0] == 0.25
    assert ax.lines[2].get_xdata()[0] == 1.5
    assert [text.get_text() for text in ax.texts] == ["chance", "split"]


def test_labels_of_levels_do_not_lie_on_the_data():
    use_style()
    ax = plots.lines([1, 2], {"curve": [0, 1]}, title="A title")
    plots.level(ax, 0.25, "highest of the training years")
    plots.level(ax, 1.5, "split", axis="x")
    ax.figure.draw_without_rendering()
    beside, above = (text.get_window_extent() for text in ax.texts)
    (title,) = (text.get_window_extent() for text in ax.get_children() if getattr(text, "_text", "") == "A title")
    assert beside.x0 > ax.bbox.x1
    assert beside.x1 < ax.figure.bbox.x1
    assert ax.bbox.y1 < above.y0 < above.y1 < title.y0


def test_show_displays_once_with_the_alternative_text_and_closes(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *args, **kwargs: shown.append((args, kwargs)))
    ax = plots.lines([1, 2], {"curve": [0, 1]})
    plots.show(ax, alt="A rising line.")
    assert shown == [((ax.figure,), {"metadata": {"image/png": {"alt": "A rising line."}}})]
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: plots.show(plots.axes(), alt=" "), "alt"),
        (lambda: plots.show(plots.axes(), alt=None), "alt"),
        (lambda: plots.lines([1, 2, 3], {"curve": [1, 2]}), "curve"),
        (lambda: plots.unrolled(1), "T must be at least 2"),
        (lambda: plots.unrolled(7), "T must be at most 6"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises((ValueError, TypeError), match=argument):
        call()


def test_the_unrolled_picture_has_u_on_every_arrow_in_time():
    ax = plots.unrolled(4)
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("$U$") == 5  # the loop, and four arrows
    assert all(f"$h_{t}$" in texts for t in range(5))
