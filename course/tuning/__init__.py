"""Keras Tuner's tuners, with the same interface, that keep every training, train several at once and survive a kill."""

from course.tuning.tuners import BayesianOptimization, Hyperband, RandomSearch

__all__ = ["BayesianOptimization", "Hyperband", "RandomSearch"]
