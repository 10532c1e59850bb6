from course import plots
from matplotlib.colors import to_hex, to_rgb
import matplotlib.pyplot as plt
from matplotlib.text import Text
import numpy as np
import pandas as pd
import pytest

CHOICES = ["cell", "units", "layers", "dropout", "learning_rate"]
NAN = float("nan")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def search(*trials):
    """The table of a search: a row for each of the scores of every (cell, units, layers, dropout, rate, scores)."""
    rows = [
        (number, execution, *trial[:5], score, 2 + execution, 10 * (number + 1), 0.5 * (execution + 1))
        for number, trial in enumerate(trials)
        for execution, score in enumerate(trial[5])
    ]
    return pd.DataFrame(rows, columns=["trial", "execution", *CHOICES, "score", "best_epoch", "epochs", "seconds"])


TABLE = search(
    ("LSTM", 8, 1, 0.01, 0.001, [0.5, 0.7]),  # 0.6
    ("GRU", 16, 2, 0.3, 0.02, [0.8, 0.9]),  # 0.85, the best
    ("LSTM", 32, 2, 0.2, 0.1, [0.95, NAN]),  # failed
    ("RNN", 64, 1, 0.6, 0.01, [0.2, 0.2]),  # 0.2, the worst
)
FAILED = search(("LSTM", 8, 1, 0.1, 0.001, [NAN]), ("GRU", 8, 1, 0.1, 0.01, [NAN]))
ONE = search(("LSTM", 8, 1, 0.1, 0.001, [0.5]))
CURVES = pd.DataFrame(
    [
        (trial, execution, epoch, trial + execution + epoch / 10, trial + execution + epoch)
        for trial in range(4)
        for execution in range(2)
        for epoch in range(1, 5 - execution)  # the second stops an epoch earlier
    ],
    columns=["trial", "execution", "epoch", "loss", "val_loss"],
)


def alternative_text(ax):
    figure = np.ravel(ax)[0].figure
    figure.canvas.draw()  # what cannot be drawn fails here
    return plots.basics._ALT[figure]


def labelled(ax, label):
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(label)]
    return line


def test_scores_draw_every_execution_and_every_mean_between_its_lowest_and_highest():
    for ax in plots.scores(TABLE, CHOICES):
        assert labelled(ax, "execution").get_ydata().tolist() == [0.5, 0.7, 0.8, 0.9, 0.95, 0.2, 0.2]
        mean = labelled(ax, "trial, mean")
        assert np.allclose(mean.get_ydata(), [0.85, 0.6, 0.2])
        ranges = ax.collections[0].get_segments()
        assert np.allclose([part[:, 1] for part in ranges], [[0.8, 0.9], [0.5, 0.7], [0.2, 0.2]])
        assert np.allclose([part[:, 0] for part in ranges], np.stack([mean.get_xdata()] * 2, axis=1))


@pytest.mark.parametrize(
    ("values", "linear", "scale", "labels"),
    [
        ([0.001, 0.02, 0.1, 0.01], (), "log", ["0.001", "0.01", "0.1"]),
        ([0.001, 0.02, 0.1, 0.01], ("learning_rate",), "linear", None),
        ([0.01, 0.02, 0.1, 0.05], (), "linear", None),  # a factor of 10, not more
        ([0.0, 0.02, 0.1, 0.01], (), "linear", None),  # zero has no logarithm
        ([8, 128, 40, 20], (), "log", ["10", "30", "100"]),
        ([64, 128, 128, 8], (), "linear", ["8", "64", "128"]),  # few integers: evenly spaced
        ([1, 2, 3, 4], (), "linear", ["1", "2", "3", "4"]),
        ([True, False, True, True], (), "linear", ["False", "True"]),
        (["b", "a", "b", "c"], (), "linear", ["a", "b", "c"]),
        ([0.5, 0.5, 0.5, 0.5], (), "linear", ["0.5"]),
    ],
)
def test_scale_is_logarithmic_for_wide_positive_numbers_and_even_for_words_and_few_integers(
    values, linear, scale, labels
):
    table = TABLE.assign(learning_rate=TABLE["trial"].map(dict(enumerate(values))))
    (ax,) = plots.scores(table, ["learning_rate"], linear=linear)
    ax.figure.canvas.draw()
    assert ax.get_xscale() == scale
    if labels is not None:
        assert [text.get_text() for text in ax.get_xticklabels()] == labels
    else:
        assert np.allclose(np.sort(labelled(ax, "trial, mean").get_xdata()), np.sort(np.array(values)[[0, 1, 3]]))


