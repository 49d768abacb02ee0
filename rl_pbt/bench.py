"""`python -m rl_pbt.bench`. Run, never imported: the name `rl_pbt.bench` is a function of the Python API."""

if __name__ == "__main__":
    import sys

    from rl_pbt.cli.main import main

    main(["bench", *sys.argv[1:]], program="python -m rl_pbt.bench")
elif __name__ == "rl_pbt.bench":  # a worker process imports this file under another name, which is fine
    raise ImportError(
        "rl_pbt.bench is a function: import rl_pbt, and call rl_pbt.bench(...); the command is python -m rl_pbt.bench"
    )
