"""The command line: the one place where a setting becomes a flag. `main` is where every command starts."""
