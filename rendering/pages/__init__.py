"""Pages: HTML files that stand alone. Nothing is fetched, nothing is needed to read them; a script may add comfort."""

from .standalone import page, picture

__all__ = ["page", "picture"]
