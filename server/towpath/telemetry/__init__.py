"""What the control plane tells about itself: metrics and logs, each declared once."""
