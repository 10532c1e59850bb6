# %% [markdown]
# # 02 · Which shapes of sequence problem are there?
#
# A sequence may come in, or go out, or both; and an answer may be due at the end or at every step. That makes five kinds of
# model; four additions make nine names. Each is here a picture, a few lines of Keras, and a small task.
#
# **You will be able to**
# - choose the kind of model that a problem needs;
# - say which shape comes out of a layer before you run it;
# - give a stateful layer its batches in the right order;
# - write the inputs of a decoder in training;
# - write a model to which padding makes no difference;
# - find what flatters a forecast.
#
# **100 minutes** · needs: [01](01_what_an_rnn_computes.ipynb) · letters: [notation](../docs/notation.md)

# %%
from course import classroom, plots, sequences
from course.classroom.exercises import lesson_02 as check
from course.experiments import fresh
import keras  # takes some ten seconds, once per lesson
from keras import layers
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# %% [markdown]
# ## 1 · Nine pictures
#
# Below each step stands what is read, above it what is answered; a box is the hidden state $h_t$, and the arrow from box to box
# makes it an RNN.

# %%
panels = plt.subplots(3, 3, figsize=(10.5, 6.2))[1]
for ax, kind in zip(panels.flat, plots.SEQUENCE_KINDS, strict=True):
    plots.sequence_kind(kind, ax=ax).set_title(kind)
plots.show(panels)

# %% tags=["dial"] jupyter={"source_hidden": true}
# A dial: the kinds, one after the other, step by step
frames, values, captions = [], [], []
plt.rcParams["figure.max_open_warning"] = 0
for kind, drawn in plots.SEQUENCE_KINDS.items():
    for step in range(1, len(drawn.below) + 1):
        ax = plt.figure(figsize=(6.4, 2.9), layout="none").add_axes((0, 0, 1, 0.9))
        plots.sequence_kind(kind, step, ax).set(title=kind, ylim=(-0.1, 3.5))
        frames.append(ax)
        values.append(f"{kind}, step {step}")
        captions.append(f"Step {step} of {len(drawn.below)}: {drawn.says}.")
plots.dial(frames, label="data flows", values=values, captions=captions, start=7, dpi=96)

# %% [markdown]
# **What to notice.** *Many to one* stays silent until the last step, *in step* answers from what has been read so
# far, and *bidirectional* has no answer before both directions have come by. In Keras (`LSTM` or `GRU` may stand for `SimpleRNN`):
#
# | kind | layers | answer |
# |---|---|---|
# | one to one | `Dense(n)` | (B, n) |
# | one to many | `RepeatVector(T)`, `SimpleRNN(H, return_sequences=True)`, `Dense(n)` | (B, T, n) |
# | many to one | `SimpleRNN(H)`, `Dense(n)` | (B, n) |
# | in step | `SimpleRNN(H, return_sequences=True)`, `Dense(n)` | (B, T, n) |
# | encoder and decoder | `LSTM(H, return_state=True)`, then `LSTM(H, return_sequences=True)` from that state | (B, its own T, n) |
# | stacked | `return_sequences=True` in every recurrent layer but the last | as the last |
# | bidirectional | `Bidirectional(SimpleRNN(H, …))` in its place | as without, 2H units |
# | masked | `Masking()` first, or `Embedding(…, mask_zero=True)` | as without |
# | stateful | `SimpleRNN(H, stateful=True)`, batch size fixed | as without |
#
# ### Exercise 1 · Which kind?
# For each problem one of "one to one", "one to many", "many to one", "in step", "encoder and decoder":
# (1) read a review, say whether it is favourable; (2) listen to a heart and sound an alarm, at each beat, at once; (3) translate a
# sentence; (4) write a tune in the manner of a composer whose name is given; (5) guess a house's price from eight measurements of it.

# %% tags=["exercise"]
kinds = ...  # five names in a list

# %% tags=["check"]
check.kinds()

# %% tags=["solution"] jupyter={"source_hidden": true}
# What comes in, what goes out, when it is due. Eight measurements in no order are eight features of one step.
solution_kinds = [
    "many to one",
    "in step",
    "encoder and decoder",
    "one to many",
    "one to one",
]
check.kinds(solution_kinds)

# %% [markdown]
# ## 2 · Reading a digit, and drawing one
#
# **Many to one.** A handwritten digit is read row by row, $T = 8$ steps of $D = 8$ pixels, and named at the end: ten classes, so
# guessing scores 0.1. Beside it **one to one**, which sees all 64 pixels at once, and **stacked**, two recurrent
# layers of half the units. `Dense` gives ten numbers, **logits**; the largest is the answer, and with `from_logits=True` the loss makes
# probabilities of them ([lesson 03](03_what_the_loss_tells.ipynb)).

# %%
CLASSES = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MANY = {"steps_per_execution": 16}  # so many updates in one call, which saves time
SEEDS = range(3)


def compiled(shape, *parts, loss=CLASSES, rate=7e-3):
    model = keras.Sequential([keras.Input(shape), *parts])
    model.compile(keras.optimizers.Adam(rate), loss, **MANY)
    return model


def one_to_one():
    dense = layers.Dense(64, activation="tanh")
    return compiled((8, 8), layers.Flatten(), dense, layers.Dense(10))


def many_to_one():
    return compiled((None, 8), layers.SimpleRNN(64), layers.Dense(10))


def stacked():
    below = layers.SimpleRNN(32, return_sequences=True)
    return compiled((None, 8), below, layers.SimpleRNN(32), layers.Dense(10))


# %% [markdown]
# `None` stands for any number of steps: no weight depends on it. `fresh` returns a model as it is right after a seed is
# set, but compiles it only once.


