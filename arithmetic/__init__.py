"""Array classes under which the reference's own code also runs: one table of rules each, on one base."""