def test_trials_of_equal_value_stand_side_by_side_near_their_label_and_each_time_at_the_same_place():
    table = search(*(("GRU" if k % 2 else "RNN", 8, 1, 0.3, 0.01 + k / 100, [k / 40]) for k in range(40)))
    for name, reach in (("cell", 0.4), ("dropout", 0.4), ("layers", 0.4)):
        (ax,), (again,) = (plots.scores(table, [name]) for _ in range(2))
        x = labelled(ax, "execution").get_xdata()
        assert len(set(np.round(x, 9))) == len(x)
        assert np.abs(x - x.round()).max() < reach
        assert x.tolist() == labelled(again, "execution").get_xdata().tolist()
    assert abs(np.corrcoef(x, labelled(ax, "execution").get_ydata())[0, 1]) < 0.2  # no trend that is not there


def test_failed_executions_are_crosses_below_all_that_the_axis_measures():
    for ax in plots.scores(TABLE, CHOICES):
        crosses = labelled(ax, "failed, no score")
        assert crosses.get_marker() == "x"
        assert len(crosses.get_ydata()) == 1
        assert ax.get_ylim()[0] < crosses.get_ydata()[0] < min(0.2, *ax.get_yticks())
    texts = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert texts == ["trial, mean", "execution", "best, trial 1", "failed, no score"]
    (ax,) = plots.scores(ONE, ["cell"])
    assert len(ax.figure.legends[0].get_texts()) == 3  # no word of failures where there is none


@pytest.mark.parametrize(("maximize", "trial", "score"), [(True, 1, 0.85), (False, 3, 0.2)])
def test_best_trial_is_a_star_in_every_panel(maximize, trial, score):
    for ax in plots.scores(TABLE, CHOICES, maximize=maximize):
        star = labelled(ax, f"best, trial {trial}")
        assert star.get_marker() == "*"
        assert np.allclose(star.get_ydata(), score)
        assert star.get_color() != labelled(ax, "trial, mean").get_color()


def test_panels_share_their_scores_and_are_those_given():
    axes = plots.scores(TABLE, CHOICES)
    assert [ax.get_xlabel() for ax in axes] == CHOICES
    assert len({ax.get_ylim() for ax in axes}) == 1
    assert [ax.get_ylabel() for ax in axes] == ["score", "", "", "score", ""]
    given = plt.subplots(1, 2)[1]
    assert [*plots.scores(TABLE, ["cell", "units"], given)] == [*given]


def test_scores_say_the_best_and_the_range_of_each_panel():
    text = alternative_text(plots.scores(TABLE, ["cell", "dropout", "learning_rate"]))
    assert "trials: 4, executions: 8, of which failed: 1." in text
    assert "Best: trial 1 with mean score 0.85 (cell GRU, dropout 0.3, learning_rate 0.02)." in text
    assert "mean scores by cell: GRU 0.85, LSTM 0.6, RNN 0.2" in text
    assert "dropout from 0.01 to 0.6 on a linear scale" in text
    assert "learning_rate from 0.001 to 0.1 on a log scale" in text


def test_parallel_lines_pass_each_axis_at_their_share_of_the_way():
    ax = plots.parallel(TABLE, ["dropout", "learning_rate"])
    lines = [line.get_ydata() for line in ax.lines[:4]]  # the best first, the failed last
    dropout, rate = np.array([0.3, 0.01, 0.6, 0.2]), np.array([0.02, 0.001, 0.01, 0.1])
    expected = [(dropout - 0.01) / 0.59, np.log10(rate / 0.001) / 2, [1, 0.4 / 0.65, 0, -0.13]]
    assert np.allclose(lines, np.transpose(expected))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["dropout", "learning\nrate\n(log)", "mean\nscore"]
    assert {text.get_text() for text in ax.texts} == {"0.01", "0.6", "0.001", "0.1", "0.2", "0.85", "failed"}


