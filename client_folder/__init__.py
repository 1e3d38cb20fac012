"""Every path and record of a client: `client` (the folder and its paths), `records` (what its files hold), `lookup` (which
picture a person means), `reasons` (why a picture is refused), `consent`, `export` (all of a client in one archive),
`recommended_prompts`, `names` (trigger words and class words),
`spreadsheet` (tables for people), and `errors` that several of them raise.
"""
