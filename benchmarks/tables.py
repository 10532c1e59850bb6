"""What the tables share: fair timing within one run, and printing."""

import os
import platform
import statistics
import time

import pandas as pd


def medians(variants, repeats):
    """Return the median seconds of each variant, a dict of functions without arguments.

    Each is called once before, to compile. Then they take turns, so that whatever else the machine does is spread
    over all of them, and a ratio between them means something even on a busy machine.
    """
    for function in variants.values():
        function()
    seconds = {name: [] for name in variants}
    for _ in range(repeats):
        for name, function in variants.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(all_of_it) for name, all_of_it in seconds.items()}


def show(title, rows):
    """Print a title, the machine, and a table of rows, dicts with the same names."""
    print(f"\n{title}\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(pd.DataFrame(rows).to_string(index=False, na_rep="-", float_format="{:.2f}".format), flush=True)
