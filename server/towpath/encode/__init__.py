"""Plans into encoded resources, one package for each vocabulary: here protobuf begins.

Pure functions: equal plans give equal bytes, and so equal versions. It knows nothing of who
is connected. Begin with `envoy/listeners`; a vocabulary also says what two versions have in common
(`intersection`).
"""
