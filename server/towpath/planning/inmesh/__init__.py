"""In-mesh policies: where requests for a service go.

Begin with `splits`; `problems` says what of the policies could not be planned.
"""
