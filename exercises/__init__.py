"""Exercises: a training step with blanks, hints that teach without telling, and marks for each phase."""
