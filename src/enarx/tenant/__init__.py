"""The tenant's side of the protocol: packages, owner keys, delivering, attaching. It trusts no host.

`enarx.api` puts these parts together for programs and for the command line.

    package    files to a package            delivering  a package to a Keep that has proven itself
    owners     the keys that sign            deploy      attached: stdio, the result, fresh evidence
    sessions   kept for later                link, http  the way to a Keep through its host
"""
