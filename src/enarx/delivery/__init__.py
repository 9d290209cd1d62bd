"""The admission and delivery protocol, both sides, without I/O, clock or randomness: bytes in, bytes out.

Specified in docs/spec/delivery.md. Read in this order:

    messages   the messages and their canonical encoding
    suite      the cryptography
    stream     sealed bulk; `sealing` is the tenant's half
    content    the plaintext of a sealed package
    session    stdin and requests of an attachment
    output     what a workload wrote and how it ended, signed; `reading` is the tenant's half
    states     which message may follow which
    keep       the Keep's side of the messages, driven by `enarx.keep.core`
    tenant     the tenant's side
    receipt    what a third party can check
    sharing    several owners of data (docs/spec/contributions.md): what a Keep reads; `answers` and `contribution` are
               the halves of providers and recipients

The halves that only a tenant needs are modules of their own, because a Keep holds no code that it does not use.
"""
