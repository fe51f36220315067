"""`python -m pipeline`: the same command line as `egost`."""

from pipeline.cli.main import main

if __name__ == "__main__":
    main()
