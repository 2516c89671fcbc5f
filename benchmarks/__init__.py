"""Benchmarks: one script a question, each figure next to a bound or a peer's method measured in the same run.

`make bench` runs all; `make bench ARGS="first_key delivery"` some. Results are text in `benchmarks/results/`.
"""
