"""Run as a script: a command of rl-pbt, without pages and plots at its end, which take longer than small runs.

python undrawn.py tune --task quadratic
"""

import sys

from rl_pbt import report
from rl_pbt.cli.main import main

if __name__ == "__main__":
    report.write_report = report.summarise
    main(sys.argv[1:])
