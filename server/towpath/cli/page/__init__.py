"""The page of `towpath dashboard`: a web page on loopback that asks a control plane as any other
command does, with the rights of the user who typed it.

`application` has the addresses and what guards them; `control_plane` asks the replicas, and
`reports` follows what sidecars report; `health`, `sidecars`, `policies`, `questions`, `traffic` and
`picture` each make the `View` of one subject; `rendering` makes HTML of it. Knows nothing of a
server but what its Inspector says. Begin with `application`.
"""
