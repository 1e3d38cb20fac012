"""Portraits and faces in other pictures. `recipes` (how a model is walked), `sdxl` (one loaded pipeline), `painter` (batches within
the memory), `portrait` (the file), `sheet`, `upscaler` with `upscale_models`; their words: `prompts`, `magic_prompt`,
`spanish_prompts`, `prompt_weights`, `clip_tokens`, `styles`; and `swapper`.
"""
