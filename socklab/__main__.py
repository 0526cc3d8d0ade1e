"""`python -m socklab` is `socklab`."""

from socklab.cli import main

if __name__ == "__main__":
    main()
