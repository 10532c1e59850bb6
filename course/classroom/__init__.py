"""What a lesson needs beside its subject: predictions, exercises with checks, quizzes.

Importing this room makes the process a lesson's: TensorFlow starts silently and without oneDNN, so that results
depend less on the machine (only if it is not imported yet, and what you have set yourself stays), figures get the
course's style, and on Linux a kernel stays 30 to 70 MB smaller. No other room changes anything in the process that
imports it.
"""

import ctypes
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from course.classroom.predictions import guess, tally
from course.classroom.quizzes import quiz
from course.plots.basics import use_style

use_style()
if mallopt := getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None:
    mallopt(-8, 1)  # M_ARENA_MAX: glibc keeps a heap for every thread, and XLA compiles with many

__all__ = ["guess", "quiz", "tally"]