# %%
def trained(build, seed, x, y, epochs=1, batch_size=64):
    """A trained model. `fit` pauses between epochs and is traced for each size: one epoch, whole calls."""
    model, often = fresh(build, seed), np.tile(np.arange(len(y)), epochs)
    call = batch_size * MANY["steps_per_execution"]
    often = often[: len(often) // call * call]
    model.fit(x[often], y[often], batch_size=batch_size, verbose=0)
    return model


def right(model, x, y):
    """The share of right answers."""
    return np.mean(np.argmax(model(x), axis=-1) == y)


digits = sequences.digits("row", train=1437, validation=10, test=350)
train, test = (digits.x_train, digits.y_train), (digits.x_test, digits.y_test)
scores, readers = {}, []
for build in (one_to_one, stacked, many_to_one):
    name = build.__name__.replace("_", " ")
    scores[name] = []
    for seed in SEEDS:
        reader = trained(build, seed, *train, epochs=15)
        scores[name].append(right(reader, *test))
        readers.append(reader.get_weights())  # the last three: many to one
    print(f"{name:11} {reader.count_params():6,} weights, right: {np.round(scores[name], 3)}")

# %%
ax = plots.axes(ylabel="held-out digits named right", ylim=(0, 1.03))
for place, score in enumerate(scores.values()):
    ax.plot(place + np.linspace(-0.06, 0.06, 3), score, "osD"[place], ls="none")
ax.set_xticks(range(3), list(scores))
ax.set(xlim=(-0.5, 2.5), title="Read row by row, a digit is named about as well as all at once")
plots.level(ax, 0.1, "chance")
said = "; ".join(
    f"{name} {min(score):.2f} to {max(score):.2f}" for name, score in scores.items()
)
plots.show(
    ax, alt=f"Share of 350 held-out digits named right, three seeds each: {said}; chance .1."
)

# %% [markdown]
# **What to notice.** A network that sees all pixels at once reads as well: where the length is fixed, no RNN is needed. Stacked
# does about as well, with fewer weights.
#
# **One to many.** The way back: from the class, **one-hot** (ten numbers, 1 at its place and 0 elsewhere), to eight rows. There is one
# drawing for each class, and squared error makes it the *mean* of what was shown. The reader above is the judge.


# %%
def one_to_many():
    again = layers.RepeatVector(8)  # the class, at every step
    rnn = layers.SimpleRNN(64, return_sequences=True)
    return compiled((10,), again, rnn, layers.Dense(8, activation="sigmoid"), loss="mse")


names = np.eye(10, dtype="float32")  # one-hot
means = np.array([train[0][train[1] == k].mean(axis=0) for k in range(10)])
drawings, judged = [], []
for seed in SEEDS:
    model = trained(one_to_many, seed, names[train[1]], train[0], epochs=10)
    drawings.append(np.array(model(names)))
    judged.append(np.mean(np.argmax(reader(drawings[-1]), axis=-1) == np.arange(10)))

# %%
rows = {"drawn": drawings[-1], "class mean": means}
panels = plt.subplots(2, 10, figsize=(9, 2.1))[1]
for line, (name, images) in zip(panels, rows.items(), strict=True):
    for k, (ax, image) in enumerate(zip(line, images, strict=True)):
        ax.imshow(image, cmap="Greys", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], ylabel=name if k == 0 else "")
title = "Drawn from its class, row by row: the mean of that class"
panels[0, 0].figure.suptitle(title, x=0.01, ha="left", weight="bold")
plots.show(
    panels, alt="Ten drawn digits, 0 to 9, above the means of the training images: alike."
)


def error(images):
    """Mean squared error when a held-out digit is drawn as the image of its class."""
    return np.mean((images[test[1]] - test[0]) ** 2)


one_for_all = np.broadcast_to(train[0].mean(axis=0), means.shape)
print(f"read as meant, of ten, three seeds: {[round(10 * share) for share in judged]}")
print(
    f"squared error: drawn {error(drawings[-1]):.4f}, class means {error(means):.4f},", end=""
)
print(f" one image for all {error(one_for_all):.4f}")

# %% [markdown]
# **What to notice.** The same class always gives the same digit: nothing else comes in. For another 3 each time, something random has
# to come in (lesson 10, to come).
#
# ### Exercise 2 · Shapes before running
# `x` has the shape (32, 20, 3): 32 sequences of 20 steps of 3 features. Which shape comes out of
# (1) `SimpleRNN(5)`; (2) `SimpleRNN(5, return_sequences=True)`; (3) `Dense(2)` after layer 2;
# (4) `Bidirectional(SimpleRNN(5, return_sequences=True))`; (5) `RepeatVector(7)` after layer 1?

# %% tags=["exercise"]
shapes = ...  # five tuples in a list

# %% tags=["check"]
check.shapes()

# %% tags=["solution"] jupyter={"source_hidden": true}
# An RNN replaces features by units and, but for return_sequences, drops the steps; Dense sees the last axis alone.
solution_shapes = [(32, 5), (32, 20, 5), (32, 20, 2), (32, 20, 10), (32, 7, 5)]
check.shapes(solution_shapes)

# %% [markdown]
# ## 3 · An answer at every step
#
# **In step.** Bits come in; at each step: has the number of ones *so far* been odd? One missed bit turns all later answers
# round, so guessing scores 1/2, and from step 2 on so does looking at the present bit alone. **Bidirectional.** The same bits, asked from the other side: is
# the number of ones *still to come*, this one included, odd?


