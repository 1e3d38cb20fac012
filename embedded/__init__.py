"""What runs with no GPU and no hub: an SDXL-shaped model small enough to ship, in `base/`, and the code that draws and trains.

`drawing` (people drawn by code), `making` (how the base was made), `trainer`, behind the command line `sdxl_train_network`.
"""
