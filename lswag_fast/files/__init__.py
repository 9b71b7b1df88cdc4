"""Files that survive: one writer at a time, replaced whole, synced soon, and what differs between two settings."""
