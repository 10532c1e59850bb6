"""The checks: a right answer written differently is accepted, each usual mistake is told what to look at."""

import ast
import contextlib
from fractions import Fraction
from pathlib import Path
import random
import threading

from course.classroom import checks
from course.classroom.exercises import lesson_00, lesson_01, lesson_04, lesson_05, lesson_06, lesson_08, lesson_12
import jupytext
import numpy as np
import pytest
from verdicts import verdict, wrong

SOURCES = Path(__file__).resolve().parents[2] / "notebooks" / "source"

# The engine


def check_of(reference, *cases, **options):
    return checks.function(lambda: [tuple(map(np.copy, case)) for case in cases], hints=["a", "b"], **options)(
        reference
    )


def absolute(x):
    return abs(x)


def test_stubs_are_not_attempted():
    def stub(x): ...

    def documented_stub(x):
        """Return something."""
        ...

    for answer in (..., None, stub, documented_stub, lambda x: None):
        assert check_of(absolute, (1,))(answer).status == "not attempted"
    found = checks.value("number", 1, hints=["a"])(...)
    assert repr(found) == "… not attempted yet (a hint: check.number.hint(1))"


def test_without_an_argument_the_check_looks_for_its_name_in_the_notebook():
    notebook = {"number": checks.value("number", 1, hints=["a"])}
    check = notebook.pop("number")
    notebook["check"] = check
    assert eval("check()", notebook) == ("not attempted", "there is no number yet: run the cell above first")
    assert eval("check()", notebook | {"number": ...}).status == "not attempted"
    assert eval("check()", notebook | {"number": 1}).status == "right"
    assert eval("check()", notebook | {"number": 2}).status == "wrong"


def test_hints_are_told_one_by_one():
    check = checks.value("number", 1, hints=["look", "look closer"])
    assert [repr(check.hint(n)) for n in (1, 2)] == ["Hint 1 of 2: look", "Hint 2 of 2: look closer"]
    for number in (0, 3, "x"):
        assert check.hint(number) == "There are 2 hints: check.number.hint(1) to .hint(2)."


def test_a_function_that_returns_a_constant_is_an_attempt():
    def constant(x):
        return 3

    wrong(check_of(absolute, (1,)), constant, "the answer 3 is not it; 1 is expected")


def test_nothing_returned_is_told_so_only_where_it_is_so():
    def no_return(x):
        x + 1

    wrong(check_of(absolute, (1,), (2,)), no_return, "`return` missing")
    wrong(
        check_of(absolute, (1,), (2,)), lambda x: 1 if x == 1 else None, "your function returns None; 2 is expected"
    )


def test_an_attempt_that_raises_gets_a_verdict_with_names_and_shapes():
    check = check_of(lambda x, W: x @ W.T, (np.ones((2, 3)), np.ones((4, 3))))
    wrong(check, lambda x, W: x @ W, "For x (2, 3), W (4, 3): your function raised ValueError")


def test_small_arguments_are_quoted_in_full():
    wrong(
        check_of(lambda a: a.sum(), ([1.5, 2],)), lambda a: 1.0, "For a = [1.5, 2. ]: the answer 1 is not it; 3.5 is"
    )


@pytest.mark.parametrize(
    "error", [KeyError("k"), OverflowError(), SystemExit(1), RecursionError(), KeyboardInterrupt()]
)
def test_whatever_an_attempt_raises_is_a_verdict(error):
    def attempt(x):
        raise error

    wrong(check_of(absolute, (1,)), attempt, type(error).__name__)


def test_an_attempt_that_never_comes_back_is_stopped():
    def loops(x):
        while True:
            pass

    before = threading.active_count()
    wrong(check_of(absolute, (1,), seconds=0.3), loops, "had not come back after 0.3 seconds")
    assert threading.active_count() == before


def test_an_attempt_that_cannot_be_stopped_is_left_behind():
    enough = threading.Event()

    def swallows_everything(x):
        while not enough.is_set():
            with contextlib.suppress(BaseException):
                enough.wait(0.01)

    wrong(check_of(absolute, (1,), seconds=0.3), swallows_everything, "had not come back after 0.3 seconds")
    enough.set()


def test_an_answer_with_a_will_of_its_own_gets_a_verdict():
    class Unruly:
        def __repr__(self):
            raise RuntimeError("no")

        __array__ = __len__ = __eq__ = __float__ = __repr__
        __hash__ = None

    for answer in (Unruly(), [Unruly()], {1: Unruly()}):
        assert verdict(checks.value("number", 1, hints=[]), answer).status == "wrong"
        assert verdict(check_of(absolute, (1,)), lambda x, answer=answer: answer).status == "wrong"


