"""What of this computer helps or hinders a capture, and what to do about it."""
