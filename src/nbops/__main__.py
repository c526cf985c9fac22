"""``python -m nbops``: the command line."""

from nbops.cli import main

if __name__ == "__main__":
    main()
