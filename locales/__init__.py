"""Languages: `language` translates and labels; the folders beside it hold the catalogues."""
