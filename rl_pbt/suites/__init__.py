"""Suites: several environments or tasks compared under one declaration, which is complete before the first frame.

`definition` (the TOML files in `frozen/`, read and checked completely), `cells` (each is a run of its own in the suite's folder,
which is begun, resumed, or left alone if finished), `results` (what they found, and whether it is within the bands that the suite
expects). The numbers, figures and page for all cells together are made by `rl_pbt.report.suite`.
"""