@pytest.mark.parametrize("answer", ["1", b"1", 1 + 0j, True, np.bool_(True), np.array("1"), [1], {1: 1}, 10**400])
def test_words_truth_values_and_complex_numbers_are_no_numbers(answer):
    assert verdict(checks.value("number", 1, hints=[]), answer).status == "wrong"


@pytest.mark.parametrize("answer", [1, 1.0, np.float32(1), np.int8(1), Fraction(1), np.array(1)])
def test_numbers_of_any_kind_are_numbers(answer):
    assert verdict(checks.value("number", 1, hints=[]), answer).status == "right"


def test_a_mistake_that_raises_is_recognised_by_what_it_raises():
    check = check_of(lambda x, W: x @ W, (np.ones((2, 3)), np.ones((3, 4))), mistakes=[(lambda x, W: W @ x, "rows")])
    wrong(check, lambda x, W: np.tanh(W @ x), "rows")
    wrong(check, lambda x, W: x @ W.T, "ValueError")


def test_the_first_wrong_time_step_is_named():
    for time, step in (("forwards", 2), ("backwards", 3)):
        check = check_of(lambda x: x, (np.arange(10.0).reshape(1, 5, 2),), time=time)

        def attempt(x):
            x[:, 1:3] += 1
            return x

        wrong(check, attempt, f"2 of 5 time steps differ; going {time}, the first is t = {step}")


def test_an_attempt_that_writes_into_its_arguments_spoils_nothing():
    def attempt(x):
        x *= 2
        return x

    assert verdict(check_of(lambda x: 2 * x, (np.ones(3),)), attempt).status == "right"


def test_shape_type_and_finiteness_are_told_apart():
    check = check_of(lambda x: x, (np.ones((2, 3)),))
    wrong(check, lambda x: x.T, "the shape is (3, 2), expected is (2, 3)")
    wrong(check, lambda x: "one", "this is a str")
    wrong(check, lambda x: x.astype(str), "this is an array of words")
    wrong(check, lambda x: x * np.nan, "NaN")
    wrong(check, lambda x: x + 0.5, "largest difference is 0.5")


def test_tolerance_is_relative_to_the_largest_number():
    assert verdict(check_of(lambda x: x, (np.array([1e6, 0.0]),)), lambda x: x + 1e-3).status == "right"
    assert verdict(checks.value("number", 2e-9, hints=[]), 1e-9).status == "wrong"


def test_several_results_are_compared_one_by_one():
    check = check_of(lambda x: (x, 0 * x), (np.ones(3),), parts={"one": [], "zero": [(np.copy, "take off 1")]})
    assert verdict(check, lambda x: [x, x - 1]).status == "right"
    wrong(check, lambda x: (x, x), "zero: take off 1")
    wrong(check, lambda x: (2 * x, x), "one: the shape is right")
    wrong(check, lambda x: (x, x, x), "2 results are expected, together in a tuple; got a tuple of 3")


# All exercises

ALL = [
    check
    for lesson in (lesson_00, lesson_01, lesson_04, lesson_05, lesson_06, lesson_08, lesson_12)
    for check in vars(lesson).values()
    if isinstance(check, checks.Check)
]
every_exercise = pytest.mark.parametrize("check", ALL, ids=[check.name for check in ALL])


@every_exercise
@pytest.mark.filterwarnings("ignore")
def test_each_listed_mistake_is_told_what_it_is_and_nothing_else(check):
    for mistake, advice in check.mistakes:
        assert check(mistake) == checks.wrong(advice)


@every_exercise
def test_every_exercise_has_hints(check):
    assert len(check.hints) >= 2
    assert len({*check.hints}) == len(check.hints)


@every_exercise
def test_a_check_leaves_the_random_generators_alone(check):
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert check(lambda *case: 0.123).status == "wrong"
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


@every_exercise
@pytest.mark.parametrize("answer", [{}, [], "x", b"x", 1j, 10**400, object(), lambda *case: [1e155] * 4, lambda: 1])
def test_an_odd_answer_is_wrong_and_breaks_nothing(check, answer):
    assert verdict(check, answer).status == "wrong"


