"""Starting Keeps: one function for the daemon and for `enarx run`, and the process that runs it for the daemon."""
