"""Why RNNs are hard to train: a measured course in Keras.

The import line in a notebook names the file to open: `from course.cells import RNNCell` is `course/cells.py`.

Importing any part of the package first tells TensorFlow to start silently, and without oneDNN, so that results
depend less on the machine. It works as long as TensorFlow is not imported yet; what you have set yourself stays.
"""

import os

__version__ = "0.1.0"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
