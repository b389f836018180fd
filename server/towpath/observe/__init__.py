"""What sidecars report of the traffic that leaves them, or that they refuse, in bounded memory.

Knows nothing of the mesh, gRPC or files: a line comes in, with whose it is, and flows go out. Begin
with `flow`, then `flows`; `access_log` reads the lines.
"""
