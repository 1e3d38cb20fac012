"""The embedded trainer, sd-scripts' twin: `trainer_flags`, `kohya_dataset`, `sdxl_model`, `lora_training`, `kohya_lora`,
`kohya_metadata`, `trainer_state`, `trainer_samples`, `trainer_control` and `trainer_console`.
"""
