"""How the embedded base is made: `train_base` runs `vae_training`, `unet_training` and `decoder_training` on a
`training_set`, each with a `network_training`, into the shapes of `base_model`.
"""
