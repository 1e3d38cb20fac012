"""What runs with no GPU and no hub: `drawing` paints people by code, `making` makes the embedded base of them, `trainer` is
sd-scripts' twin, which `sdxl_train_network` runs under sd-scripts' own name.
"""
