"""Sources: where objects come from; each decodes what it reads into model values and a store.

`files` follows a folder and `kube` an API server; neither knows what the objects mean, and `decode`
does not know where they were read. Begin with `decode`.
"""


class SourceError(Exception):
    """A source cannot start; the message names what it was to read and why it cannot."""
