"""The command line: the one place where zones meet. One file for each command, each importing what it needs, late."""