def test_parallel_has_thick_lines_for_the_best_five_and_colours_by_score_and_grey_dashes_for_failures():
    more = [("RNN", 9, 1, 0.1, 0.01 + k / 100, [k / 10]) for k in range(8)]
    ax = plots.parallel(search(*more, ("GRU", 20, 2, 0.2, 0.005, [NAN])), CHOICES)
    lines = ax.lines[:9]
    assert [line.get_linewidth() for line in lines] == [2.8] * 5 + [1] * 4
    assert [line.get_zorder() for line in lines] == sorted((line.get_zorder() for line in lines), reverse=True)
    brightness = [np.dot(to_rgb(line.get_color()), [0.3, 0.6, 0.1]) for line in lines[:8]]
    assert (np.diff(brightness) > 0).all()  # the best are darkest
    assert (lines[8].get_color(), lines[8].get_linestyle()) == ("0.6", "--")
    assert ax.lines[9].get_marker() == "x"
    assert "failed" in {text.get_text() for text in ax.texts}
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()][-1] == "failed, no score"


def test_parallel_writes_every_category_and_says_the_best():
    ax = plots.parallel(TABLE, ["cell", "layers"], maximize=False)
    assert {"GRU", "LSTM", "RNN", "1", "2"} < {text.get_text() for text in ax.texts}
    text = alternative_text(ax)
    assert "Best: trial 3 with mean score 0.2 (cell RNN, layers 1); trial 0 with mean score 0.6" in text
    assert "trials: 4, of which failed: 1." in text


def test_learning_curves_are_the_median_and_range_over_executions_with_training_dashed():
    ax = plots.learning_curves(CURVES, TABLE, best=2)
    first, training = ax.lines[0], ax.lines[1]  # of trial 1: 2, 3, 4, 5 and 3, 4, 5
    assert first.get_label() == "trial 1: 0.85"
    assert first.get_xdata().tolist() == [1, 2, 3, 4]
    assert first.get_ydata().tolist() == [2.5, 3.5, 4.5, 5]
    band = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices}
    assert {(1, 2), (1, 3), (2, 3), (2, 4), (3, 4), (3, 5), (4, 5)} == band
    assert np.allclose(training.get_ydata(), [1.6, 1.7, 1.8, 1.4])
    assert (training.get_linestyle(), training.get_color()) == ("--", first.get_color())
    assert first.get_linestyle() == "-"
    assert labelled(ax, "trial 0").get_label() == "trial 0: 0.6"
    assert not any(line.get_label().startswith(("trial 2", "trial 3")) for line in ax.lines)


def test_best_epoch_of_each_execution_is_marked_at_its_own_value():
    ax = plots.learning_curves(CURVES, TABLE, best=1)
    marks = ax.lines[2]
    assert (marks.get_xdata().tolist(), marks.get_ydata().tolist()) == ([2, 3], [3, 5])
    text = alternative_text(ax)
    assert "trial 1, score 0.85: from 2.5 to 5 in 4 epochs, best at 2, 3" in text
    assert [t.get_text() for t in ax.get_legend().get_texts()][2:] == ["loss, median", "best epoch"]


def test_curves_of_trials_differ_in_marker_and_training_is_left_out_where_it_is_what_is_drawn():
    ax = plots.learning_curves(CURVES, TABLE, metric="loss", best=9)
    trials = [line for line in ax.lines if line.get_label().startswith("trial")]
    assert len({line.get_marker() for line in trials}) == len(trials) == 3
    assert not any(line.get_linestyle() == "--" for line in ax.lines)


