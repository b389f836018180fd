"""Who may be sent what: new content goes to a few first, and what clients reject stops at them."""
