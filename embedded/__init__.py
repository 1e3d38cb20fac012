"""The embedded base: an SDXL-shaped model small enough to ship, and the code that draws, trains and measures it."""
