"""Suites: several environments or tasks compared under one declaration, which is complete before the first frame.

`definition` (the TOML files in `frozen/`, read and checked whole), `cells` (each is a run of its own in the suite's folder:
begun, resumed, or left as it ended), `results` (what they found, and whether it is within the bands that the suite expects). The
numbers, figures and page of all cells together are `rl_pbt.report.suite`.
"""
