"""What `make bench` runs: `python -m benchmarks` prints every table, `python -m benchmarks step_times` only one.

One file is one table: a module here whose `main()` prints it. Each runs in a process of its own.
"""