# %%
def in_step():
    rnn = layers.SimpleRNN(16, return_sequences=True)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled((None, 1), rnn, layers.Dense(1), loss=loss, rate=2e-2)


def bidirectional():
    rnn = layers.SimpleRNN(16, return_sequences=True, name="rnn")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return compiled((None, 1), layers.Bidirectional(rnn), layers.Dense(1), loss=loss, rate=2e-2)


# %%
def bits(n, T, seed):
    return np.random.default_rng(seed).integers(2, size=(n, T, 1)).astype("float32")


def so_far(x):
    return np.cumsum(x, axis=1) % 2


def to_come(x):
    return so_far(x[:, ::-1])[:, ::-1]


def by_step(model, x, y):
    """The share of right answers at each step."""
    return np.mean((np.array(model(x)) > 0) == y, axis=(0, 2))


# %%
T, x_new = 8, bits(1000, 8, seed=99)
tasks = {
    "so far, one direction": (in_step, so_far),
    "to come, one direction": (in_step, to_come),
    "to come, both directions": (bidirectional, to_come),
}
steps, weights = {name: [] for name in tasks}, []
for name, (build, target) in tasks.items():
    for seed in SEEDS:
        x = bits(16_384, T, seed)
        model = trained(build, seed, x, target(x))
        steps[name].append(by_step(model, x_new, target(x_new)))
        weights.append(model.get_weights())  # the first three: so far

# %%
steps = {name: np.array(shares) for name, shares in steps.items()}  # each (seeds, T)
ax = plots.lines(
    range(1, T + 1), steps, xlabel="time step t", ylabel="share right", ylim=(0.4, 1.03)
)
ax.set_title("What is still to come needs a layer that reads from the end")
ax.legend(title="median and range of three seeds", loc="center left")
plots.level(ax, 0.5, "chance")
ones, one, both = steps.values()
plots.show(
    ax,
    alt=f"Share right at each of eight steps. So far: {ones.min():.2f} or more. To come, one direction: {one[:, :-1].max():.2f} at most before "
    f"the last step, 1 there. To come, both directions: {both.min():.2f} or more at every step.",
)

# %% [markdown]
# **What to notice.** In one direction, the future is a coin toss until the last bit is there. Take `Bidirectional` where the whole
# sequence lies before you (text, genes, recordings), never where the answer is due at once: it looks at what has not happened yet.
#
# **Stateful.** A stream of 40 bits arrives as five batches of eight steps. Usually each batch starts from $h_0 = 0$; a layer with
# `stateful=True` starts row by row from where the batch before ended. A stateful twin gets the weights of the network above.

# %%
B, stream = 2000, bits(2000, 40, seed=98)
rnn = layers.SimpleRNN(16, return_sequences=True, stateful=True)
twin = keras.Sequential([keras.Input(batch_shape=(B, T, 1)), rnn, layers.Dense(1)])
ways = {"state carried": [], "reset before each batch": [], "rows shuffled": []}
plain, in_one_run = fresh(in_step, 0), []
for seed in SEEDS:
    for model in (plain, twin):
        model.set_weights(weights[seed])
    in_one_run.append(by_step(plain, stream, so_far(stream)))
    for way, shares in ways.items():
        rnn.reset_state()
        parts = []
        for start in range(0, 40, T):
            if way == "reset before each batch":
                rnn.reset_state()
            order = (
                np.random.default_rng(start).permutation(B) if "rows" in way else np.arange(B)
            )
            block = slice(start, start + T)
            parts.append(by_step(twin, stream[order, block], so_far(stream)[order, block]))
        shares.append(np.concatenate(parts))

# %%
curves = {way: np.array(shares) for way, shares in ways.items()}
ax = plots.lines(
    range(1, 41), curves, xlabel="time step t; a batch has eight", ylabel="share right"
)
ax.set(ylim=(0.4, 1.03), title="A carried state is worth what the order of the rows is worth")
ax.legend(title="median and range of three seeds", loc="center right", fontsize=9)
plots.level(ax, 0.5, "chance")
later = {way: shares[:, T:].mean(axis=1) for way, shares in curves.items()}
said = "; ".join(f"{way} {shares.mean():.2f}" for way, shares in later.items())
plots.show(
    ax, alt=f"Share right at 40 steps. All are right in the first batch; afterwards: {said}."
)
off_by = np.abs(curves["state carried"] - in_one_run).max()
print(f"state carried, off reading all 40 steps at once by at most: {off_by:.3f}")

# %% [markdown]
# **What to notice.** Five batches with the state carried are one run of 40 steps: the numbers are the same. Each row of a batch must go on
# where the same row of the batch before ended. For `fit` that means: rows that are long pieces
# of the stream, batch behind batch, `batch_size` the number of rows, `shuffle=False`. Call `reset_state()` where a new stream begins; Keras
# does not, not even between epochs.
#
# ### Exercise 3 · Batches in order
# Cut a `stream`, an array of numbers, into batches for a stateful layer: `rows` long pieces are read side by side, `steps` at a
# time. As many whole batches as fit; what is left over is dropped.


# %% tags=["exercise"]
def in_order(stream, rows, steps):
    """Return an array (batches, rows, steps)."""
    ...


# %% tags=["check"]
check.in_order()


# %% tags=["solution"] jupyter={"source_hidden": true}
# First long pieces, one for each row; then each piece is cut into batches. Then batches come first.
def solution_in_order(stream, rows, steps):
    batches = len(stream) // (rows * steps)
    pieces = stream[: batches * rows * steps].reshape(rows, batches, steps)
    return pieces.swapaxes(0, 1)


check.in_order(solution_in_order)

