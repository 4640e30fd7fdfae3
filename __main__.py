"""``python -m crosscheck``."""

from .cli import main

if __name__ == "__main__":
    main()
