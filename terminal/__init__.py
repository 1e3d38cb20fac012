"""How the program looks in a terminal: `command_line` reads words, `questions` asks, `watch` shows a stage at work and `keys` hears
what is pressed meanwhile, `detached` runs an action in a process of its own and comes back to it, `screens` draws what several
views share, and each `view_` file draws the plans and reports of one field.
"""