# %% [markdown]
# ## 4 · Encoder and decoder
#
# In step, the answer has as many steps as the question. A translation has not. So one LSTM, the *encoder*, reads, and hands its state, $h$ and the
# memory $c$ ([lesson 08](08_how_an_lstm_remembers.ipynb)), to a second one, the *decoder*, which writes: its first input says "start", each
# later one is the letter before. In training that is the *right* letter before (**teacher forcing**), in use its own.
#
# ### Exercise 4 · What the decoder reads in training
# `y` (B, T) holds the answers as numbers, one string a row, padded behind with 0; `start` is the number that says so. The
# decoder is to say `y[:, t]` at each step $t$. Return what it reads.


# %% tags=["exercise"]
def decoder_inputs(y, start):
    """Return the inputs of the decoder, (B, T)."""
    ...


# %% tags=["check"]
check.decoder_inputs()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Start in front moves all answers one step to the right; the last one is the input of nothing.
def solution_decoder_inputs(y, start):
    return np.pad(y, ((0, 0), (1, 0)), constant_values=start)[:, :-1]


check.decoder_inputs(solution_decoder_inputs)

# %% [markdown]
# The task ([`sequences.reversal`](../course/sequences/tasks.py)): reverse a string of one to six letters out of six, and end it by a full stop. To
# guess a string of $n$ letters has a chance of $6^{-n}$. Letters are numbers, of which `Embedding` makes vectors; 0 is padding, which
# `mask_zero=True` masks (section 5).


# %%
def encoder_decoder(units=64):
    question, before = (keras.Input((None,), dtype="int32") for _ in range(2))
    letters = layers.Embedding(8, 8, "orthogonal", mask_zero=True, name="letters")(question)
    _, h, c = layers.LSTM(units, return_state=True, name="encoder")(letters)
    read = layers.Embedding(8, 8, "orthogonal")(before)
    answer = layers.Dense(8)(
        layers.LSTM(units, return_sequences=True)(read, initial_state=[h, c])
    )
    model = keras.Model([question, before], answer)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.Adam(1e-2), loss, **MANY)
    return model


def write(model, x):
    """What the model answers, each letter the next input. 1 is the stop, which also starts it."""
    said = np.ones((len(x), 1), int)
    for _ in range(x.shape[1]):
        letter = np.argmax(model([x, said])[:, -1], axis=-1)
        said = np.column_stack([said, letter])
    return said[:, 1:]


# %%
x, before, y = sequences.reversal(51_200, 6, np.random.default_rng(0))
speller = fresh(encoder_decoder, 0)
speller.fit([x, before], y, batch_size=64, verbose=0)
x_new, _, y_new = sequences.reversal(1200, 12, np.random.default_rng(99))
told = write(speller, x_new)
exact = np.all((told == y_new) | (y_new == 0), axis=1)
lengths = np.count_nonzero(x_new, axis=1)
here = np.array([exact[lengths == n].mean() for n in range(1, 13)])

# %% [markdown]
# One seed here, five in `data/02_reversal.csv` (by `data/record_02.py`, JAX backend), where some train longer, or on longer strings.
#
# **Predict, then run.** Trained on one to six letters: what is the longest string of which it still reverses at least half?

# %% tags=["guess"]
longest = classroom.guess(
    "02.1 the longest strings that are reversed", unit="letters", answer=...
)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
n = np.arange(1, 13)
recorded = pd.read_csv("../data/02_reversal.csv")
reversed_right = {
    f"1 to {shown} letters, {updates:,} updates": group[[str(k) for k in n]].to_numpy()
    for (shown, updates), group in recorded.groupby(["longest", "updates"])
}
ax = plots.lines(n, reversed_right, xlabel="letters in the string", ylabel="share reversed")
ax.plot(n, here, "kx", ls="none", label="1 to 6 letters, 800 updates, here")
ax.plot(n, 6.0**-n, ":", color="0.5", label="guessing")
ax.set(ylim=(-0.03, 1.03), title="What fails is the length that was not trained")
ax.legend(title="recorded: median, range of five seeds", loc="center left", fontsize=9)
middle = {name: np.median(shares, axis=0) for name, shares in reversed_right.items()}
said = "\n".join(
    f"{name}: " + ", ".join(f"{shares[k - 1]:.2f} at {k}" for k in (5, 6, 7, 8, 9, 10, 12))
    for name, shares in (middle | {"here": here}).items()
)
plots.show(ax, alt=f"Share of new strings reversed exactly against their length. {said}.")
print(said)
six, six_longer, nine = middle.values()
longest.outcome(int(n[six >= 0.5].max()), margin=1)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
LETTERS = " .abcdef"  # a letter's number is its place: 0 is padding, 1 the stop
for asked, answer in zip(x_new[lengths == 9][:3], told[lengths == 9][:3], strict=True):
    spell = ("".join(LETTERS[k] for k in word) for word in (asked[:9], answer))
    print("{} → {}".format(*spell).split(".")[0])

# %% [markdown]
# **What to notice.** It goes a letter or two beyond its training, and four times as much training adds less than a letter. Not for want of room in the 128
# numbers that the encoder hands over: trained on up to nine letters, the same network reverses nearly all strings of nine. (With attention, Bahdanau and
# others 2015, a decoder looks back at every step.)
#
# ## 5 · Padding behind a sequence
#
# A batch is one array, so shorter sequences are padded, mostly with zeros. Take the digit reader of section 2, and put blank rows
# behind the digit.
#
# **Predict, then run.** How many of 100 digits does it name right with *one* blank row behind each?

# %% tags=["guess"]
one_row = classroom.guess(
    "02.2 right with one blank row behind", unit="digits of 100", answer=...
)


