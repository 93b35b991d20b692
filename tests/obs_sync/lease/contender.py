"""A process that wants a lease, as often as it is told to.

    python -m tests.obs_sync.lease.contender URL

It says "ready"; told "want" it says "held" or "refused"; told "leave" then "held still" or "left".
"""
from __future__ import annotations

import os
import sys

from obs_sync import Lease, LeaseHeld, open_store
from obs_sync.lease.owner import Owner

if __name__ == "__main__":
    owner = Owner(f"host-{os.getpid()}", os.getpid())
    with open_store(sys.argv[1]) as store:
        print("ready", flush=True)
        while sys.stdin.readline().strip() == "want":
            try:
                with Lease(store, owner, seconds=6.0) as lease:
                    print("held", flush=True)
                    sys.stdin.readline()
                    lease.check()
                print("held still", flush=True)
            except LeaseHeld:
                print("refused", flush=True)
                sys.stdin.readline()
                print("left", flush=True)
