"""The ground floor: errors, files, archives, JSON and arrays as they come from users; no torch."""