# %%
def padded(x, behind=0, before=0):
    return np.pad(x, ((0, 0), (before, behind), (0, 0)))


masking = keras.Sequential(
    [keras.Input((None, 8)), layers.Masking(), layers.SimpleRNN(64), layers.Dense(10)]
)
blank = np.array([0, 1, 2, 4, 8, 16])


def with_rows(model, place):
    """The share of digits named right, (seeds, numbers of blank rows)."""
    shares = []
    for trained_weights in readers[-3:]:
        model.set_weights(trained_weights)
        x = [padded(test[0], **{place: rows}) for rows in blank]
        shares.append([right(model, each, test[1]) for each in x])
    return np.array(shares)


named = {
    "behind, no mask": with_rows(reader, "behind"),
    "in front, no mask": with_rows(reader, "before"),
    "behind, masked": with_rows(masking, "behind"),
}

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
ax = plots.lines(blank, named, xlabel="blank rows", ylabel="digits named right", ylim=(0, 1.03))
ax.set_title("One blank row too many, and half of the digits are misread")
ax.legend(title="three seeds, median and range", loc="center right")
plots.level(ax, 0.1, "chance")
middles = {name: np.median(shares, axis=0) for name, shares in named.items()}
said = "; ".join(
    f"{name} {v[1]:.2f} with one, {v[-1]:.2f} with 16" for name, v in middles.items()
)
plots.show(
    ax,
    alt=f"Share of held-out digits named right, against the number of blank rows, medians: {said}.",
)
print(f"medians: {said}")
one_row.outcome(round(100 * middles["behind, no mask"][1]), margin=10)

# %% [markdown]
# **What to notice.** To the network a blank row is a row: it moves the state, and the answer is read a step too late. A mask makes it hand the
# state on as it is, so padding costs nothing. In front, blank rows do less harm here, and still too much: through the bias they move the state, too.
#
# `Masking()` takes a step for padding if *all* its features are 0. If real steps may be 0, pad with a number that none has, and say so:
# `Masking(mask_value=-1.0)`.
#
# ### Exercise 5 · A model that reads padded sequences
# Build a classifier of sequences `(T, D)`, padded behind with zeros, with a recurrent layer of `units` units. The check pads, and
# looks whether the answer moves.


# %% tags=["exercise"]
def reads_padded(T, D, units, classes):
    """Return a keras.Model from (T, D) to one number for each class."""
    ...


# %% tags=["check"]
check.reads_padded()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Masking stands first: behind any other layer padding would no longer be 0.
def solution_reads_padded(T, D, units, classes):
    return keras.Sequential(
        [keras.Input((T, D)), layers.Masking(), layers.SimpleRNN(units), layers.Dense(classes)]
    )


check.reads_padded(solution_reads_padded)

# %% [markdown]
# ## 6 · What a forecast is worth
#
# Many to one, with a number for an answer: twelve values in, the next one out. First on a *random walk*: each value is the one
# before plus a fresh normal number. The naive baseline is "tomorrow as today".


# %%
def windows(values, window=12):
    """Return windows (n, window, 1) and the value after each, (n, 1)."""
    cut = np.lib.stride_tricks.sliding_window_view(values.astype("float32"), window + 1)
    return cut[:, :-1, None], cut[:, -1:]


def forecast():
    return compiled((12, 1), layers.SimpleRNN(16), layers.Dense(1), loss="mse", rate=1e-2)


def off(forecast, y):
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((np.array(forecast) - y) ** 2)))


# %%
def on_a_walk(seed, split=700):
    """Forecast, today and tomorrow behind the split, and whether the range of training was never left."""
    walk = np.cumsum(np.random.default_rng(seed).normal(size=1000))
    walk = (walk - walk[:split].mean()) / walk[:split].std()
    model = trained(forecast, seed, *windows(walk[:split]), epochs=15)
    x, y = windows(walk[split:])
    inside = (x.min(axis=1) >= walk[:split].min()) & (x.max(axis=1) <= walk[:split].max())
    return np.array(model(x))[:, 0], x[:, -1, 0], y[:, 0], inside[:, 0]


walks = [on_a_walk(seed) for seed in range(5)]

# %% [markdown]
# **Predict, then run.** Of five walks, take the one on which it does best. How large is its error on the last 300 values (root mean
# square), as a share of that of "tomorrow as today"?

# %% tags=["guess"]
share_of_error = classroom.guess(
    "02.3 error of the network over that of tomorrow as today",
    ["less than a half", "between a half and nine tenths", "nine tenths or more"],
    answer=...,
)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
worse = np.array([off(told, y) / off(now, y) for told, now, y, _ in walks])
told, today, tomorrow, _ = walks[worse.argmin()]
days = slice(100, 140)
ax = plots.axes(xlabel="day", ylabel="the walk, scaled")
ax.plot(tomorrow[days], marker="o", label="what came")
ax.plot(told[days], marker="s", label="what was forecast for that day")
ax.set_title("It looks right, and comes a day late")
ax.legend()
agrees = np.array([[np.corrcoef(told, of)[0, 1] for of in both] for told, *both, _ in walks])
the_day_before, itself = agrees[worse.argmin()]
plots.show(
    ax,
    alt=f"Forty days of a walk and its forecast: the same shape, a day late. Correlation with the day before {the_day_before:.3f}, "
    f"with the day itself {itself:.3f}.",
)

