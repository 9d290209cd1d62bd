"""One module for each command; functions take the parsed options and return an exit code."""
