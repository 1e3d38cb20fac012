"""What can be asked of the program, as the menu, the command line and whoever else calls it see it: a file a noun, and in
each, from top to bottom, what is asked (requests), what is planned and run, what is answered.

`table` lists all of them; `request` and `action` say what a request, a job, an action and a row are; `reference` tells
their schemas; `form` draws the form of a request, `settings_form` that of settings and limits, `base_choice` offers bases.
`clients`, `imports`, `faces`, `who`, `dataset`, `training` (what it is asked: `train_request`), `checkpoints`, `exam`, `blind`,
`portraits`, `gallery`, `swap`, `recordings`, `machine`, `doctor`, `setup`, `settings` and `colab` are the actions; `demo`,
`queue` (its run: `queue_run`), `journey`, `review` and `limits` lead over several stages; `machines` is the pool of PCs;
`recent` is what the menu remembers.
"""
