"""Training: `plan`, `cost` (memory, hours), `own_runs` (what runs on this card cost), `known_settings` (what searches found here),
`inputs`, `arguments` and `secret_options` before it; `run`, `monitor`, `runs`, `samples`, `lock`, `queue` and `diagnosis` while it
runs; `checkpoints`, `exam_choice`, `lora_files` and `exports` after it; `sd_scripts`, `installation`, `machine_doctor` and
`tensorboard_server` around it; `errors` that several raise.
"""
