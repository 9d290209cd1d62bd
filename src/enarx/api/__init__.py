"""The public Python API, over the same core as the command line (docs/guides/python.md).

Programs use it as `enarx.run`, `enarx.deploy` and so on: `enarx/__init__.py` lists the names and loads them when they are
first used.

    sync         run, deploy and attach, started at once; aio: the same for asyncio
    describe     their arguments
    start        the base of all starts; local and remote: how a job starts, and what is undone if it fails
    jobs         Job, a running workload; Result, its outcome
    streams      the output of a job, until it is read
    keeps        Keeps by their ids, and the sessions with them
    workloads    from a module, configuration and secrets to a package
    acceptance   which evidence is accepted
    hosts        where a host daemon is
    local_host   the host side on this machine
"""
