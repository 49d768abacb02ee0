"""Watching the winner of a run play: `python -m rl_pbt.play RUN`, the same as `rl-pbt play RUN`.

`episodes` (what is played), `pictures` (enlarged and captioned), `film` (GIF and mp4), `window`.
"""
