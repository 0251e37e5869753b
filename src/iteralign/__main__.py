"""``python -m iteralign`` is the command line."""

from iteralign.cli.main import main

if __name__ == "__main__":
    main()
