"""Answers to questions of people: why a request is refused, what has become of a policy.

Queries about the mesh and pure functions of what streams have accepted; it knows nothing of how the
answer is shown, of streams, or of the hub, which runs the queries. Begin with `explain`, or with
`status` for policies; `blame` says which objects rejected content was made from. `access` is all
that one account may reach, and `access_change` what two meshes differ in.
"""
