"""`python -m rl_pbt.report RUN`, the same as `rl-pbt report RUN`."""

if __name__ == "__main__":
    import sys

    from rl_pbt.cli.main import main

    main(["report", *sys.argv[1:]], program="python -m rl_pbt.report")
