"""`python -m rl_pbt.play RUN`."""

if __name__ == "__main__":
    import sys

    from rl_pbt.cli.main import main

    main(["play", *sys.argv[1:]], program="python -m rl_pbt.play")
