"""Sources: where objects come from; each decodes what it reads into model values and a store."""


class SourceError(Exception):
    """A source cannot start; the message names what it was to read and why it cannot."""
