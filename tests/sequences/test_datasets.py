"""Real data: split first, scaled on the training part alone, nothing in two parts; raw data is the oracle."""

from course import sequences
from course.sequences import datasets
from hypothesis import assume, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn.datasets import load_digits
import statsmodels.datasets

quick = settings(max_examples=30, deadline=None)


def raw_sunspots():
    data = statsmodels.datasets.sunspots.load_pandas().data
    return dict(zip(data["YEAR"], data["SUNACTIVITY"], strict=True))


def parts(result):
    return [(x, y, t) for x, y, t in (
        (result.x_train, result.y_train, result.years_train),
        (result.x_test, result.y_test, result.years_test),
    )]  # fmt: skip


@quick
@given(window=st.integers(1, 60), horizon=st.integers(1, 30), fraction=st.floats(0.05, 0.5))
def test_every_sunspot_window_holds_the_years_before_its_target_and_none_crosses_the_split(window, horizon, fraction):
    raw, last_training_year = raw_sunspots(), 2008 - round(309 * fraction)
    assume(window + horizon <= 2008 - last_training_year)
    result = sequences.sunspots(window, horizon, fraction)
    used = []
    for x, y, years in parts(result):
        assert (x.shape[1:], y.shape[1:], x.dtype, y.dtype) == ((window, 1), (1,), np.float32, np.float32)
        for inputs, target, year in zip(result.unscale(x), result.unscale(y), years, strict=True):
            seen = [year - horizon - window + 1 + k for k in range(window)]
            np.testing.assert_allclose(inputs[:, 0], [raw[s] for s in seen], atol=1e-4)
            np.testing.assert_allclose(target, raw[year], atol=1e-4)
        used.append((years[0] - horizon - window + 1, years[-1], len(years)))
    (first, last, n_train), (first_test, last_test, n_test) = used
    assert (first, last, first_test, last_test) == (1700, last_training_year, last_training_year + 1, 2008)
    assert n_train == last_training_year - 1700 + 1 - window - horizon + 1
    assert n_test == 2008 - last_training_year - window - horizon + 1


def test_sunspots_are_scaled_by_the_training_years_alone():
    values = np.array(list(raw_sunspots().values()))
    result = sequences.sunspots(window=10, test_fraction=0.25)
    assert result.mean == pytest.approx(values[:232].mean(), rel=1e-12)
    assert result.std == pytest.approx(values[:232].std(), rel=1e-12)


@pytest.mark.parametrize("name", ["sunspots", "co2"])
def test_the_training_part_does_not_change_when_the_test_years_do(name, monkeypatch):
    before = sequences.series(name, window=12)
    years, values = datasets._SERIES[name]()
    changed = np.concatenate([values[: -round(len(values) / 4)], 1e6 + values[-round(len(values) / 4) :]])
    monkeypatch.setitem(datasets._SERIES, name, lambda: (years, changed))
    after = sequences.series(name, window=12)
    np.testing.assert_array_equal(after.x_train, before.x_train)
    np.testing.assert_array_equal(after.y_train, before.y_train)
    assert (after.y_test > 1000).all()


def test_co2_is_the_mean_of_each_months_weeks():
    result = sequences.co2(window=1)
    months = result.unscale(result.x_train[:3, 0, 0])  # March to May 1958; two of May's weeks are missing
    weeks = [[316.1], [317.3, 317.6, 317.5, 316.4], [316.9, 317.5, 317.9]]
    assert months == pytest.approx([np.mean(w) for w in weeks], abs=1e-4)
    assert result.years_test[-1] == pytest.approx(2001 + 11 / 12)
    assert result.unscale(result.y_test[-1]) == pytest.approx((370.3 + 370.8 + 371.2 + 371.3 + 371.5) / 5, abs=1e-3)


