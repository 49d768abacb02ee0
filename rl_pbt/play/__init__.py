"""The winner of a run at play: `python -m rl_pbt.play RUN`, the same as `rl-pbt play RUN`.

`episodes` (what is played), `pictures` (enlarged, and written on), `film` (GIF and mp4), `window`.
"""
