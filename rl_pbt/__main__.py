"""`python -m rl_pbt`: the same as the script `rl-pbt`."""

if __name__ == "__main__":
    from rl_pbt.cli.main import main

    main()