def test_co2_bridges_the_five_months_without_measurements_by_straight_lines():
    years, values = datasets._SERIES["co2"]()
    assert len(years) == 12 * 43 + 10  # March 1958 to December 2001, no month left out
    assert np.isfinite(values).all()
    weeks = statsmodels.datasets.co2.load_pandas().data["co2"].dropna()
    measured = {(day.year, day.month) for day in weeks.index}
    missing = [k for k in range(len(years)) if (1958 + (k + 2) // 12, (k + 2) % 12 + 1) not in measured]
    assert [round((years[k] % 1) * 12) + 1 for k in missing] == [6, 10, 2, 3, 4]
    assert max(years[missing]) == 1964.25  # long before any split: no test value fills a training month
    for k in missing[:2]:
        assert values[k] == pytest.approx((values[k - 1] + values[k + 1]) / 2)
    k = missing[2]
    np.testing.assert_allclose(
        values[k : k + 3], values[k - 1] + np.arange(1, 4) / 4 * (values[k + 3] - values[k - 1])
    )


def test_unscale_gives_the_units_of_the_data_back():
    result = sequences.sunspots(window=3)
    raw = raw_sunspots()
    np.testing.assert_allclose(result.unscale(result.y_test)[:, 0], [raw[y] for y in result.years_test], atol=1e-4)


BUNDLED = load_digits()
LABELS = {image.tobytes(): label for image, label in zip(BUNDLED.images, BUNDLED.target, strict=True)}


def digit_parts(digits):
    return [
        (digits.x_train, digits.y_train),
        (digits.x_validation, digits.y_validation),
        (digits.x_test, digits.y_test),
    ]


@quick
@given(by=st.sampled_from(["row", "pixel"]), sizes=st.tuples(*[st.integers(10, 590)] * 3), seed=st.integers(0, 2**40))
def test_digits_come_with_their_labels_in_proportion_and_no_image_is_in_two_parts(by, sizes, seed):
    seen = set()
    for (x, y), size in zip(digit_parts(sequences.digits(by, *sizes, seed=seed)), sizes, strict=True):
        assert x.shape == ((size, 8, 8) if by == "row" else (size, 64, 1))
        assert x.dtype == np.float32
        images = [image.tobytes() for image in (x.astype(float) * 16).reshape(-1, 8, 8)]
        assert [LABELS[image] for image in images] == y.tolist()
        assert not seen & set(images)
        seen |= set(images)
        share = np.bincount(BUNDLED.target) * size / len(BUNDLED.target)
        assert np.abs(np.bincount(y, minlength=10) - share).max() < 2
    assert len(seen) == sum(sizes)


def test_all_digits_can_be_used_up():
    digits = sequences.digits(train=1000, validation=400, test=397)
    assert sum(len(y) for _, y in digit_parts(digits)) == 1797


def test_fewer_training_digits_are_some_of_the_more_and_leave_the_rest_as_it_is():
    few, many = sequences.digits(train=100), sequences.digits(train=1000)
    np.testing.assert_array_equal(few.x_train, many.x_train[:100])
    np.testing.assert_array_equal(few.x_validation, many.x_validation)
    np.testing.assert_array_equal(few.x_test, many.x_test)


def test_same_seed_same_digits_and_other_seed_other_digits():
    first, again, other = (sequences.digits(seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.x_train, again.x_train)
    assert {i.tobytes() for i in first.x_test} != {i.tobytes() for i in other.x_test}


@pytest.mark.parametrize(
    ("error", "name", "call"),
    [
        (ValueError, "name", lambda: sequences.series("sunspot", 10)),
        (ValueError, "name", lambda: sequences.series(None, 10)),
        (ValueError, "window", lambda: sequences.sunspots(window=0)),
        (TypeError, "window", lambda: sequences.sunspots(window=2.5)),
        (ValueError, "window", lambda: sequences.sunspots(window=77)),
        (ValueError, "horizon", lambda: sequences.sunspots(horizon=0)),
        (ValueError, "horizon", lambda: sequences.sunspots(horizon=310)),
        (ValueError, "horizon", lambda: sequences.sunspots(window=22, horizon=56)),
        (ValueError, "horizon", lambda: sequences.co2(horizon=10_000)),
        (TypeError, "horizon", lambda: sequences.co2(horizon="1")),
        (ValueError, "test_fraction", lambda: sequences.sunspots(test_fraction=0.0)),
        (ValueError, "test_fraction", lambda: sequences.co2(test_fraction=0.6)),
        (ValueError, "by", lambda: sequences.digits("column")),
        (TypeError, "train", lambda: sequences.digits(train=0.6)),
        (ValueError, "train", lambda: sequences.digits(train=1098)),
        (ValueError, "test", lambda: sequences.digits(test=5)),
        (ValueError, "validation", lambda: sequences.digits(validation=1797)),
        (ValueError, "seed", lambda: sequences.digits(seed=-1)),
        (TypeError, "seed", lambda: sequences.digits(seed=None)),
    ],
)
def test_bad_arguments_are_named(error, name, call):
    with pytest.raises(error, match=rf"^{name} must"):
        call()


def test_the_longest_window_and_the_furthest_horizon_leave_one_test_window():
    assert len(sequences.sunspots(window=76).x_test) == 1
    assert len(sequences.sunspots(window=22, horizon=55).x_test) == 1


def test_wrong_labels_are_as_many_as_asked_for_wrong_for_sure_and_only_in_training():
    right, wrong = sequences.digits(train=200), sequences.digits(train=200, wrong=0.3)
    assert np.sum(right.y_train != wrong.y_train) == 60
    assert set(np.unique(wrong.y_train)) == set(range(10))
    for name in ("x_train", "x_validation", "y_validation", "x_test", "y_test"):
        assert np.array_equal(getattr(right, name), getattr(wrong, name))
    assert np.array_equal(sequences.digits(train=200, wrong=0.3).y_train, wrong.y_train)
    with pytest.raises(ValueError, match="wrong must be below 1"):
        sequences.digits(wrong=1.0)