@pytest.mark.parametrize("lesson", ["00", "01", "04", "05", "06", "08", "12"])
def test_the_exercise_cells_of_a_lesson_work_together(lesson):
    """Checked before the exercise is run, untouched, and solved: which leaves the learner's answer as it was."""
    (source,) = SOURCES.glob(f"{lesson}_*.py")
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    notebook = {}
    for cell in cells:
        imports = [line for line in ast.parse(cell.source).body if isinstance(line, (ast.Import, ast.ImportFrom))]
        exec(compile(ast.Module(imports, []), str(source), "exec"), notebook)
    for place, cell in enumerate(cells):
        if "exercise" not in cell.metadata.get("tags", []):
            continue
        check, solution = cells[place + 1].source, cells[place + 2].source
        assert "run the cell above first" in eval(check, notebook).message
        exec(cell.source, notebook)
        assert "not attempted yet" in eval(check, notebook).message
        assert solution.startswith("# ")  # a solution says why
        *lines, asked = ast.parse(solution).body
        exec(compile(ast.Module(lines, []), str(source), "exec"), notebook)
        assert eval(ast.unparse(asked), notebook).status == "right"
        assert "not attempted yet" in eval(check, notebook).message


# Lesson 00


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (9, "One more"),
        (11, "One too many"),
        (np.log(1e-3) / np.log(0.5), "round up"),
        (-10, "sign"),
        (3, "not divided by ten"),
        (500, "a quarter"),
        (1024, "2 to the power"),
        ("x", "a str"),
    ],
)
def test_00_number_of_steps_names_the_mistake(answer, hint):
    wrong(lesson_00.number_of_steps, answer, hint)


@pytest.mark.parametrize("answer", [10, 10.0, np.int64(10), sum(0.5**t >= 1e-3 for t in range(1000))])
def test_00_number_of_steps_is_accepted_however_it_was_found(answer):
    assert verdict(lesson_00.number_of_steps, answer).status == "right"


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda q: q.mean(), "ordinary mean"),
        (lambda q: q.prod(), "whole product"),
        (lambda q: np.log(q).mean(), "exp"),
        (lambda q: np.exp(np.log(q).sum()), "whole product"),
        (lambda q: np.quantile(q, 0.5), "median"),
        (lambda q: 10 ** np.log(q).mean(), "natural"),
        (lambda q: q[:1], "shape"),
    ],
)
def test_00_typical_factor_names_the_mistake(attempt, hint):
    wrong(lesson_00.typical_factor, attempt, hint)


def test_00_typical_factor_is_accepted_written_as_a_root():
    assert verdict(lesson_00.typical_factor, lambda q: np.prod(q) ** (1 / len(q))).status == "right"


def test_00_a_is_better():
    wrong(lesson_00.a_is_better, "no", "difference")
    wrong(lesson_00.a_is_better, "Maybe", "yes")
    wrong(lesson_00.a_is_better, 0.8, "not a word")
    assert verdict(lesson_00.a_is_better, " Yes ").status == "right"


def test_00_a_is_better_as_the_interval_of_the_difference_says():
    from scipy.stats import fisher_exact
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

    (low_a, _), (_, high_b) = (proportion_confint(solved, 20, method="wilson") for solved in (18, 11))
    low, _ = confint_proportions_2indep(18, 20, 11, 20, method="newcomb", compare="diff")
    assert low_a < high_b
    assert low > 0
    assert fisher_exact([[18, 2], [11, 9]]).pvalue < 0.05  # not a case that hangs on the kind of interval


# Lesson 01


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda x, h, W, U, b: x @ W + h @ U + b, "tanh is missing"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U), "bias b is missing"),
        (lambda x, h, W, U, b: np.tanh(x @ W + b), "state is not used"),
        (lambda x, h, W, U, b: np.tanh(h @ U + b), "input is not used"),
        (lambda x, h, W, U, b: np.tanh(x @ W + (U @ h.T).T + b), "transposed"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U) + b, "inside the tanh"),
        (lambda x, h, W, U, b: np.tanh(W @ x + h @ U + b), "do not fit"),
        (lambda x, h, W, U, b: np.tanh(x @ W + h @ U + b)[0], "shape is (3,), expected is (2, 3)"),
    ],
)
def test_01_one_step_names_the_mistake(attempt, hint):
    wrong(lesson_01.one_step, attempt, hint)


def test_01_one_step_is_accepted_written_differently():
    def attempt(x_t, h, W, U, b):
        a = np.concatenate([x_t, h], axis=1) @ np.concatenate([W, U]) + b
        return 2 / (1 + np.exp(-2 * a)) - 1

    assert verdict(lesson_01.one_step, attempt).status == "right"


