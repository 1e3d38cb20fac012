"""The Kohya dataset: `kohya_folders` (plan and build), `balance` (repeats for the share of real photos), `captions` with
`caption_sources` and `photo_captions`, `files` (what lies there), `held_back` (photos kept from training), `doctor` with
its `signs` and `identities` (whom the pictures show), `findings` of a plan, and `quarantine`.
"""
