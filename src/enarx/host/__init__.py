"""The host's side. The tenant trusts nothing in here: it carries ciphertext, starts and stops Keeps, keeps their output.

`supervisor` stands beside one Keep; `launcher` starts them; `daemon` is the HTTP interface; `local` is all of it for
one Keep of `enarx run`. Nothing here can verify, open or judge anything, and import-linter keeps it so.
"""
