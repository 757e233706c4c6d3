"""The walls around student code, and the trusted code that talks to it through them."""
