"""Who may be sent what: new content goes to a few clients first, and what they reject stops there.

It knows clients by their node id, build and account, and content by type, name and version; it
knows nothing of the mesh, of what resources mean, of streams' protocol, and does no I/O. Begin
reading with `Cohort`.

All clients of one build (`ClientBuild`: kind, software, version) are a `Cohort`: what one of them
rejects, the others would. Among them each content is in one `State`:

            changed                    accepted by one
    NEW ──────────────▶ ON_TRIAL ────────────────────────▶ ACCEPTED
     ▲  unless it only     │  │ the wait is over, or it        ▲
     │  narrows            │  └─────────────▶ WAITED ──────────┘ accepted
     │                     │                    │
     │                     ▼ rejected by two    ▼ accounts, or by the only one that has it
     └──────────────── QUARANTINED ◀────────────┘
       in no snapshot any more

- NEW: nothing is known of it, or one client has rejected it. Everybody is sent it: it is what a
  client finds at its first snapshot, and what only narrows what was there before.
- ON_TRIAL: it is sent to canaries alone, each of another account; for each that rejects it one
  more is asked. The others keep what stands in for it.
- WAITED: nobody answered in time, so that it goes to everybody.
- ACCEPTED: a client has it. Whoever rejects it now is alone in that: only this client's
  `ClientRecord` remembers it.
- QUARANTINED: no client of the cohort is sent it until it changes. When the quarantine expires, a
  new one begins in which a few canaries are sent it, of accounts that have not rejected it yet if
  there are such: if one of them accepts it, it is ACCEPTED, as it is at once if somebody had
  accepted it before.

Who may move content: the hub by `Quarantine.changed`, when a snapshot has something new, by
`retire`, when a snapshot has lost something, and by `pass_time`; a session by `accepted` and
`rejected` of its client. Each move goes through `Cohort._put`, `_conclude` or `_forget`, and counts
in `revisions`. To ask changes nothing: `blocked` says what a client must not be sent now, `refuses`
what was rejected. A canary is made by `enrol`, called with the response that is composed.

What a client gets instead of blocked content is the intersection of what it held before (or `base`:
what others held) and of the new content: never more than either lets through. Sessions ask for it;
`Intersections` works it out once for all.

One client's rejected response names the bad resource, or `Bisection` finds it by halves. `Holders`
is the index of who has some content in a snapshot, kept by `ClientRecord.show`: these are nudged
when a trial ends, or a quarantine expires. `StreamRecords` notes for people what each stream was
sent and has answered.
"""
