"""The service: every action of the table over HTTP, for other programs and for the page of a studio; FastAPI and uvicorn.

`server` is the process that `actions.serve` starts; `app` makes the application out of a list of routers; `guard` stands before all
of them: hosts, origins, keys, rates and sizes of bodies; `keys` are who may come in; `permissions` say what which key may ask of an
action, and `answers` how answers and errors leave, without a path of this machine. `jobs` is the queue of what takes long, in
`job_records` on disk, each run by `runner` in a process of its own; `assets` are uploaded files, `avatars` what the
plan calls clients.

Routers: `routes_actions`, `routes_jobs`, `routes_live` (events), `routes_assets`, `routes_keys`, `routes_files`, `routes_plan` (the
addresses of the plan for a web product) and `routes_docs`; `routes_common` is what they share. `pages` are the page for people,
its templates in `templates/` and its style and scripts in `static/`.
"""
