"""What this machine has: `gpu`, `cards` (what is known of each), `other_cards` (those not computed on), `base_models`,
`found_bases` (those that can be offered), `models` (the table of models) with `downloads`, `hub` (the servers they come from)
and `licence`; and its processes: `processes` runs a child, `background` one that outlives the terminal, `notify` tells that it
ended, `model_process` and `worker` are the two sides of the process that holds models, `worker_tasks` what they say, `vram` who
may be on the GPU. `cache_folder`: where the program keeps what it can make again;
`packages`: those that one action alone needs, and pip.
"""
