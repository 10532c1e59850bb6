"""Why RNNs are hard to train: a measured course in Keras.

Eight rooms, each with a face that lists what is public in it:

    layers       the recurrent cells, and what wraps, starts and regularizes them
    gradients    the instrument: gradient norms per weight and per time step of any Keras RNN
    by_hand      forward and backward passes in NumPy
    sequences    what networks read: tasks, grammars, series, digits, text
    experiments  a run over seeds and settings; success rates; a model for every seed
    tuning       Keras Tuner's tuners, which keep every training
    plots        draws what it is given
    classroom    predictions, exercises, checks, quizzes

Rooms import downwards only: `tuning` and `classroom` may use the others; `layers`, `by_hand`, `sequences` and `plots`
use none. Importing a room changes nothing in your process, but for `classroom`, which makes it a lesson's.
"""

__version__ = "0.2.0"
