"""How the program looks in a terminal. `command_line` reads words, `watch` shows a stage at work and hears Ctrl-C, `screens` draws
what several rooms share, and each `view_` file draws the plans and reports of one room: `view_pictures`, `view_faces`,
`view_dataset`, `view_training`, `view_portraits`, `view_media`, `view_machine`, `view_doctor`, `view_settings`, `view_demo`,
and `view_program` for clients as a whole.
"""
