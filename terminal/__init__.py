"""How the program looks in a terminal: `console` shows all text as letters, `command_line` reads words, `questions` asks,
`missing` asks for what an action needs and is not here, `choice_list` draws a list, `form` asks all at once, `menu` leads
through the actions, `performing` runs one and hands over what comes out, `watch` shows a stage at work and `keys` hears what
is pressed meanwhile, `detached` runs an action in a process of its own and comes back to it, `screens` draws what several
views share, `picture` shows pictures, `openers` hands files to the system's own programs, and each `view_` file draws the
plans and reports of one field.
"""
