"""The file that `enarx init` writes; a test parses it with the real parser."""

from __future__ import annotations

TEMPLATE = """\
# How the workload beside this file runs in a Keep. Lines that are commented out show the defaults or an example.

# The Steward that gives this workload's Keeps their certificates.
# steward = "https://steward.example"

# Arguments and environment. They travel sealed; the host sees neither.
args = []

[env]
# LANGUAGE = "en"

[limits]
# memory = "1GiB"       # of WebAssembly linear memory
# compile = "1GiB"      # what compiling the module may take; 128 MiB and 64 times the module's size if not given
# time = "10m"          # wall clock; no limit if not given
# fuel = 1000000000     # WebAssembly instructions, about; no limit if not given; halves the speed
# open_files = 256
# disk = "64MiB"        # what may be written on top of the data that travels along
# output = "16MiB"      # stdout and stderr together; no limit if not given

# Secrets by name; values come at deploy time: --secret signing-key=@FILE. Each is a file /run/secrets/NAME in the Keep.
[secrets]
# signing-key = {}
# api-token = { env = "API_TOKEN" }   # as a variable too

# Data that travels with the workload, sealed. host is relative to this file. Results leave by stdout, or as files.
# [[dirs]]
# guest = "/data"
# host = "data"
#
# [[dirs]]
# guest = "/tmp"
# mode = "rw"           # an empty directory to write to; gone with the Keep
#
# [[dirs]]
# guest = "/out"
# mode = "out"          # what is in it at the end comes back: --out results::/out

# Descriptors, in order. Without any, stdin, stdout and stderr are the tenant's.
# [[files]]
# kind = "stdin"
#
# [[files]]
# kind = "stdout"
#
# [[files]]
# kind = "stderr"
#
# [[files]]
# kind = "listen"
# name = "web"
# prot = "tls"
# addr = "::"
# port = 8443
#
# [[files]]
# kind = "connect"
# host = "database.example"
# name = "database"     # the host if not given
# prot = "tcp"
# port = 5432
#
# [[files]]
# kind = "null"         # reads as empty; what is written is gone
"""
