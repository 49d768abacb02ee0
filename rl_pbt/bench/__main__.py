"""Where `python -m rl_pbt.bench` starts.

A file of this name is the one kind of main module that a spawned worker process does not import again: what the command line
needs, TensorBoard and plots above all, would double the time that a worker takes to start.
"""

from rl_pbt.bench import main

if __name__ == "__main__":
    main()
