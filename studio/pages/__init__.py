"""The studio page: HTML drawn on the server out of the same records and actions that everything else works with.

`router` puts it together; `rendering` fills templates, in the language of who reads, and answers errors as pages; `thumbnails` are
small pictures; `pictures` and `portraits` know what a client's pictures and portraits look like. A page each: `client_pages`
(clients, and one client's pictures), `portrait_pages`, `exam_pages` (verdict, blind test, dataset doctor), `live_pages` (jobs,
queue, GPU, training), `gallery_pages` (what a client is let see, to choose favourites).
"""
