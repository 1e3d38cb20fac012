"""Pictures as files: `listing` finds them, `picture_file` reads them, `png_chunks` and `archives` what holds them,
`import_plan` and `import_run` bring them in, `originals` keeps them, `grids` splits them, `photo_analysis` measures them,
`contact_sheet` shows them, `letters` writes on them, `thumbnails` keeps them small; and what is known of MidJourney's:
`midjourney`, `midjourney_parameters`, `midjourney_records`, `midjourney_jobs`, `prompts`, `prompt_lists`, `user_notes` and
`traits`; `errors` that several of them raise.
"""
