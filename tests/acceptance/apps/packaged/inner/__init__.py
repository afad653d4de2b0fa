"""Two packages down."""
