"""`python -m rl_pbt.bench`. Empty, since Python imports it before `__main__`, which has something to do first."""
