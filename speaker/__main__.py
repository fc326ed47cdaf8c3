"""`python -m speaker` is the same program as `speaker`."""

from speaker.cli import main

if __name__ == "__main__":
    main()
