"""What the control plane tells about itself: metrics and logs, each declared once.

Knows nothing of the parts that use them. Begin with `metrics`.
"""