@pytest.mark.parametrize(
    ("cost", "x"),
    [("epochs", [20, 60, 120, 200]), ("seconds", [1.5, 3, 4.5, 6]), ("trials", [1, 2, 3, 4])],
)
def test_best_so_far_rises_with_the_sum_of_costs(cost, x):
    ax = plots.best_so_far({"random": TABLE.sample(frac=1, random_state=1)}, cost)
    line = labelled(ax, "random")
    assert np.allclose(line.get_xdata(), x)
    assert np.allclose(line.get_ydata(), [0.6, 0.85, 0.85, 0.85])
    assert line.get_drawstyle() == "steps-post"
    assert line.get_markevery() == [0, 1]  # where it rises
    crosses = labelled(ax, "failed trial")
    assert (crosses.get_xdata().tolist(), crosses.get_ydata().tolist()) == ([x[2]], [line.get_ydata()[2]])


def test_best_so_far_falls_where_less_is_better_and_a_tie_is_no_progress():
    tied = search(*(("RNN", 8, 1, 0.1, 0.01, [score]) for score in (0.5, 0.5, 0.25, 0.75, 0.25)))
    line = labelled(plots.best_so_far({"a": tied}, maximize=False), "a")
    assert line.get_ydata().tolist() == [0.5, 0.5, 0.25, 0.25, 0.25]
    assert line.get_markevery() == [0, 2]


def test_best_so_far_has_a_dash_and_a_marker_for_each_search_and_says_what_it_reached():
    ax = plots.best_so_far({"random": TABLE, "hyperband": ONE, "bayesian": TABLE}, "trials")
    lines = [labelled(ax, name) for name in ("random", "hyperband", "bayesian")]
    for attribute in ("get_marker", "get_color", "get_linestyle"):
        assert len({getattr(line, attribute)() for line in lines}) == 3
    text = alternative_text(ax)
    assert (
        "random: 0.6 after 1, 0.85 after 2; trials: 4, of which failed: 1, in all 4. hyperband: 0.5 after 1;" in text
    )


def test_failures_before_the_first_score_stand_below_the_axis_beside_their_label():
    late = search(*(("RNN", 8, 1, 0.1, 0.01, [score]) for score in (NAN, NAN, 0.5, 0.6)))
    ax = plots.best_so_far({"late": late, "dead": FAILED}, "trials")
    assert labelled(ax, "late").get_xdata().tolist() == [3, 4]
    late, dead = [line for line in ax.lines if line.get_label() == "failed trial" and len(line.get_xdata())]
    assert late.get_xdata().tolist() == dead.get_xdata().tolist() == [1, 2]
    heights = {*late.get_ydata(), *dead.get_ydata()}
    assert len(heights) == 2
    assert max(heights) < min(0.5, *ax.get_yticks())
    assert [text.get_text() for text in ax.texts] == ["late", "dead"]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["late", "dead: every trial failed", "failed trial"]


@pytest.mark.parametrize("table", [ONE, FAILED, FAILED.assign(score=None)])
def test_one_trial_constant_columns_and_failures_alone_are_drawn(table):
    failed = table["score"].isna().all()
    curves = CURVES[CURVES["execution"] == 0]
    drawn = [
        plots.scores(table, CHOICES),
        plots.parallel(table, CHOICES),
        plots.learning_curves(curves, table),
        plots.best_so_far({"random": table}),
    ]
    for ax in drawn:
        text = alternative_text(ax).lower()
        assert ("every trial failed" in text) == failed
        written = [found.get_text() for found in np.ravel(ax)[0].figure.findobj(Text)]
        assert any("failed" in t for t in written) == failed


def test_all_draw_into_axes_they_are_given_and_leave_the_table_as_it_was():
    before = TABLE.copy()
    for draw in (
        lambda ax: plots.parallel(TABLE, ["cell"], ax=ax),
        lambda ax: plots.learning_curves(CURVES, TABLE, ax=ax),
        lambda ax: plots.best_so_far({"random": TABLE}, ax=ax),
    ):
        ax = plt.subplots()[1]
        assert draw(ax) is ax
        assert ax.get_title() == ""
    pd.testing.assert_frame_equal(TABLE, before)


