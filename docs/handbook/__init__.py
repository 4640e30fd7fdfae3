"""The handbook: the pages of `docs/`, one more for each kind, and the API, all made from the code."""