# %% tags=["outcome"] jupyter={"source_hidden": true}
# The outcome
fit, repeated = (1 - np.mean((of - tomorrow) ** 2) / tomorrow.var() for of in (told, today))
print(
    f"the walk drawn: R² (1 is perfect) {fit:.2f}, of repeating today {repeated:.2f}; correlation with the day before {the_day_before:.3f}, the day {itself:.3f}"
)
print(f"error over that of tomorrow as today, five walks: {worse.round(2)}")
within = [off(f[k], y[k]) / off(x[k], y[k]) for f, x, y, k in walks if k.sum() > 30]
print(f"where the range of training was not left, {len(within)} walks: {np.round(within, 2)}")
share_of_error.outcome(share_of_error.choices[np.digitize(worse.min(), [0.5, 0.9])])

# %% [markdown]
# **What to notice.** On a random walk nothing beats "tomorrow as today", but by luck. A forecast that has learned nothing but to repeat today fits the
# picture and has a high $R^2$, the share of the variance that it explains. One test decides: its error beside that of "tomorrow as today". (The
# largest errors are those of walks that left the range of their first 700 values.)
#
# **Leaks.** Now CO2 in the air each month, in parts per million, ppm ([series](../course/sequences/datasets.py)). The same network, scaled with mean and
# standard deviation (`std`) of the training months, as it should be; *before the split*, with those of all months; around the last training month, which
# is known; with windows shuffled *before the split*. Then on monthly changes. (Folded: a weighted sum to compare with, and the figure.)

# %%
data = sequences.co2(window=1)
parts = [data.x_train[:1, 0, 0], data.y_train[:, 0], data.x_test[:1, 0, 0], data.y_test[:, 0]]
co2, split = data.unscale(np.concatenate(parts)), len(data.y_train) + 1  # all months, in ppm
levels = "as it should be", "scaled before the split", "scaled around the last known"
ppm = {way: [] for way in (*levels, "shuffled before the split", "changes, as it should be")}


# %%
def prepared(way, seed):
    """Return windows to train on, windows to test on, and the ppm of one unit."""
    series, end = (np.diff(co2), split - 1) if "changes" in way else (co2, split)
    known = series if way == "scaled before the split" else series[:end]
    series = (series - (known[-1] if "last" in way else known.mean())) / known.std()
    if "shuffled" not in way:
        return windows(series[:end]), windows(series[end:]), known.std()
    x, y = windows(series)
    order = np.random.default_rng(seed).permutation(len(x))
    first, last = order[: end - 12], order[end - 12 :]
    return (x[first], y[first]), (x[last], y[last]), known.std()


# %%
for way, errors in ppm.items():
    for seed in SEEDS:
        known, (x, y), unit = prepared(way, seed)
        model = trained(forecast, seed, *known, epochs=20)
        errors.append(off(model(x), y) * unit)


# %% tags=["boxes"] jupyter={"source_hidden": true}
# To compare: a weighted sum of twelve values, and the naive forecast
def weighted_sum(way):
    """The error of a weighted sum of twelve months, and of "next month as this month", in ppm."""
    (x, y), (x_new, y_new), unit = prepared(way, 0)
    x, x_new = (np.column_stack([part[..., 0], np.ones(len(part))]) for part in (x, x_new))
    weights, *_ = np.linalg.lstsq(x, y)
    return off(x_new @ weights, y_new) * unit, off(x_new[:, -2:-1], y_new) * unit


linear, naive = weighted_sum("as it should be")
of_changes, _ = weighted_sum("changes, as it should be")

# %% tags=["boxes"] jupyter={"source_hidden": true}
# The figure, and the errors as numbers
ax = plots.axes(ylabel="error on test windows, ppm", yscale="log")
for place, errors in enumerate(ppm.values()):
    ax.plot(place + np.linspace(-0.08, 0.08, 3), errors, "osD^v"[place], ls="none")
names = [way.replace(", ", ",\n").replace(" the ", "\nthe ") for way in ppm]
ax.set_xticks(range(5), names, fontsize=9)
ax.set_yticks([0.3, 0.5, 1, 2, 4, 8], [0.3, 0.5, 1, 2, 4, 8])
ax.set_yticks([], minor=True)
ax.set(
    xlim=(-0.5, 4.5),
    title='Only on changes does an honest test beat "next month as this month"',
)
plots.level(ax, naive, "next month as this month")
plots.level(ax, linear, "weighted sum of 12 months")
ax.plot([3.6, 4.4], [of_changes] * 2, "k:", label="weighted sum of 12 changes")
ax.legend(loc="lower left")
said = "; ".join(f"{way} {min(e):.2f} to {max(e):.2f}" for way, e in ppm.items())
said += f"; next month as this month {naive:.2f}; weighted sum of twelve months {linear:.2f}"
said += f", of twelve changes {of_changes:.2f}"
plots.show(ax, alt=f"Error in ppm, three seeds each: {said}.")
print(said.replace("; ", "\n"))

# %% [markdown]
# **What to notice.** Honestly tested, the network is far worse than "next month as this month": CO2 rises beyond what it was trained
# on. Scaling before the split lowers the error, because the test values then lie nearer 0; in use nobody has those numbers. (Around the last
# known value, which is no leak, it falls as far.) Shuffled, the test months lie between training
# months, inside the range trained on: an easier question than a forecast faces. *Changes* do not drift: on them the network does
# about as well as a weighted sum.
#
# ### Exercise 6 · Stop the leak
# Prepare a `series` of which the first `split` values may be known; `windows(values, window)` from above cuts. The check changes the
# future: what then changes in the training arrays has leaked.


# %% tags=["exercise"]
def prepare(series, window, split):
    """Return x_train, y_train, x_test, y_test, scaled by mean and standard deviation, as windows."""
    ...


# %% tags=["check"]
check.prepare()


