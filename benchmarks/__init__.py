"""Speed, measured as a ratio against the plain way or a rival in the same run. `drawn_client` draws whom they need."""
