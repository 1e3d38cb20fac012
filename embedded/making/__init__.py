"""How the embedded base is made. `train_base` runs `vae_training` (toward a `linear_code`), `unet_training` and
`decoder_training` on a `training_set`, each a `trainee`, into the shapes of `base_model`.
"""
