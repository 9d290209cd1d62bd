"""The core of every Keep: everything that it does between frames, as one state machine without I/O.

`Core` is fed events and answers with actions. It reads no clock and draws no random numbers, so each event brings the time
and, where keys or nonces are made, fresh entropy. It knows no processes, pipes or kinds of evidence. A driver
does: the process Keep's is `enarx.keep.keeper`, and the attack tests have one in memory.

    core = Core(entropy=os.urandom(ENTROPY_SIZE), host_data=host_data, limits=limits, now=now())
    core.frame(kind, payload, now(), os.urandom(NONCE_SIZE))
    while (action := core.next_action(now())) is not None:
        perform(action)

Three rules make a driver:

* Perform all actions after each event, in order. An action is performed before the next is asked for, since asking for the
  next lets the core go on: what it has seen stored, it may confirm to the tenant.
* Report what comes of an action as an event: evidence, bytes written to stdin, the workload's end, an error.
* Call `tick` at the latest when `deadline` is reached.

Read in this order: `actions` (what a driver must be able to do), `machine` (admission, delivery, session), `workload` (a
running workload's stdin, output, limits and end), `gathering` (a workload that waits for the parts of further owners of
data), `limits` (what the host grants), `deadlines`.
"""
