"""What can be asked of the program, as the menu, the command line and whoever else calls it see it: a file a noun. Each file has,
from top to bottom: what is asked (requests), what is planned and run, what is answered.

Of all of them: `table` lists them, `action` and `request` say what a row, an action and a request are, `reference` tells their
schemas. A file a noun: `checkpoints`, `clients`, `dataset`, `doctor`, `faces`, `imports`, `machine`, `portraits`, `recordings`,
`settings`, `swap`, `training`. Over several stages: `demo`, `journey`, `limits`, `review`.
"""
