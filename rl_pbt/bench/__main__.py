"""Where `python -m rl_pbt.bench` starts.

A file of this name is the one kind of main module that a worker process does not import again: what the command line needs,
TensorBoard and plots above all, would double the time that a worker takes to start.
"""

import os
import signal

if __name__ == "__main__":
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.default_int_handler:  # and not ignored, as in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun: torch does not bear an exception in its import

    from rl_pbt.executors.processes import prepare

    if (os.cpu_count() or 1) > 1:
        prepare("rl_pbt.training")  # on another core, while this process imports what comes next

    from rl_pbt.bench.command import main

    signal.signal(signal.SIGINT, interrupted)
    main()