def test_failures_are_drawn_in_one_colour_everywhere():
    crosses = [
        labelled(plots.scores(TABLE, ["cell"])[0], "failed"),
        labelled(plots.best_so_far({"a": TABLE}), "failed"),
    ]
    assert {to_hex(line.get_color()) for line in crosses} == {"#882255"}


T, P = TABLE, plots


@pytest.mark.parametrize(
    ("call", "error", "argument"),
    [
        (lambda: P.scores([1, 2], ["cell"]), TypeError, "table must be a pandas.DataFrame"),
        (
            lambda: P.scores(T.drop(columns="score"), ["cell"]),
            ValueError,
            r"table must have .*\['score'\] are missing",
        ),
        (lambda: P.scores(T[:0], ["cell"]), ValueError, "table must have at least one row"),
        (lambda: P.scores(T.assign(score="high"), ["cell"]), ValueError, "table must have numbers in column score"),
        (lambda: P.scores(T.assign(trial=NAN), ["cell"]), ValueError, "table must have a trial in every row"),
        (lambda: P.scores(T, ["size"]), ValueError, "choices must be one of .*got 'size'"),
        (lambda: P.scores(T, ["score"]), ValueError, "choices must be one of"),
        (lambda: P.scores(T, "cell"), ValueError, "choices must be a list"),
        (lambda: P.scores(T, []), ValueError, "choices must be a list"),
        (lambda: P.scores(T, ["cell", "cell"]), ValueError, "choices must name each hyperparameter once"),
        (lambda: P.scores(T, ["execution"]), ValueError, "choices must be the same in all executions"),
        (lambda: P.scores(T.assign(cell=None), ["cell"]), ValueError, "table must have a value in .* column cell"),
        (lambda: P.scores(T, ["cell", "units"], plt.gca()), ValueError, "axes must be 2"),
        (lambda: P.scores(T, ["cell"], maximize="max"), ValueError, "maximize must be one of True, False"),
        (lambda: P.parallel(T.drop(columns="trial"), ["cell"]), ValueError, "table must have columns trial"),
        (lambda: P.parallel(T, ["cell", "size"]), ValueError, "choices must be one of"),
        (lambda: P.parallel(T[:0], ["cell"]), ValueError, "table must have at least one row"),
        (lambda: P.parallel(T, ["cell"], maximize=None), ValueError, "maximize must be"),
        (lambda: P.learning_curves(CURVES, T, best=0), ValueError, "best must be at least 1"),
        (lambda: P.learning_curves(CURVES, T, best=1.5), TypeError, "best must be an integer"),
        (
            lambda: P.learning_curves(CURVES, T, metric="epoch"),
            ValueError,
            "metric must be one of 'loss', 'val_loss'",
        ),
        (lambda: P.learning_curves(CURVES.drop(columns="loss"), T), ValueError, "curves must have .* column loss"),
        (lambda: P.learning_curves(CURVES.drop(columns="epoch"), T), ValueError, "curves must have .*epoch"),
        (lambda: P.learning_curves(CURVES[:0], T), ValueError, "curves must have at least one row"),
        (lambda: P.learning_curves(CURVES[:2], T), ValueError, "curves must have all executions of trial 1"),
        (lambda: P.learning_curves(CURVES, T.drop(columns="best_epoch")), ValueError, "table must .*best_epoch"),
        (lambda: P.best_so_far({"a": T}, "money"), ValueError, "cost must be one of 'epochs', 'seconds', 'trials'"),
        (lambda: P.best_so_far(T), ValueError, "tables must be a dict"),
        (lambda: P.best_so_far({}), ValueError, "tables must be a dict"),
        (lambda: P.best_so_far({"a": T, "b": T[:0]}), ValueError, r"tables\['b'\] must have at least one row"),
        (lambda: P.best_so_far({"a": T.drop(columns="epochs")}), ValueError, r"tables\['a'\] must have columns"),
        (
            lambda: P.best_so_far({"a": T.assign(epochs=NAN)}),
            ValueError,
            r"tables\['a'\] must have a number in every",
        ),
    ],
)
def test_bad_input_names_the_argument(call, error, argument):
    with pytest.raises(error, match=argument):
        call()
