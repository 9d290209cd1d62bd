"""The admission and delivery protocol, both sides, without I/O, clock or randomness: bytes in, bytes out.

Specified in docs/spec/delivery.md. Read in this order: `messages` (what is said), `suite` (the cryptography), `stream`
(sealed bulk), `content` (what a sealed package holds), `session` (stdio of an attachment), `output` (what a workload wrote
and how it ended, signed), `states` (who may say what when), `keep` and `tenant` (the two sides), `receipt` (what a third
party checks). `sealing` and `reading` are the tenant's half of `stream` and `output`: a Keep holds no code that it has no
use for.
"""
