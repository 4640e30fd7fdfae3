"""The lesson of a case: its training step taken apart into cards, as pure data. ``rendering/`` shows it."""
