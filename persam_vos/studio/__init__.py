"""A video comes in, and a folder for its session; out go a page in the browser and the HTTP interface behind it.

``serving`` starts it, ``app`` lists the routes, ``workspace`` holds the session; see docs/studio-http.md.
"""