def loop(x, W, U, b, *, carry=True, before=False, last=False, backwards=False, axis=1):
    h, states = np.zeros((len(x), len(b))), []
    for t in reversed(range(x.shape[1])) if backwards else range(x.shape[1]):
        if before:
            states.append(h)
        new = np.tanh(x[:, t] @ W + h @ U + b)
        h = new if carry else h
        if not before:
            states.append(new)
    return h if last else np.stack(states, axis=axis)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"carry": False}, "Every step starts from h_0"),
        ({"before": True}, "Off by one"),
        ({"last": True}, "last state only"),
        ({"backwards": True}, "read backwards"),
        ({"axis": 0}, "(T, B, H)"),
        ({"axis": 2}, "(B, H, T)"),
    ],
)
def test_01_unroll_names_the_mistake(mistake, hint):
    wrong(lesson_01.unroll, lambda *case: loop(*case, **mistake), hint)


def test_01_unroll_places_an_unusual_mistake_in_time():
    def forgets_at_step_4(x, W, U, b):
        return np.concatenate([loop(x[:, :3], W, U, b), loop(x[:, 3:], W, U, b)], axis=1)

    wrong(lesson_01.unroll, forgets_at_step_4, "going forwards, the first is t = 4")


def test_01_unroll_is_accepted_written_into_an_array():
    def attempt(x, W, U, b):
        h = np.zeros((x.shape[0], x.shape[1] + 1, len(b)))
        for t in range(x.shape[1]):
            h[:, t + 1] = np.tanh(x[:, t] @ W + h[:, t] @ U + b)
        return h[:, 1:]

    assert verdict(lesson_01.unroll, attempt).status == "right"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (500, "Dense(3) has weights too"),
        (63, "recurrent layer has weights too"),
        (540, "biases are missing"),
        (560, "bias of the Dense(3)"),
        (543, "bias of the recurrent layer"),
        (163, "U is missing"),
        (25063, "shared over time"),
        (183, "not only with itself"),
        (7, "not it"),
    ],
)
def test_01_number_of_weights_names_the_mistake(answer, hint):
    wrong(lesson_01.number_of_weights, answer, hint)


def test_01_number_of_weights_is_what_keras_counts():
    import keras

    model = keras.Sequential([keras.Input((50, 4)), keras.layers.SimpleRNN(20), keras.layers.Dense(3)])
    assert verdict(lesson_01.number_of_weights, model.count_params()).status == "right"


def moved_one_by_one(x, W, U, b, *, fresh=True, at=slice(-1, None), off=True):
    h, found, moved = loop(x[None], W, U, b)[0], [], x.copy()
    for k in range(len(x)):
        moved = x.copy() if fresh else moved
        moved[k] += 1
        found.append(np.linalg.norm(loop(moved[None], W, U, b)[0, at] - (h[at] if off else 0)))
    return np.array(found)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ({"fresh": False}, "add up"),
        ({"at": slice(None)}, "look at the last one"),
        ({"off": False}, "not of its change"),
    ],
)
def test_01_felt_names_the_mistake(mistake, hint):
    wrong(lesson_01.felt, lambda *case: moved_one_by_one(*case, **mistake), hint)


def test_01_felt_names_what_is_returned_instead():
    wrong(lesson_01.felt, lambda *case: moved_one_by_one(*case)[::-1], "turned round")
    wrong(lesson_01.felt, lambda *case: moved_one_by_one(*case)[0], "shape is ()")


def test_01_felt_is_accepted_run_as_one_batch():
    def attempt(x, W, U, b):
        T = len(x)
        batch = np.concatenate([x[None], x + np.eye(T)[:, :, None]])  # (1 + T, T, D)
        h_T = loop(batch, W, U, b)[:, -1]
        return np.linalg.norm(h_T[1:] - h_T[0], axis=1)

    assert verdict(lesson_01.felt, attempt).status == "right"


def in_squares(forecast, baseline, measured):
    return np.mean((forecast - measured) ** 2) / np.mean((baseline - measured) ** 2)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda f, b, m: (in_squares(f, b, m), np.mean((f - m)[m > 100])), "bias: You group by what was measured"),
        (lambda f, b, m: (in_squares(f, b, m), np.mean((m - f)[f > 100])), "bias: The sign"),
        (lambda f, b, m: (in_squares(b, f, m), np.mean((f - m)[f > 100])), "ratio: It is the other way round"),
        (lambda f, b, m: (in_squares(f, b, m) ** 0.5, np.mean((f - m)[f > 100])), "ratio: No root"),
        (lambda f, b, m: in_squares(f, b, m), "2 results are expected"),
    ],
)
def test_01_judge_names_the_mistake(attempt, hint):
    wrong(lesson_01.judge, attempt, hint)


def test_01_judge_is_accepted_as_a_list():
    def attempt(f, b, m):
        high = np.flatnonzero(f > 100)
        return [((f - m) ** 2).sum() / ((b - m) ** 2).sum(), (f[high] - m[high]).mean()]

    assert verdict(lesson_01.judge, attempt).status == "right"
