"""A sidecar's configuration as a person reads it: one line for what each thing decides.

It is made of resources alone, so what a running sidecar has can be read like what it would be sent:

    listener outbound-listener, outbound, 0.0.0.0:15001  [480a772f7569344d2924]
      inspects tls, http on port 80
      self-loop-guard  port 15001             -> close
      egress-https.443 port 443; SNI a.org; tls -> tcp_proxy -> a.org:443

A chain shows what it matches, its filters, and the cluster or the routes that they lead to. What is
the same in everything that Towpath encodes (log formats, header limits, timeouts that are off) is
left out; a limit is shown where it is set. The version in brackets is a hash of the whole resource.

It knows the messages of each resource type, but nothing of plans, policies or streams. A type has
a file. Begin with `layout`, which knows the form of a line.
"""

from towpath.summary.summary import summarize

__all__ = ["summarize"]
