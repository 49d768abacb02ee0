"""Where `python -m rl_pbt.bench` starts.

A file of this name is the one kind of main module that a worker process does not import again: what the command line needs,
TensorBoard and plots above all, would double the time that a worker takes to start.
"""

import os

from rl_pbt.executors.processes import prepare

if __name__ == "__main__":
    if (os.cpu_count() or 1) > 1:
        prepare("rl_pbt.training")  # on another core, while this process imports what comes next

    from rl_pbt.bench.command import main

    main()
