"""What runs inside the Keep, and is measured: nothing else may be imported there (tests/house holds the allow-list).

Three processes share a Keep. The *keeper* (`keeper`) is its first process: it makes the keys, speaks the protocol, seals
and watches. The *runner* (`guest.runner`) runs the guest and holds no key. The *compiler* (`guest.compiler`) lives for one
module. Before a Keep exists there is a *zygote* (`boot.process`), which holds no key either and is forked for each.
"""
