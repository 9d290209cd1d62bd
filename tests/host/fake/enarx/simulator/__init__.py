"""Hardware of the tests' own."""
