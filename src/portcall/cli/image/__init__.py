"""`portcall image`: one module for each of its commands, and what they have in common. May import `portcall.image`."""
