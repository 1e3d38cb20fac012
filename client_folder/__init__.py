"""Every path and record of a client: `client` (the folder, with its `paths`), `records` (what its files hold), `lookup` (which
picture a person means), `reasons` (why a picture is refused), `consent`, `export` (all of a client in one archive),
`restore` (such an archive taken in again), `erasing`, `last_used` (what was asked for last, filled in again), `names`
(trigger words and class words), `recommended_prompts`, `spreadsheet` (tables for people), `private` (folders of the owner
alone), `tuned` (settings that were searched for a client), `trial_client` (a folder for one trial of them), `sync` (many
files brought to the disk), `zip_index` (how long an archive's list is), and `errors` that several of them raise."""
