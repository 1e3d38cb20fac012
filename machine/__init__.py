"""What this machine has: `gpu`, `base_models`, `models` (the table of models) with `downloads`, `hub` (the servers they come
from) and `licence`; and its processes: `processes` runs a child, `model_process` and `worker` are the two sides of the process
that holds models, `worker_tasks` what they say, `vram` who may be on the GPU.
"""
