"""The code that runs inside a Keep and is measured. It imports nothing beyond an allow-list, which a test holds.

Four processes make up a Keep:

    keeper    (`keeper`) the first process: creates the keys, speaks the protocol, seals output, enforces limits
    attester  (`attester.process`) gets evidence from the hardware
    compiler  (`guest.compiler`) turns one module into machine code, then exits
    runner    (`guest.runner`) runs the guest

Only the keeper holds keys, and it forks the other three before it creates any. A zygote (`boot.process`), which holds no
key either, has loaded this code already and is forked for each Keep. `docs/audit.md` lists the files in reading order.
"""
