"""Portraits: `recipes` (steps, guidance and sampler for each kind of model), `sdxl` (one loaded pipeline), `painter`
(batches within the memory), `portrait` (the file), `sheet`, `history` (runs and favourites), `delivery`, `upscaler` with
`upscale_models`; their words: `prompts`, `magic_prompt`, `spanish_prompts`, `prompt_weights`, `clip_tokens`, `styles`;
`swapper`, which swaps faces; and `errors` that several of them raise.
"""
