"""The host's side. The tenant trusts nothing here: it carries ciphertext, launches and stops Keeps, and stores their output.

    daemon       options and life of the host daemon
    http/        its interface
    keeps/       its Keeps: launched, watched, erased
    state/       what it keeps on disk
    launcher/    starts Keeps through their backends, and forks their supervisors
    backends/    one for each kind of Keep
    supervisor/  the process beside each Keep
    local        all of it for the one Keep of `enarx run`

Nothing here can verify, open or appraise anything; import-linter enforces it.
"""
