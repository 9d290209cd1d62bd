"""The tenant's side as a library: packages, owner keys, deploying, attaching. Trusts no host.

from enarx.tenant import deploy, package
"""
