"""The public Python API, over the same core as the command line (docs/guides/python.md).

Programs use it as `enarx.run`, `enarx.deploy` and so on: `enarx/__init__.py` lists the names and loads them when they are
first used.

    sync         run, deploy and attach, started at once; aio: the same for asyncio
    describe     their arguments
    start        how a job starts, and what is undone when it does not
    jobs         Job, the workload while it runs; Result, what it came to
    streams      its output, until someone reads it
    places       where its Keep is, and how it is removed
    keeps        Keeps by their ids, and the sessions with them
    workloads    from a module and what goes with it to a package
    acceptance   which evidence is accepted
    hosts        where a host daemon is
    local_host   the host side on this machine
"""
