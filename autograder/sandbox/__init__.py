"""The walls around student code, and the trusted side of the conversation through them."""
