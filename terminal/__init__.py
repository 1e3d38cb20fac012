"""How the program looks in a terminal: `command_line` reads words, `questions` asks, `missing` asks for what an action needs and
is not here, `watch` shows a stage at work and hears Ctrl-C, `screens` draws what several views share, and each `view_` file
draws the plans and reports of one field.
"""
