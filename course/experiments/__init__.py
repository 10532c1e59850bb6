"""A run over seeds and settings, how often it succeeds, and a model for every seed without compiling again."""

from course.experiments.executors import Processes
from course.experiments.models import fresh
from course.experiments.success import success_rate
from course.experiments.sweeps import sweep

__all__ = ["Processes", "fresh", "success_rate", "sweep"]