# %% tags=["solution"] jupyter={"source_hidden": true}
# Split, then take mean and std of what is known, then cut: each part by itself.
def solution_prepare(series, window, split):
    mean, std = series[:split].mean(), series[:split].std()

    def cut(part):  # or: windows((part - mean) / std, window)
        rows = np.lib.stride_tricks.sliding_window_view((part - mean) / std, window + 1)
        return rows[:, :-1, None], rows[:, -1:]

    return *cut(series[:split]), *cut(series[split:])


check.prepare(solution_prepare)

# %% [markdown]
# ## 7 · What people ask
#
# Open a question; the cell below it is folded, and its output answers.
#
# <details><summary><b>units, time steps, input shape: which is which?</b></summary>
#
# (T, D) belong to the data: T steps, D features at each. `units` is H, the size of the state, and yours to choose; it has nothing to do with
# T. The weights know D and H, not T. A table with one row a day and five columns is T = days, D = 5. An array (B, T) of single numbers
# needs an axis: `x[..., None]`.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# units, steps and features: who changes the number of weights?
for T_, D, H in ((10, 3, 5), (50, 3, 5), (10, 4, 5), (10, 3, 6)):
    layer = layers.SimpleRNN(H)
    out = layer(np.zeros((2, T_, D)))
    print(f"T = {T_:4}, D = {D}, units = {H}: out {out.shape}, {layer.count_params()} weights")

# %% [markdown]
# <details><summary><b>All my sequences are padded to one length, in training too. Do I still need a mask?</b></summary>
#
# Without a mask the network learns the padding along with the task: below it reads digits with the eight blank rows that it was trained with, and
# at most four in ten with another number of them. With a mask the number makes no difference. On which side to pad: behind, since on a GPU
# the fast kernel for `LSTM` and `GRU` (cuDNN) stops with an error at a mask with padding elsewhere. `keras.utils.pad_sequences` pads in front unless
# told `padding="post"`; a layer with `use_cudnn=False` does without the kernel and takes either.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# Trained with eight blank rows behind each digit, without a mask
for seed in SEEDS:
    x = padded(train[0], behind=8)
    model = trained(many_to_one, seed, x, train[1], epochs=10)
    shares = [right(model, padded(test[0], behind=rows), test[1]) for rows in (0, 8, 16)]
    print(f"seed {seed}: right with 0, 8, 16 blank rows: {np.round(shares, 2)}")

# %% [markdown]
# <details><summary><b>return_sequences and return_state: what comes out, and do they agree?</b></summary>
#
# `return_sequences=True` gives $h_t$ of every step, `return_state=True` adds the last states: for an LSTM $h_T$ *and* the memory $c_T$. The last of
# the sequence and the last state are the same numbers. Masked, the last state is that of the last real step.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# return_sequences, return_state
x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
lstm = layers.LSTM(5, return_sequences=True, return_state=True)
sequence, h, c = lstm(x)
print(f"every step {sequence.shape}, last state {h.shape}, last memory {c.shape}")
print(f"last of the sequence − last state: {np.abs(sequence[:, -1] - h).max():.0e}")
behind = np.pad(x, ((0, 0), (0, 3), (0, 0)))  # three steps of padding
_, masked, _ = lstm(behind, mask=np.any(behind != 0, axis=-1))
print(f"last state with masked padding behind − without: {np.abs(masked - h).max():.0e}")

# %% [markdown]
# <details><summary><b>Do I need TimeDistributed(Dense)?</b></summary>
#
# No: `Dense` works on the last axis, and so on each step by itself, with the same weights. `TimeDistributed` is for layers that cannot, such as
# `Conv2D` on each picture of a film.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# TimeDistributed(Dense) is Dense
dense = layers.Dense(4)
apart = layers.TimeDistributed(dense)(sequence)  # the same layer, step by step
print(f"TimeDistributed(Dense) − Dense: {np.abs(apart - dense(sequence)).max():.0e}")

# %% [markdown]
# <details><summary><b>How do I get at the gates and the memory of a stock LSTM, step by step?</b></summary>
#
# Keras gives the last $c$ only. With the weights you go along yourself: the four parts lie side by side in the order $i, f, g, o$. Below for
# the encoder of section 4, and compared with what Keras says.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# Gates and memory of a stock keras.layers.LSTM
from course.by_hand import sigmoid


def gates(layer, x):
    """Return i, f, g, o and c of an LSTM layer, stacked: (5, T, B, H), and its last h."""
    W, U, b = layer.get_weights()
    h, c, seen = np.zeros((len(x), layer.units)), 0.0, []
    for x_t in np.swapaxes(x, 0, 1):
        i, f, g, o = np.split(x_t @ W + h @ U + b, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        seen.append((i, f, g, o, c))
    return np.swapaxes(seen, 0, 1), h


word = np.array([[LETTERS.index(letter) for letter in "fadbec"]])
vectors, encoder = np.array(speller.get_layer("letters")(word)), speller.get_layer("encoder")
(i, f, g, o, c), h = gates(encoder, vectors)
_, h_keras, c_keras = encoder(vectors)
print(
    f"h and c, off by at most {max(np.abs(h - h_keras).max(), np.abs(c[-1] - c_keras).max()):.0e}"
)

# %% tags=["boxes"] jupyter={"source_hidden": true}
# The picture of it: the course's own loop, which does the same, and its drawing
from course.by_hand import lstm_forward

states = lstm_forward(vectors, *encoder.get_weights())
axes = plots.gates_over_words(
    states, list("fadbec"), range(4), title="Four units while reading"
)
plots.show(axes)

# %% [markdown]
# <details><summary><b>What does stateful=True carry: the gradient, too?</b></summary>
#
# No. The state goes on as numbers; the gradient stops at the start of the batch. Below, two blocks of ten steps, and a loss on the second. Keras' state
# and its dL/dU are set beside those of [lesson 04](04_backpropagation_through_time.ipynb)'s loops: over the second block alone, and over both. To learn across
# blocks, make them longer. (This lesson runs on TensorFlow. With JAX as its backend, in Keras 3.15, a compiled `fit` starts
# every batch from 0, and neither `fit` nor `predict` changes the state of the layer.)
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# What stateful=True carries
from course.by_hand import rnn_backward, rnn_forward

rng = np.random.default_rng(0)
p = [rng.normal(0, 0.2, (3, 5)), np.eye(5), rng.normal(0, 0.2, 5)]  # W, U, b
x, y = rng.normal(size=(4, 20, 3)), rng.normal(size=(4, 10, 5))
carries = layers.SimpleRNN(5, return_sequences=True, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 10, 3)), carries])
model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=True)
model.set_weights(p)
model(x[:, :10])
state = keras.ops.convert_to_numpy(carries.states[0])
model.train_on_batch(x[:, 10:], y)
dU = p[1] - model.get_weights()[1]

