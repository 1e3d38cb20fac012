"""Portraits: `recipes` (how a model is sampled), `sdxl` (one loaded pipeline), `painter` (batches within the memory),
`portrait` (the file), `upscaler`; their words: `magic_prompt`, `spanish_prompts`, `prompt_weights`, `clip_tokens`,
`styles`; and `swapper`, `face_swap`.
"""
