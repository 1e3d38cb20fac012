"""How the program looks in a terminal: `command_line` reads words, `questions` asks, `watch` shows a stage at work and
hears Ctrl-C, `screens` draws what several rooms share, and each `view_` file draws the plans and reports of one room.
"""
