"""How the program looks in a terminal: `command_line` reads words, `questions` asks, `watch` shows a stage at work and
hears Ctrl-C, `screens` draws what several views share, `picture` shows pictures, `openers` hands files to the system's
own programs, and each `view_` file draws the plans and reports of one field.
"""
