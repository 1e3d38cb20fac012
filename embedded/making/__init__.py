"""How the embedded base is made: `train_base` runs `vae_training`, `unet_training` and `decoder_training`, each a
`trainee`, on a `training_set`, into the shapes of `base_model`; `linear_code` is the latents' first guess.
"""