h = rnn_forward(x, *p)
dh = np.concatenate([np.zeros((4, 10, 5)), 2 * (h[:, 10:] - y) / y.size], axis=1)
whole = rnn_backward(x, *p, h, dh).U
second = rnn_backward(x[:, 10:], *p, h[:, 10:], dh[:, 10:], h[:, 9]).U
print(f"state, off the long run's: {np.abs(state - h[:, 9]).max():.0e}")
for name, other in {"the second block's alone": second, "the long run's": whole}.items():
    print(f"dL/dU, off {name}: {np.abs(dU - other).max() / np.abs(other).max():.0e}")

# %% [markdown]
# <details><summary><b>When is the state reset?</b></summary>
#
# When you call `reset_state()` of the layer, and never else: not between batches, not between epochs, not between `fit` and `predict`. With several
# epochs call `fit` for one at a time, or reset in a callback. Below the learning rate is 0, so that only the state can change: two
# epochs end where reading the block twice ends, and `predict` goes on from there.
#
# </details>

# %% tags=["boxes"] jupyter={"source_hidden": true}
# When the state of a stateful layer is reset
model.compile(keras.optimizers.SGD(0.0), "mse", run_eagerly=True)
carries.reset_state()
first = x[:, :10]
model.fit(first, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
after_fit = keras.ops.convert_to_numpy(carries.states[0])
after_predict = model.predict(first, batch_size=4, verbose=0)[:, -1]
carries.reset_state()
once, twice, thrice = (np.array(model(first))[:, -1] for _ in range(3))
print(f"after two epochs, off reading it once:  {np.abs(after_fit - once).max():.0e}")
print(f"after two epochs, off reading it twice: {np.abs(after_fit - twice).max():.0e}")
print(f"after predict, too, off reading it thrice: {np.abs(after_predict - thrice).max():.0e}")

# %% [markdown]
# ## Measured
#
# Live over three seeds, the recorded over five.

# %%
# NBVAL_CHECK_OUTPUT
read, one_row_less = (
    np.mean(scores["many to one"]),
    np.ptp(named["behind, no mask"][:, :2], axis=1),
)
honest, _, _, shuffled, changes = (np.array(errors) / naive for errors in ppm.values())
verdicts = {
    "many to one: 95 % of held-out digits, read row by row": read >= 0.95,
    "one to many: ten of ten drawn digits are read as meant": min(judged) == 1,
    "bits to come, both directions: over 97 % right at every step": both.min() > 0.97,
    "recorded: nine letters reversed: over 9 in 10 if trained up to nine, under 4 in 10 if up to six": (
        nine[8] > 0.9 and six_longer[8] < 0.4
    ),
    "one blank row without a mask costs over a quarter of the digits": one_row_less.min()
    > 0.25,
    "CO2: honestly over twice the naive error, shuffled below it, of changes under half": (
        honest.min() > 2 and np.median(shuffled) < 1 and changes.max() < 0.5
    ),
}
for claim, holds in verdicts.items():
    print("holds " if holds else "FAILS ", claim)
assert all(verdicts.values())

# %%
classroom.tally()

# %% [markdown]
# ## Quiz

# %%
classroom.quiz("quizzes/02_types_of_rnn.json")

# %% [markdown]
# ## Three things to take away
#
# 1. Ask what comes in, what goes out, and when it is due. That is the kind; the layers follow from it.
# 2. Padding is input unless a mask says otherwise; a carried state belongs to a row.
# 3. A forecast is worth what it gains on "tomorrow as today", in a future that has touched neither scale nor split.
#
# **Next:** [03 · What does the cross-entropy loss tell the network?](03_what_the_loss_tells.ipynb)
#
# **References.** Karpathy, *The unreasonable effectiveness of recurrent neural networks* (2015), for the picture of the five kinds. Schuster,
# Paliwal, *Bidirectional recurrent neural networks*, IEEE Transactions on Signal Processing 45 (1997). Sutskever, Vinyals,
# Le, *Sequence to sequence learning with neural networks*, NIPS 2014. Cho and others, *Learning phrase representations using RNN
# encoder-decoder*, EMNLP 2014. Bahdanau, Cho, Bengio, *Neural machine translation by jointly learning to align and translate*, ICLR
# 2015. Alpaydin, Kaynak, *Cascading classifiers*, Kybernetika 34 (1998), for the digits. Keeling, Whorf, for CO2, as
# bundled with statsmodels.
