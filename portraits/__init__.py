"""Portraits: `recipes` (steps, guidance and sampler for each kind of model), `sdxl` (one loaded pipeline), `painter`
(batches within the memory), `portrait` (the file), `sheet`, `upscaler` with `upscale_models`; their words: `prompts`,
`magic_prompt`, `spanish_prompts`, `prompt_weights`, `clip_tokens`, `styles`; and `swapper`, which swaps faces.
"""
