"""How often the runs of a sweep succeeded, with an interval."""

from course import arguments
import numpy as np
import pandas as pd


def success_rate(frame, by, solved, confidence=0.95):
    """Return how often the runs of a sweep succeeded: one row per group, with rate, low, high and n.

    low, high: Wilson's interval of the given confidence. It stays sensible for few runs and for rates of 0 and 1.
    frame: what `sweep` returned. A run with an error counts as not solved.
    by: the name of a setting, or a list of names.
    solved: the name of a column of True and False, or a function that makes one from the frame, such as
        `lambda frame: frame.accuracy > 0.95`. A missing value counts as not solved.
    """
    from statsmodels.stats.proportion import proportion_confint  # takes a second: only for who asks

    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise TypeError(f"frame must be a pandas.DataFrame with at least one row, got {frame!r}.")
    by = [by] if isinstance(by, str) else list(by)
    for name in by or [None]:
        if arguments.one_of("by", name, frame.columns) in ("rate", "low", "high", "n", "k", "solved"):
            raise ValueError(
                f"by must not be called as a column of the result, got {name!r}: rename it in the frame."
            )
    confidence = arguments.number("confidence", confidence, above=0, below=1)
    if not callable(solved):
        solved = frame[arguments.one_of("solved", solved, frame.columns)]
    else:
        solved = pd.Series(solved(frame), index=frame.index)
    if not solved.dropna().isin([True, False]).all():
        raise ValueError(f"solved must give True or False for every run, got {solved.dropna().tolist()[:5]}.")
    solved = solved.eq(True)
    if "error" in frame:
        solved &= frame["error"].isna()
    groups = frame[by].assign(solved=solved).groupby(by, sort=False, dropna=False)["solved"]
    table = groups.agg(rate="mean", k="sum", n="count").reset_index()
    k, n = table.pop("k"), table.pop("n")
    low, high = proportion_confint(k, n, alpha=1 - confidence, method="wilson")
    return table.assign(low=np.where(k == 0, 0.0, low), high=np.where(k == n, 1.0, high), n=n)  # without rounding
