"""What the hub decides by itself."""
