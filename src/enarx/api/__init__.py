"""The public Python API, over the same core as the command line (docs/guides/python.md).

Programs use it as `enarx.run`, `enarx.deploy` and so on: `enarx/__init__.py` lists the names and loads them when they are
first used.

    start        run, deploy, attach: what they prepare, start and undo
    jobs         Job, the workload while it runs; Result, what it came to
    aio          the same for asyncio
    workloads    from a module and what goes with it to a package
    acceptance   which evidence is accepted
    hosts        where a host daemon is
    local_host   the host side on this machine
"""
