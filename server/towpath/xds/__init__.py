"""The xDS door: sidecars subscribe here and are streamed their snapshots.

It knows the protocol and nothing of what the bytes of a resource mean. What one stream consists of,
from the wire inwards; each part knows only those below it:

    service        the gRPC methods: who may open a stream, and what ends it
    conversation   one stream's tasks: read requests, take snapshots, step the session, write
    watchdog       what ends streams whose clients read nothing
    budget, limits what a stream, an account and an address may cost
    ahead          what a step will compare, compared before it in slices
    requests       requests from bytes, remembered: a thousand streams acknowledge alike
    shared         one session for all streams in the same state, and the steps from it
      nonces         those of one stream
    session        one stream without I/O: its types, and the order between them
    variant        which of the two variants of the protocol it speaks, as one value
      waits          how long one type waits for the answers to another
    sotw, delta    one type of one stream: what is due, and what was learnt
      full_state, partial  of SotW: types sent as a whole, or as what has changed
      difference     of delta: what is new and what is gone
    substream      what these two have in common
      subscription   what the client asks for
      unanswered     what it was sent and has not answered
      holdings       what it holds, told by what differs from a set
      view           the snapshot as the client may be sent it: without what is blocked
      absence        how a client is told of what is not there

A step is a call of the session with an event (a request, a snapshot, the end of a wait). It gives
what is to be written and what was learnt, as values of `messages`; `parse` and `wire` turn these
from and into bytes. Begin reading with `Session`, then `Substream`.
"""
