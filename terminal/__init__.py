"""How the program looks in a terminal: `command_line` reads words, `questions` asks, `choice_list` draws a list, `form` asks all at
once, `menu` leads through the actions, `performing` runs one and hands over what comes out, `watch` shows a stage at work and hears
Ctrl-C, `screens` draws what several views share, `picture` shows pictures, `openers` hands files to the system's own programs,
and each `view_` file draws the plans and reports of one field.
"""
