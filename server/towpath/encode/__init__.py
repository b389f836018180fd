"""Plans into encoded resources, one package for each vocabulary: here protobuf begins.

Pure functions: equal plans give equal bytes, and so equal versions.
"""
