"""Sources: where objects come from; each decodes what it reads into model values and a store.

`files` follows a folder and `kube` an API server; these know nothing of what the objects mean, and
`decode` nothing of where they were read. Begin with `decode`.
"""


class SourceError(Exception):
    """A source cannot start; the message names what it was to read and why it cannot."""
